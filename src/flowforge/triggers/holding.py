"""Events that were held while their trigger was paused, and are run now."""

from collections.abc import Sequence
from typing import Final, cast

from flowforge.kit.errors import RequestError
from flowforge.kit.values import JsonValue
from flowforge.runs.once import Once
from flowforge.triggers import event_rows
from flowforge.triggers.firing import Firing, Occurrence, name_fault
from flowforge.triggers.reading import get_row, read_held, read_trigger
from flowforge.triggers.types import HeldEvent, Trigger
from flowforge.web.batches.types import Batch, Slice
from flowforge.web.calls import Call, Parts

EVENTS_RUN: Final = "triggers.events_run"
_SLICE: Final = 50
_FAULTS_KEPT: Final = 1_000


def make_events_run(call: Call, trigger: Trigger, event_ids: Sequence[str]) -> Batch:
    """A batch that makes a run of each of these events, the oldest first."""
    return Batch(
        id=call.make_id("bat"),
        workspace_id=call.workspace_id,
        kind=EVENTS_RUN,
        actor=call.actor,
        request={"trigger": trigger.id, "ids": [*event_ids]},
        created_at_ms=call.now_ms,
        total=len(event_ids),
        result={"run": 0, "failed": [], "left": 0},
    )


class EventsRunKind:
    """See `batches.BatchKind`. An event is forgotten when its run is there, and those that could not start stay held.

    Whoever dies between the two, or does it at the same time, makes no second run: it has the name under which the event came.
    """

    @property
    def name(self) -> str:
        return EVENTS_RUN

    async def advance(self, parts: Parts, batch: Batch) -> Slice:
        trigger_id, ids = str(batch.request["trigger"]), cast("list[str]", batch.request["ids"])
        first = batch.place if isinstance(batch.place, int) else 0
        chosen = ids[first : first + _SLICE]
        async with parts.database.read() as session:
            trigger = read_trigger(await get_row(session, batch.workspace_id, trigger_id))
            rows = await event_rows.list_held(session, batch.workspace_id, trigger_id, ids=chosen, limit=_SLICE)
        events = [read_held(row) for row in rows]
        faults = [fault for event in events if (fault := await _run(parts, trigger, event)) is not None]
        async with parts.database.read() as session:
            left = await event_rows.count_held(session, batch.workspace_id, trigger_id)
        run = cast("int", batch.result["run"]) + len(events) - len(faults)
        failed = [*cast("list[JsonValue]", batch.result["failed"]), *faults][:_FAULTS_KEPT]
        place = first + len(chosen)
        result: dict[str, JsonValue] = {"run": run, "failed": failed, "left": left}
        return Slice(place, len(chosen), len(faults), result, is_last=place >= len(ids))


async def _run(parts: Parts, trigger: Trigger, event: HeldEvent) -> JsonValue:
    """Why it could not start; None: it is a run now."""
    key = event.dedup or event.id
    once = Once("hook" if event.dedup else "held", trigger.id, key, event.digest)
    try:
        await parts.port(Firing).fire(Occurrence(trigger, event.data, event.at_ms, once=once, is_forced=True))
    except RequestError as fault:
        return {"id": event.id, "code": name_fault(fault), "message": fault.message}
    async with parts.database.write.begin() as session:
        await event_rows.delete_held(session, event.workspace_id, event.trigger_id, [event.id])
    return None
