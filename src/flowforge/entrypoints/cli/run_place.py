"""Runs, as commands look at them."""

from collections.abc import Sequence
from dataclasses import dataclass

from flowforge.cluster.queues import ALIVE, SCHEDULER_ROLE, list_holders, list_jobs_of, list_served
from flowforge.engine.machine import RunState
from flowforge.entrypoints.cli.failures import UsageError
from flowforge.entrypoints.cli.place import Place
from flowforge.entrypoints.cli.staff import find_living_workers, read_workers
from flowforge.kit.ids import is_id
from flowforge.kit.values import JsonObject
from flowforge.runs.errors import RunNotFoundError
from flowforge.runs.explaining import Standing, explain_run, find_status, fold_run, list_statuses
from flowforge.runs.explaining_cluster import HOLDERS_MOST, Surroundings
from flowforge.runs.service import LoadedRun, find_queue_row, get_run, load_run
from flowforge.runs.types import RunHeader, StepRecord


@dataclass(frozen=True, slots=True)
class OpenedRun:
    """A run with its history, the engine's state of it, and where it stands now."""

    run: LoadedRun
    state: RunState | None
    standing: Standing
    status: str
    steps: Sequence[StepRecord]

    def explain(self) -> JsonObject:
        """`{"sentence", "causes"}`: why the run is where it is."""
        return explain_run(self.run, self.state, self.standing)


def check_run_id(run_id: str) -> str:
    """Raises RunNotFoundError where the text cannot be the id of a run."""
    if not is_id(run_id, "run"):
        raise RunNotFoundError(run_id)
    return run_id


def find_header(place: Place, run_id: str) -> RunHeader:
    """Raises RunNotFoundError where there is no such run."""
    check_run_id(run_id)
    return place.read(lambda session: get_run(session, place.workspace_id, run_id))


def open_run(place: Place, run_id: str) -> OpenedRun:
    """Raises RunNotFoundError where there is no such run."""
    check_run_id(run_id)
    compile_definition = place.installation.compile_definition
    run = place.read(lambda session: load_run(session, place.workspace_id, run_id, compile_definition=compile_definition))
    state = fold_run(run)
    standing = _stand(place, run)
    steps = run.history.list_steps(None if state is None else list_statuses(state))
    return OpenedRun(run, state, standing, find_status(run, state, standing), steps)


def require_state(opened: OpenedRun) -> RunState:
    """The engine's state, which steering a step needs.

    Raises:
        UsageError: the definition does not compile here.
    """
    if opened.state is None:
        raise UsageError(
            f"The definition of {opened.run.header.id} uses what is not installed here, so it cannot be steered here."
        )
    return opened.state


def _stand(place: Place, run: LoadedRun) -> Standing:
    queue = place.read(lambda session: find_queue_row(session, run.header))
    owner, now_ms = run.header.owner, place.now_ms
    if run.history.finished is not None or not place.installation.database_url.is_server:
        return Standing(queue, owner, find_living_workers(place), now_ms)
    staff = read_workers(place)
    scope = None if queue is None else queue.scope
    return Standing(
        queue,
        owner,
        {worker.no for worker in staff if worker.state == ALIVE},
        now_ms,
        Surroundings(
            served=list_served(staff),
            has_scheduler=any(worker.role == SCHEDULER_ROLE for worker in staff if worker.state == ALIVE),
            holders=[] if scope is None else place.read(lambda session: list_holders(session, scope, HOLDERS_MOST)),
            jobs=place.read(lambda session: list_jobs_of(session, run.header.no)),
            broker_trouble=_probe_broker(place),
        ),
    )


def _probe_broker(place: Place) -> str | None:
    url = place.installation.settings.broker_url
    if url is None:
        return None
    # Celery, for a cluster only.
    from flowforge.cluster.messages import probe_broker

    return probe_broker(url.get_secret_value())
