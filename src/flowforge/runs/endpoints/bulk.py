"""`POST /runs/bulk`."""

from typing import Annotated, Final

from fastapi import Query
from starlette.responses import Response

from flowforge.kit.values import JsonObject
from flowforge.runs.batch_work import get_batch, work_on
from flowforge.runs.batches import describe_batch
from flowforge.runs.bulk import PERMISSIONS, count_bulk, create_bulk, find_doable, prepare_bulk
from flowforge.runs.criteria import read_criteria
from flowforge.runs.errors import BulkChoiceError, BulkSizeError, RunNotFoundError
from flowforge.runs.schemas import BatchAnswer, BulkAnswer, BulkBody
from flowforge.runs.sight import OPERATE
from flowforge.runs.start_request import read_wait
from flowforge.web.answers import make_json
from flowforge.web.calls import Call, CallIn
from flowforge.web.errors import PermissionMissingError
from flowforge.web.routing import Router

router = Router("runs", "/runs")

WAIT_DEFAULT: Final = "2s"
WaitIn = Annotated[str, Query(max_length=100, description="How long to wait for the result, up to 60s.", examples=["30s"])]
"""`wait: WaitIn = WAIT_DEFAULT`."""


@router.post(
    "/bulk",
    OPERATE,
    errors=[RunNotFoundError, BulkSizeError, BulkChoiceError],
    response_model=BulkAnswer,
    answers={202: {"model": BatchAnswer, "description": "It goes on; `Location` says where to look."}},
)
async def change_many_runs(call: CallIn, body: BulkBody, wait: WaitIn = WAIT_DEFAULT) -> Response:
    """Do the same with many runs. The ids are all looked at first: where one is unknown, nothing is done.

    `where` has no limit; runs that the action does not fit (ended ones, but for `delete`) are left out.
    """
    wait_ms = read_wait(wait)
    if (body.ids is None) is (body.where is None):
        raise BulkChoiceError
    if not call.caller.rights.allow_somewhere(PERMISSIONS[body.action]):
        raise PermissionMissingError(PERMISSIONS[body.action])
    async with call.read() as session:
        request = await prepare_bulk(session, call, body.action, body.ids, read_criteria(body.where))
    if body.dry_run:
        return make_json(await _count(call, request))
    async with call.change() as session:
        batch = await create_bulk(session, call, request, body.reason)
    await work_on(call.parts, call.workspace_id, batch.id, wait_ms / 1_000)
    batch = await get_batch(call, batch.id)
    location = {"location": f"/api/v1/batches/{batch.id}"}
    if batch.finished_at_ms is None:
        return make_json(describe_batch(batch), 202, location)
    return make_json(batch.result, 200, location)


async def _count(call: Call, request: JsonObject) -> JsonObject:
    async with call.report() as session:
        matched = await count_bulk(session, call.workspace_id, request)
        changed = matched if "ids" not in request else len(await find_doable(session, call.workspace_id, request))
    return {"action": request["action"], "matched": matched, "changed": changed, "failed": []}
