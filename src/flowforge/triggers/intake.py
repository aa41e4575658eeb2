"""The intake of webhooks: a narrow route beside the framework's, because it takes thousands of requests a second.

The order of the checks is part of the contract (docs/triggers.md): method, path, address, size, rate, signature, delivery id, body,
input. Up to the address every refusal is the same 404.
"""

from dataclasses import dataclass
from typing import Final

from starlette.responses import PlainTextResponse, Response

from flowforge.audit.service import record_as
from flowforge.audit.types import Author
from flowforge.kit.errors import FlowForgeError
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.runs.once import IdempotencyMismatchError
from flowforge.triggers.deliveries import has_id_inside, make_once
from flowforge.triggers.errors import HookNotFoundError, SignatureError
from flowforge.triggers.firing import Firing, Occurrence, name_fault
from flowforge.triggers.guessing import Guesses
from flowforge.triggers.hook_answers import make_accepted, make_outcome
from flowforge.triggers.hook_bodies import read_hook_body, read_pairs
from flowforge.triggers.hook_plans import HookPlan, HookPlans, split_path
from flowforge.triggers.hook_waiting import WAIT_MAX_S, wait_for_outcome
from flowforge.triggers.signatures import Sent
from flowforge.triggers.types import Fired
from flowforge.web.addresses import find_address, is_trusted
from flowforge.web.answers import answer_error, make_error
from flowforge.web.application import Wrap
from flowforge.web.calls import Parts
from flowforge.web.errors import BadRequestError, PayloadTooLargeError, find_status
from flowforge.web.frame import App, Receive, Scope, Send

PREFIX: Final = "/hooks/"
_ROUTE: Final = "/hooks/{path}"
CHALLENGE_MAX_BYTES: Final = 1_024
_RESERVED: Final = ("connectors/", "entitlements/")


@dataclass(frozen=True, slots=True)
class _Request:
    """One request to a path that is there, from an address that may."""

    scope: Scope
    plan: HookPlan
    address: str
    sent: Sent
    at_ms: int

    @property
    def request_id(self) -> str:
        return str(self.scope["state"]["request_id"])

    def find_header(self, name: str) -> str | None:
        return next(iter(self.sent.headers.get(name, ())), None)


