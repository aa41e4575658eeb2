"""`POST /runs/bulk`."""

from starlette.responses import Response

from flowforge.kit.values import JsonObject
from flowforge.runs.bulk import PERMISSIONS, count_bulk, create_bulk, find_doable, prepare_bulk
from flowforge.runs.criteria import read_criteria
from flowforge.runs.errors import BulkChoiceError, BulkSizeError, RunNotFoundError
from flowforge.runs.schemas import BulkAnswer, BulkBody
from flowforge.runs.sight import OPERATE
from flowforge.web.answers import make_json
from flowforge.web.batches.answering import GOES_ON, WAIT_DEFAULT, WaitIn, answer_batch
from flowforge.web.calls import Call, CallIn
from flowforge.web.errors import PermissionMissingError
from flowforge.web.routing import Router
from flowforge.web.waiting import read_wait

router = Router("runs", "/runs")


@router.post(
    "/bulk",
    OPERATE,
    errors=[RunNotFoundError, BulkSizeError, BulkChoiceError],
    response_model=BulkAnswer,
    answers=GOES_ON,
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
    return await answer_batch(call, batch, wait_ms)


async def _count(call: Call, request: JsonObject) -> JsonObject:
    async with call.report() as session:
        matched = await count_bulk(session, call.workspace_id, request)
        changed = matched if "ids" not in request else len(await find_doable(session, call.workspace_id, request))
    return {"action": request["action"], "matched": matched, "changed": changed, "failed": []}
