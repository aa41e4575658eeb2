"""Signals: to one run, or to all that wait for them."""

from typing import Annotated, Final

from fastapi import Header
from starlette.requests import Request
from starlette.responses import Response

from flowforge.engine.store import NewEvent
from flowforge.kit.border import digest_value, encode
from flowforge.kit.values import JsonObject
from flowforge.runs.broadcasting import tell_all
from flowforge.runs.errors import RunEndedError, RunNotFoundError
from flowforge.runs.kept_answers import Asked
from flowforge.runs.once import IdempotencyMismatchError
from flowforge.runs.schemas import SentAnswer, SignalBody, SignalledAnswer
from flowforge.runs.sight import OPERATE, get_run_for
from flowforge.runs.start_request import KEY_HEADER, read_key
from flowforge.runs.telling import Word, tell_run, tell_run_once
from flowforge.web.answers import make_json
from flowforge.web.calls import Call, CallIn
from flowforge.web.routing import Router

router = Router("runs")

_REPLAYED: Final = {"idempotency-replayed": "true"}
KeyIn = Annotated[
    str | None,
    Header(
        alias=KEY_HEADER,
        description="1 to 255 visible ASCII characters; with the same key, within 24 hours, runs get the signal once.",
    ),
]


@router.post(
    "/runs/{run_id}/signals",
    OPERATE,
    status=202,
    errors=[RunNotFoundError, RunEndedError, IdempotencyMismatchError],
    response_model=SentAnswer,
)
async def send_signal(call: CallIn, run_id: str, body: SignalBody, request: Request, idempotency_key: KeyIn = None) -> Response:
    """Send a signal to a run. It is kept until a step of the run waits for it."""
    del idempotency_key  # declared for the document; read strictly here
    async with call.read() as session:
        header = await get_run_for(session, call, run_id, OPERATE)
    word = Word("signal", make_signal(body), {"name": body.name, "key": body.key})
    asked, is_new = _read_asked(call, request, f"runs/{header.id}/signals", body), True
    if asked is None:
        await tell_run(call, header, [word])
    else:
        is_new = await tell_run_once(call, header, word, asked)
    answer: JsonObject = {"run_id": header.id, "sent": "signal", "steps": [], "duplicate": not is_new}
    return make_json(answer, 202, None if is_new else _REPLAYED)


@router.post("/signals", OPERATE, status=202, errors=[IdempotencyMismatchError], response_model=SignalledAnswer)
async def send_signal_to_all(call: CallIn, body: SignalBody, request: Request, idempotency_key: KeyIn = None) -> Response:
    """Send a signal to every run of the workspace that waits for it, now or within 24 hours."""
    del idempotency_key  # as above
    call.require(OPERATE)
    event = NewEvent(call.workspace_id, body.name, body.key, encode(make_signal(body)), call.actor, call.now_ms)
    sent = await tell_all(call, event, _read_asked(call, request, "signals", body))
    answer: JsonObject = {"name": body.name, "reached": sent.reached}
    return make_json(answer, 202, _REPLAYED if sent.is_repeat else None)


def make_signal(body: SignalBody) -> JsonObject:
    """As the engine reads it."""
    signal: JsonObject = {"name": body.name, "payload": body.payload}
    return signal if body.key is None else signal | {"key": body.key}


def _read_asked(call: Call, request: Request, path: str, body: SignalBody) -> Asked | None:
    key = read_key(request.scope["headers"])
    return None if key is None else Asked(call.workspace_id, path, key, digest_value(make_signal(body)))
