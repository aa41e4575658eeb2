"""Signals: to one run, or to all that wait for them."""

from typing import Annotated

from fastapi import Header
from starlette.requests import Request
from starlette.responses import Response

from flowforge.audit.service import record
from flowforge.engine.store import NewEvent
from flowforge.kit.border import encode
from flowforge.kit.values import JsonObject
from flowforge.runs.errors import RunEndedError, RunNotFoundError
from flowforge.runs.once import IdempotencyMismatchError
from flowforge.runs.ports import RunGround
from flowforge.runs.schemas import SentAnswer, SignalBody, SignalledAnswer
from flowforge.runs.sight import OPERATE, get_run_for
from flowforge.runs.start_request import KEY_HEADER, read_key
from flowforge.runs.telling import Word, tell_run
from flowforge.web.answers import make_json
from flowforge.web.calls import CallIn
from flowforge.web.routing import Router

router = Router("runs")

KeyIn = Annotated[
    str | None,
    Header(alias=KEY_HEADER, description="1 to 255 visible ASCII characters; with the same key a run gets the signal once."),
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
    key = read_key(request.scope["headers"])
    async with call.read() as session:
        header = await get_run_for(session, call, run_id, OPERATE)
    noted: JsonObject = {"name": body.name, "key": body.key}
    dedup = None if key is None else f"signal:{key}"
    is_new = await tell_run(call, header, [Word("signal", make_signal(body), noted, dedup)])
    answer: JsonObject = {"run_id": header.id, "sent": "signal", "steps": [], "duplicate": not is_new}
    return make_json(answer, 202, None if is_new else {"idempotency-replayed": "true"})


@router.post("/signals", OPERATE, status=202, response_model=SignalledAnswer)
async def send_signal_to_all(call: CallIn, body: SignalBody) -> JsonObject:
    """Send a signal to every run of the workspace that waits for it, now or within 24 hours."""
    call.require(OPERATE)
    async with call.change() as session:
        await record(session, call, "signal.sent", "signal", body.name, after={"name": body.name, "key": body.key})
    event = NewEvent(call.workspace_id, body.name, body.key, encode(make_signal(body)), call.actor, call.now_ms)
    return {"name": body.name, "reached": await call.port(RunGround).publish(event)}


def make_signal(body: SignalBody) -> JsonObject:
    """As the engine reads it."""
    signal: JsonObject = {"name": body.name, "payload": body.payload}
    return signal if body.key is None else signal | {"key": body.key}
