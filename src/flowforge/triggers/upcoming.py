"""When schedules fire next, for who looks at the whole workspace."""

from collections.abc import Sequence

from flowforge.kit.values import JsonObject
from flowforge.runs.times import format_optional_time
from flowforge.triggers import schedule_repository
from flowforge.triggers.rights import list_visible_workflows
from flowforge.web.calls import Call

_READ = "trigger:read"


async def list_next_times(call: Call, limit: int) -> Sequence[JsonObject]:
    """The next time of each schedule that the caller may see and that is not paused, the earliest first."""
    if not call.caller.rights.allow_somewhere(_READ):
        return []
    async with call.report() as session:
        visible = await list_visible_workflows(session, call, _READ)
        found = await schedule_repository.list_upcoming(session, call.workspace_id, workflow_ids=visible, limit=limit)
    return [
        {
            "trigger_id": trigger.id,
            "workflow_id": trigger.workflow_id,
            "workflow": trigger.workflow,
            "at": format_optional_time(row.next_at),
        }
        for row, trigger in found
    ]