class HookIntake:
    """Answers what is sent to `/hooks/`; everything else goes on to `app`. `wait_max_s`: the longest that an answer may take."""

    def __init__(self, app: App, parts: Parts, *, wait_max_s: float = WAIT_MAX_S) -> None:
        self.plans = HookPlans(parts)
        self._app = app
        self._parts = parts
        self._guesses = Guesses(parts.rates, parts.clock)
        self._wait_max_s = wait_max_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        scope["state"]["route"] = _ROUTE
        try:
            answer = await self._answer(scope, receive)
        except FlowForgeError as fault:
            answer = answer_error(fault, str(scope["state"]["request_id"]))
        await answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        if scope["method"] != "POST":
            answer = make_error(405, "METHOD_NOT_ALLOWED", "Webhooks take POST alone.", [], str(scope["state"]["request_id"]))
            answer.headers["allow"] = "POST"
            return answer
        address = find_address(scope, self._parts.settings.trusted_proxies)
        self._guesses.refuse_blocked(address)
        plan = await self._find_plan(scope)
        if plan is None or not _may_come_from(plan, address):
            await self._guesses.count(address)
            raise HookNotFoundError
        at_ms = self._parts.clock.now_ms()
        headers = _read_headers(scope)
        _refuse_long(headers, self._parts.settings.limits.body_max_bytes)
        request = _Request(scope, plan, address, Sent(headers, b"", at_ms), at_ms)
        try:
            await self._parts.rates.count_delivery(plan.trigger.id)
            body = await _read_body(receive, self._parts.settings.limits.body_max_bytes)
            request = _Request(scope, plan, address, Sent(headers, body, at_ms), at_ms)
            return await self._take(request)
        except FlowForgeError as fault:
            await self._note_refusal(request, fault)
            raise

    async def _find_plan(self, scope: Scope) -> HookPlan | None:
        path: str = scope["path"][len(PREFIX) :]
        split = split_path(path)
        # A path is written in one way only: another spelling of it would pass where something before us looks at paths.
        is_plain = b"%" not in scope.get("raw_path", b"")
        if split is None or not is_plain or split[1].startswith(_RESERVED):
            return None
        return await self.plans.find(*split)

    async def _take(self, request: _Request) -> Response:
        plan, sent = request.plan, request.sent
        plan.proof.verify(sent)
        form = plan.proof.form
        body: JsonValue = self._read_body_value(request) if has_id_inside(form) else None
        challenge = _find_challenge(form, body)
        if challenge is not None:
            return PlainTextResponse(challenge)
        once = make_once(plan.trigger.id, form, plan.delivery, sent, body)
        if not has_id_inside(form):
            body = self._read_body_value(request)
        data = self._describe(request, body, None if once is None else once.key)
        occurrence = Occurrence(
            plan.trigger,
            data,
            request.at_ms,
            once=once,
            pinned=plan.pinned,
            remote_address=request.address,
            user_agent=request.find_header("user-agent"),
        )
        firing = self._parts.port(Firing)
        fired = await firing.start(occurrence)
        answer = await self._make_answer(request, fired)
        firing.remember(occurrence, status=answer.status_code, fired=fired)
        return answer

    def _read_body_value(self, request: _Request) -> JsonValue:
        return read_hook_body(request.sent.body, request.find_header("content-type") or "", self._parts.settings.limits)

    def _describe(self, request: _Request, body: JsonValue, delivery_id: str | None) -> JsonObject:
        hidden = request.plan.hidden_headers
        headers: JsonObject = {name: ", ".join(values) for name, values in request.sent.headers.items() if name not in hidden}
        query: bytes = request.scope.get("query_string", b"")
        return {
            "body": body,
            "headers": headers,
            "query": read_pairs(query.decode("latin-1"), self._parts.settings.limits) if query else {},
            "method": "POST",
            "remote_address": request.address,
            "delivery_id": delivery_id,
        }

    async def _make_answer(self, request: _Request, fired: Fired) -> Response:
        plan = request.plan
        if plan.respond == "accepted" or fired.run_id is None or fired.run_no is None:
            return make_accepted(fired)
        wants_step = plan.respond == "step"
        outcome = await wait_for_outcome(
            self._parts,
            plan.trigger.workspace_id,
            fired.run_id,
            fired.run_no,
            wants_step=wants_step,
            within_s=self._wait_max_s,
        )
        if outcome is None:
            return make_accepted(fired)
        return make_outcome(outcome, fired, request.request_id, wants_step=wants_step)

    async def _note_refusal(self, request: _Request, fault: FlowForgeError) -> None:
        trigger, problem = request.plan.trigger, request.plan.proof.problem
        error = problem if problem is not None and isinstance(fault, SignatureError) else name_fault(fault)
        occurrence = Occurrence(
            trigger, {}, request.at_ms, remote_address=request.address, user_agent=request.find_header("user-agent")
        )
        self._parts.port(Firing).remember(occurrence, status=find_status(fault), error=error)
        if isinstance(fault, SignatureError):
            await self._guesses.count(request.address)
        if isinstance(fault, IdempotencyMismatchError):
            author = Author(trigger.actor, address=request.address, request_id=request.request_id, at_ms=request.at_ms)
            async with self._parts.database.write.begin() as session:
                await record_as(
                    session, author, "trigger.delivery_mismatch", "trigger", trigger.id, workspace_id=trigger.workspace_id
                )


def make_hook_layer(parts: Parts) -> Wrap:
    """The layer for `make_application`."""
    return lambda app: HookIntake(app, parts)


def _may_come_from(plan: HookPlan, address: str) -> bool:
    return not plan.addresses or is_trusted(address, plan.addresses)


def _read_headers(scope: Scope) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    return headers


def _refuse_long(headers: dict[str, list[str]], most_bytes: int) -> None:
    """What says itself that it is too long is refused before it is read."""
    length = next(iter(headers.get("content-length", ())), "0")
    if not length.isdigit() or len(length) > 19:
        raise BadRequestError("Content-Length is no number.", reason="header_invalid", field="Content-Length")
    if int(length) > most_bytes:
        raise PayloadTooLargeError(most_bytes)


async def _read_body(receive: Receive, most_bytes: int) -> bytes:
    """The frame around us watches the time that a body takes, and its size as far as it is known before."""
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise BadRequestError("The body broke off, or did not come in time.", reason="body_incomplete")
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > most_bytes:
            raise PayloadTooLargeError(most_bytes)
        if not message.get("more_body", False):
            return b"".join(pieces) if len(pieces) > 1 else pieces[0]


def _find_challenge(form: str, body: JsonValue) -> str | None:
    """Slack asks a new address to say a word back."""
    if form != "slack" or not isinstance(body, dict) or body.get("type") != "url_verification":
        return None
    challenge = body.get("challenge")
    if not isinstance(challenge, str) or len(challenge.encode(errors="replace")) > CHALLENGE_MAX_BYTES:
        message = f"The challenge is a text of at most {CHALLENGE_MAX_BYTES} bytes."
        raise BadRequestError(message, reason="challenge_invalid", field="challenge")
    return challenge
