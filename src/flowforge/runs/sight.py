"""Which runs a caller may see and steer: rights hold in the whole workspace or in single projects, and who started a run sees it."""

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.ids import parse_id
from flowforge.runs.criteria import Criterion
from flowforge.runs.errors import RunNotFoundError
from flowforge.runs.service import get_run
from flowforge.runs.types import RunHeader
from flowforge.web.calls import Call
from flowforge.web.errors import PermissionMissingError
from flowforge.workflows.service import find_project_of, list_ids_in_projects

READ = "run:read"
OPERATE = "run:operate"
CANCEL = "run:cancel"
DELETE = "run:delete"


def read_run_id(text: str) -> str:
    """An id as it came; capital letters are taken for small ones.

    Raises:
        InvalidIdError: it cannot be the id of a run (`id_invalid`).
    """
    return parse_id(text.lower(), "run")


async def find_sight(session: AsyncSession, call: Call, permission: str = READ) -> tuple[Criterion, ...]:
    """What a list is narrowed down to: nothing where the permission holds in the whole workspace, else the workflows of its projects."""
    projects = call.caller.rights.list_projects(permission)
    if projects is None:
        return ()
    workflow_ids = await list_ids_in_projects(session, call.workspace_id, projects)
    return (Criterion("workflow_id", "in", tuple(workflow_ids) or ("",)),)


async def get_seen_run(session: AsyncSession, call: Call, run_id: str) -> RunHeader:
    """The run, if the caller may look at it.

    Raises:
        InvalidIdError: the text is no id of a run.
        RunNotFoundError: there is none, it is another workspace's, or the caller may not see it: that cannot be told apart.
    """
    header = await get_run(session, call.workspace_id, read_run_id(run_id))
    if header.actor != call.actor and not await _is_allowed(session, call, header, READ):
        raise RunNotFoundError(header.id)
    return header


async def get_run_for(session: AsyncSession, call: Call, run_id: str, permission: str) -> RunHeader:
    """The run, if the caller may do that with it.

    Raises:
        InvalidIdError, RunNotFoundError: as `get_seen_run`.
        PermissionMissingError: the caller sees it, and may not.
    """
    header = await get_run(session, call.workspace_id, read_run_id(run_id))
    if await _is_allowed(session, call, header, permission):
        return header
    if header.actor == call.actor or await _is_allowed(session, call, header, READ):
        raise PermissionMissingError(permission)
    raise RunNotFoundError(header.id)


async def _is_allowed(session: AsyncSession, call: Call, header: RunHeader, permission: str) -> bool:
    rights = call.caller.rights
    if rights.allow(permission):
        return True
    if not rights.allow_somewhere(permission):
        return False
    return rights.allow(permission, await find_project_of(session, header.workspace_id, header.workflow_id))
