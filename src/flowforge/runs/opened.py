"""A run as it was opened. Loads no engine: the command line looks at runs too."""

from collections.abc import Sequence
from dataclasses import dataclass

from flowforge.engine.machine import RunState
from flowforge.kit.values import JsonObject
from flowforge.runs.explaining import Standing, explain_run, find_status, fold_run, list_statuses
from flowforge.runs.service import LoadedRun
from flowforge.runs.types import RunHeader, StepRecord


@dataclass(frozen=True, slots=True)
class OpenedRun:
    """`state` None: the run's definition does not compile here."""

    run: LoadedRun
    state: RunState | None
    standing: Standing
    status: str
    steps: Sequence[StepRecord]

    @property
    def header(self) -> RunHeader:
        return self.run.header

    def explain(self) -> JsonObject:
        """`{"sentence", "causes"}`: why the run is where it is."""
        return explain_run(self.run, self.state, self.standing)


def look_at(run: LoadedRun, standing: Standing) -> OpenedRun:
    """The run with the engine's state of it, and where it stands."""
    state = fold_run(run)
    steps = run.history.list_steps(None if state is None else list_statuses(state))
    return OpenedRun(run, state, standing, find_status(run, state, standing), steps)
