"""Backfill: the slots of a window in the past, run now. A slot that has its run already gets no second one."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from flowforge.kit.errors import DependencyError, FlowForgeError, RequestError, StorageError
from flowforge.language.times import format_timestamp_ms
from flowforge.triggers.firing import Firing, name_fault
from flowforge.triggers.schedule_errors import WindowError
from flowforge.triggers.schedule_firing import describe_slot
from flowforge.triggers.schedule_times import OpenDays, Schedule, Slot, list_slots
from flowforge.triggers.types import Fired, Trigger

BACKFILL_MAX: Final = 1_000
"""Slots of one backfill."""
_AT_ONCE: Final = 16
_ERRORS_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Refused:
    """A slot that got no run."""

    slot: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Backfilled:
    """What became of a window. `errors`: of the first slots that failed."""

    total: int
    started: int
    existing: int
    failed: int
    errors: tuple[Refused, ...]


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


async def run_backfill(firing: Firing, trigger: Trigger, slots: Sequence[Slot], at_ms: int) -> Backfilled:
    """Starts the slots' runs, also where the trigger is paused.

    Raises:
        StorageError: the database cannot be used; what was started stays, and a repeat starts the rest.
    """
    gate = asyncio.Semaphore(_AT_ONCE)

    async def start(slot: Slot) -> Fired | FlowForgeError:
        occurrence = describe_slot(trigger, slot.at_ms, slot.nominal, is_late=True, at_ms=at_ms, is_forced=True)
        async with gate:
            try:
                return await firing.start(occurrence)
            except (RequestError, DependencyError) as fault:
                return fault

    answers = await asyncio.gather(*(start(slot) for slot in slots))
    for answer in answers:
        if isinstance(answer, StorageError):
            raise answer
    fired = [answer for answer in answers if isinstance(answer, Fired)]
    refused = [
        Refused(format_timestamp_ms(slot.at_ms), name_fault(answer), answer.message)
        for slot, answer in zip(slots, answers, strict=True)
        if isinstance(answer, FlowForgeError)
    ]
    existing = sum(answer.is_duplicate for answer in fired)
    return Backfilled(len(slots), len(fired) - existing, existing, len(refused), tuple(refused[:_ERRORS_MAX]))
