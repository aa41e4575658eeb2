"""How long work is asked for over HTTP: 200 with its result if that comes within `wait`, else 202 and where to look."""

from typing import Annotated, Any, Final, Literal

from fastapi import Query
from pydantic import Field, WithJsonSchema
from starlette.responses import Response

from flowforge.web.answers import make_json
from flowforge.web.batches.types import Batch, describe_batch
from flowforge.web.batches.working import get_batch, work_while_asked
from flowforge.web.bodies import Answer, JsonField
from flowforge.web.calls import Call

WAIT_DEFAULT: Final = "2s"
WaitIn = Annotated[str, Query(max_length=100, description="How long to wait for the result, up to 60s.", examples=["30s"])]
"""`wait: WaitIn = WAIT_DEFAULT`; read it with `read_wait`."""

_Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time", "description": "RFC 3339, in UTC."})]


class BatchAnswer(Answer):
    """Long work, and how far it is."""

    id: str = Field(examples=["bat_01k3v6m5w8e9q2r4t6y8a0c2d4"])
    kind: str
    status: Literal["queued", "running", "completed", "failed", "stopped"]
    total: int | None = Field(description="Null: not counted yet.")
    done: int
    failed: int
    result: JsonField
    error: Annotated[dict[str, Any], WithJsonSchema({"type": "object", "additionalProperties": True})] | None
    created_at: _Time
    finished_at: _Time | None


GOES_ON: Final[dict[int | str, dict[str, Any]]] = {
    202: {"model": BatchAnswer, "description": "It goes on; `Location` says where to look."}
}
"""`answers` of a route that begins long work."""


async def answer_batch(call: Call, batch: Batch, wait_ms: int) -> Response:
    """Works on a batch that is stored, for as long as the caller waits.

    Raises:
        RequestError: it could not go on, and has failed, while the caller waited.
    """
    fault = await work_while_asked(call.parts, call.workspace_id, batch.id, wait_ms / 1_000)
    if fault is not None:
        raise fault
    batch = await get_batch(call, batch.id)
    location = {"location": f"/api/v1/batches/{batch.id}"}
    if batch.finished_at_ms is None:
        return make_json(describe_batch(batch), 202, location)
    return make_json(batch.result, 200, location)
