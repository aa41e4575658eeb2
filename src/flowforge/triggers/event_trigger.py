"""The kind `event`: events of this installation, and named events that are sent to it, start runs."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.cluster.event_types import EVENT_TYPES, EVERY, STEP, is_known_type, is_own_type
from flowforge.kit.errors import Detail
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.faults import suggest_name
from flowforge.language.triggers import TRIGGER_KINDS
from flowforge.triggers.kinds import Kind


async def check_event(
    _session: AsyncSession, _workspace_id: str, parameters: JsonObject, _limits: Limits, _now_ms: int
) -> Sequence[Detail]:
    """Whether the type can be heard: one of ours, a kind of ours, or the name of an event that others send."""
    wanted = str(parameters.get("type", ""))
    if wanted.startswith(f"{STEP}."):
        message = "Events of steps start no runs; listen to run.finished, or let the workflow call the other one."
        return [Detail("type", message, "event_unknown")]
    if wanted == EVERY or (is_own_type(wanted) and not is_known_type(wanted)):
        known = ", ".join(f"{kind}.{name}" for kind, names in EVENT_TYPES.items() if kind != STEP for name in names)
        message = (
            f"There is no event {wanted!r}. Known are {known}; a whole kind (`run.*`); or the name of a signal that is sent."
        )
        suggestion = suggest_name(wanted, known.split(", "))
        return [Detail("type", message, "event_unknown", suggestion=suggestion)]
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
        {"type": "orders.paid"},
    ),
    check=check_event,
)
