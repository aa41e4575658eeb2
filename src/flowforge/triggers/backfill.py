"""Backfill: the slots of a window in the past, run now. A slot that has its run already gets no second one."""

import asyncio
from collections.abc import Sequence
from typing import Final, cast

from flowforge.kit.errors import FlowForgeError, RequestError
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.times import format_timestamp_ms
from flowforge.triggers.firing import Firing, name_fault
from flowforge.triggers.reading import get_row, read_trigger
from flowforge.triggers.schedule_errors import WindowError
from flowforge.triggers.schedule_firing import describe_slot
from flowforge.triggers.schedule_times import OpenDays, Schedule, Slot, list_slots
from flowforge.triggers.types import Fired, Trigger
from flowforge.web.batches.types import Batch, Slice
from flowforge.web.calls import Call, Parts

BACKFILL: Final = "schedules.backfill"
BACKFILL_MAX: Final = 1_000
"""Slots of one backfill."""
_SLICE: Final = 16
"""So many start at once."""
_ERRORS_MAX: Final = 20


def choose_slots(schedule: Schedule, from_ms: int, to_ms: int, now_ms: int, is_open: OpenDays | None) -> list[Slot]:
    """The slots of a window, both ends included.

    Raises:
        WindowError: `time_order`, `time_future` (what is to come fires by itself), `slots_max`.
    """
    if to_ms < from_ms:
        raise WindowError("to", "The window ends before it begins.", "time_order")
    if to_ms > now_ms:
        raise WindowError("to", "The window reaches into the future, where slots fire by themselves.", "time_future")
    slots = list_slots(schedule, from_ms - 1, to_ms, BACKFILL_MAX + 1, is_open)
    if len(slots) > BACKFILL_MAX:
        message = f"The window has more than {BACKFILL_MAX} slots; take several smaller ones."
        raise WindowError("from", message, "slots_max")
    return slots


def make_backfill(call: Call, trigger: Trigger, slots: Sequence[Slot]) -> Batch:
    """A batch that starts the slots' runs, also where the trigger is paused."""
    told: list[JsonValue] = [[slot.at_ms, slot.nominal] for slot in slots]
    return Batch(
        id=call.make_id("bat"),
        workspace_id=call.workspace_id,
        kind=BACKFILL,
        actor=call.actor,
        request={"trigger": trigger.id, "slots": told},
        created_at_ms=call.now_ms,
        total=len(slots),
        result={"total": len(slots), "started": 0, "existing": 0, "failed": 0, "errors": []},
    )


class BackfillKind:
    """See `batches.BatchKind`. A slot has the name under which its run is started once, so a slice may be repeated."""

    @property
    def name(self) -> str:
        return BACKFILL

    async def advance(self, parts: Parts, batch: Batch) -> Slice:
        async with parts.database.read() as session:
            trigger = read_trigger(await get_row(session, batch.workspace_id, str(batch.request["trigger"])))
        slots = cast("list[tuple[int, str]]", batch.request["slots"])
        first = batch.place if isinstance(batch.place, int) else 0
        chosen = slots[first : first + _SLICE]
        answers = await asyncio.gather(*(_start(parts, batch, trigger, at_ms, nominal) for at_ms, nominal in chosen))
        result = _add_answers(batch.result, [at_ms for at_ms, _ in chosen], answers)
        failed = sum(isinstance(answer, FlowForgeError) for answer in answers)
        return Slice(first + len(chosen), len(chosen), failed, result, is_last=first + len(chosen) >= len(slots))


async def _start(parts: Parts, batch: Batch, trigger: Trigger, at_ms: int, nominal: str) -> Fired | RequestError:
    occurrence = describe_slot(trigger, at_ms, nominal, is_late=True, at_ms=batch.created_at_ms, is_forced=True)
    try:
        return await parts.port(Firing).start(occurrence)
    except RequestError as fault:
        return fault


def _add_answers(before: JsonObject, slots_ms: Sequence[int], answers: Sequence[Fired | RequestError]) -> JsonObject:
    fired = [answer for answer in answers if isinstance(answer, Fired)]
    existing = sum(answer.is_duplicate for answer in fired)
    refused: list[JsonValue] = [
        {"slot": format_timestamp_ms(at_ms), "code": name_fault(answer), "message": answer.message}
        for at_ms, answer in zip(slots_ms, answers, strict=True)
        if isinstance(answer, RequestError)
    ]
    return {
        "total": before["total"],
        "started": cast("int", before["started"]) + len(fired) - existing,
        "existing": cast("int", before["existing"]) + existing,
        "failed": cast("int", before["failed"]) + len(refused),
        "errors": [*cast("list[JsonValue]", before["errors"]), *refused][:_ERRORS_MAX],
    }
