"""The kind `event`: events of this installation start runs."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.errors import Detail
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.triggers import TRIGGER_KINDS
from flowforge.triggers.kinds import Kind

_NO_SUCH: Final = "step."


async def check_event(
    _session: AsyncSession, _workspace_id: str, parameters: JsonObject, _limits: Limits, _now_ms: int
) -> Sequence[Detail]:
    """Events of steps are too many to be offered one by one."""
    if str(parameters.get("type", "")).startswith(_NO_SUCH):
        message = "Events of steps start no runs; listen to run.finished, or let the workflow call the other one."
        return [Detail("type", message, "event_unknown")]
    return ()


def make_input(trigger: JsonObject) -> JsonValue:
    """The event's data."""
    event = trigger["event"]
    return event.get("data", {}) if isinstance(event, dict) else {}


EVENT: Final = Kind(
    TRIGGER_KINDS["event"],
    make_input,
    examples=(
        {"type": "run.finished", "where": "${{ trigger.event.data.status == 'failed' }}"},
        {"type": "workflow.published"},
    ),
    check=check_event,
)
