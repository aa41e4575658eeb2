"""`GET /batches/*`, `POST /batches/*/stop`: long work of any kind."""

from flowforge.audit.service import record
from flowforge.kit.ids import parse_id
from flowforge.kit.values import JsonObject
from flowforge.runs.sight import OPERATE, READ
from flowforge.web.batches.answering import BatchAnswer
from flowforge.web.batches.errors import BatchEndedError, BatchNotFoundError
from flowforge.web.batches.types import Batch, describe_batch
from flowforge.web.batches.working import get_batch, stop_batch
from flowforge.web.callers import SIGNED_IN
from flowforge.web.calls import Call, CallIn
from flowforge.web.routing import Router

router = Router("batches", "/batches")


@router.get("/{batch_id}", SIGNED_IN, errors=[BatchNotFoundError], response_model=BatchAnswer)
async def read_batch(call: CallIn, batch_id: str) -> JsonObject:
    """Long work: how far it is, and its result at the end. Who began it sees it, and who may see all runs."""
    return describe_batch(await _get_seen(call, batch_id, READ))


@router.post("/{batch_id}/stop", SIGNED_IN, status=202, errors=[BatchNotFoundError, BatchEndedError], response_model=BatchAnswer)
async def stop(call: CallIn, batch_id: str) -> JsonObject:
    """Begin nothing further of it. What is done stays done. Who began it may, and who may operate all runs."""
    batch = await _get_seen(call, batch_id, OPERATE)
    async with call.change() as session:
        await record(session, call, "batch.stopped", "batch", batch.id)
    return describe_batch(await stop_batch(call, batch.id))


async def _get_seen(call: Call, text: str, permission: str) -> Batch:
    batch_id = parse_id(text.lower(), "bat")
    batch = await get_batch(call, batch_id)
    if batch.actor != call.actor and not call.caller.rights.allow(permission):
        raise BatchNotFoundError(batch_id)
    return batch
