"""A turn in the making: the events written so far, each folded at once, and the work that they ask for."""

from collections.abc import Callable
from typing import Final

from flowforge.engine.events import ErrorValue, Event
from flowforge.engine.machine.folding import fold
from flowforge.engine.machine.state import RunState, Side, is_waiting
from flowforge.engine.machine.work import Abort, CancelChild, DropJob, Outcome, Work
from flowforge.kit.values import JsonValue
from flowforge.language.expressions import ExpressionError

TURN_EVENTS_MAX: Final = 2_000
"""A turn ends about here even if more follows: the next one goes on, after the turns of other runs."""


class TurnSheet:
    """Collects what one turn of one run does. `allocate_no` gives the number of a run to be born."""

    __slots__ = (
        "allocate_no",
        "at",
        "events",
        "has_fired",
        "recorded",
        "slots_freed",
        "state",
        "waits_removed",
        "was_waiting",
        "work",
    )

    def __init__(self, state: RunState, at: int, allocate_no: Callable[[], int]) -> None:
        self.state = state
        self.at = at
        self.allocate_no = allocate_no
        self.events: list[Event] = []
        self.work: list[Work] = []
        self.has_fired = False
        self.was_waiting = is_waiting(state)
        self.recorded: list[Outcome] = []
        """What came from outside; a turn that is void is made again from it."""
        self.waits_removed: list[str] = []
        self.slots_freed: list[str] = []

    def write(self, event: Event) -> None:
        self.events.append(event)
        fold(self.state, event, self.at)

    @property
    def is_full(self) -> bool:
        return len(self.events) >= TURN_EVENTS_MAX

    def ask(self, work: Work) -> None:
        self.work.append(work)

    def take_side(self) -> None:
        """Turns what folding noted beside the state into work."""
        side = self.state.side
        if side.aborts or side.children_cancelled or side.jobs_dropped or side.waits_removed or side.slots_freed:
            self.work.extend(Abort(key) for key in side.aborts)
            self.work.extend(DropJob(*job) for job in side.jobs_dropped)
            self.work.extend(CancelChild(run_no) for run_no in side.children_cancelled)
            self.waits_removed.extend(side.waits_removed)
            self.slots_freed.extend(side.slots_freed)
            self.state.side = Side()


def error_of(fault: ExpressionError) -> ErrorValue:
    """An expression's error as an error value; the message names the path, never a value."""
    error: ErrorValue = {"code": fault.code, "message": str(fault)}
    if fault.path:
        details: dict[str, JsonValue] = {"path": fault.path}
        error["details"] = details
    return error
