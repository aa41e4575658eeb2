"""What a webhook answers."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from flowforge.kit.border import encode
from flowforge.kit.errors import Detail
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.steps.webhook.answer_headers import is_allowed, is_value
from flowforge.triggers.hook_waiting import Outcome
from flowforge.triggers.types import Fired
from flowforge.web.answers import make_error, make_json

_SANDBOX: Final = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_NO_BODY: Final = frozenset({204, 205, 304})


def make_accepted(fired: Fired) -> Response:
    """202: stored, and will happen."""
    if fired.event_id is not None:
        return make_json({"event_id": fired.event_id, "duplicate": fired.is_duplicate}, 202)
    return make_json({"run_id": fired.run_id, "status": fired.status, "duplicate": fired.is_duplicate}, 202)


def make_outcome(outcome: Outcome, fired: Fired, request_id: str, *, wants_step: bool) -> Response:
    """The workflow's own answer, once it is there."""
    if outcome.answer is not None:
        return make_own(outcome.answer)
    if outcome.status != "completed":
        return _refuse(outcome, fired, request_id)
    if wants_step:
        return make_json({"run_id": fired.run_id, "status": outcome.status, "duplicate": fired.is_duplicate}, 202)
    return make_json(outcome.output)


def _refuse(outcome: Outcome, fired: Fired, request_id: str) -> Response:
    error = outcome.error or {}
    code = str(error.get("code", outcome.status))
    # What the step said may hold data that is not for the sender: the code names it, the run tells the rest to who may see it.
    message = f"The run {fired.run_id} ended as {outcome.status} ({code})."
    return make_error(422, "OPERATION_FAILED", message, [Detail("", message, code)], request_id)


def make_own(answer: JsonObject) -> Response:
    """What a step `webhook.respond` gave: `{status, headers, body}`. Whatever it says, a browser runs nothing of it."""
    status = answer.get("status")
    number = status if isinstance(status, int) and 200 <= status <= 599 and not 300 <= status <= 399 else 200
    given = answer.get("headers")
    headers = {name.lower(): str(value) for name, value in given.items()} if isinstance(given, dict) else {}
    headers = {name: value for name, value in headers.items() if is_allowed(name) and is_value(value)}
    return _make_response(number, headers, answer.get("body"))


def _make_response(status: int, headers: Mapping[str, str], body: JsonValue) -> Response:
    dressed = {"content-security-policy": _SANDBOX, **headers}
    if body is None or status in _NO_BODY:
        return Response(b"", status, dressed)
    if isinstance(body, str):
        dressed.setdefault("content-type", "text/plain; charset=utf-8")
        return Response(body.encode(errors="replace"), status, dressed)
    dressed.setdefault("content-type", "application/json")
    return Response(encode(body), status, dressed)
