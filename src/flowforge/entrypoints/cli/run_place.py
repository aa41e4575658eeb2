"""Runs, as commands look at them."""

from flowforge.audit.service import record_as
from flowforge.cluster.queues import ALIVE, SCHEDULER_ROLE, list_holders, list_jobs_of, list_served
from flowforge.engine.machine import RunState
from flowforge.entrypoints.cli.failures import UsageError
from flowforge.entrypoints.cli.frame import ACTOR
from flowforge.entrypoints.cli.place import Place
from flowforge.entrypoints.cli.staff import find_living_workers, read_workers
from flowforge.kit.ids import is_id
from flowforge.kit.values import JsonObject
from flowforge.runs.errors import RunEndedError, RunNotFoundError
from flowforge.runs.explaining import Standing
from flowforge.runs.explaining_cluster import HOLDERS_MOST, Surroundings
from flowforge.runs.opened import OpenedRun, look_at
from flowforge.runs.service import LoadedRun, find_queue_row, get_run, load_run
from flowforge.runs.steering import ACTIONS, send_mail
from flowforge.runs.types import RunHeader


def check_run_id(run_id: str) -> str:
    """Raises RunNotFoundError where the text cannot be the id of a run."""
    if not is_id(run_id, "run"):
        raise RunNotFoundError(run_id)
    return run_id


def find_header(place: Place, run_id: str) -> RunHeader:
    """Raises RunNotFoundError where there is no such run."""
    check_run_id(run_id)
    return place.read(lambda session: get_run(session, place.workspace_id, run_id))


def tell_run(
    place: Place, header: RunHeader, kind: str, body: JsonObject, *, action: str = "", noted: JsonObject | None = None
) -> None:
    """A person's word to a run: recorded in the audit log, then handed over. `action`: as the log calls it; else by the kind.

    Raises:
        RunEndedError: the run has ended; where it did so just now, the log says that the word came too late.
        RunNotFoundError: it is gone.
    """
    if not header.is_open:
        raise RunEndedError(header.id, header.status)
    _record(place, header, action or ACTIONS[kind], noted)
    try:
        send_mail(place.installation.store, header, kind, body, by=ACTOR)
    except (RunEndedError, RunNotFoundError):
        _record(place, header, action or ACTIONS[kind], {**(noted or {}), "refused": "run_ended"})
        raise


def _record(place: Place, header: RunHeader, action: str, noted: JsonObject | None) -> None:
    author, workspace_id = place.author, place.workspace_id
    place.write(lambda session: record_as(session, author, action, "run", header.id, after=noted, workspace_id=workspace_id))


def open_run(place: Place, run_id: str) -> OpenedRun:
    """Raises RunNotFoundError where there is no such run."""
    check_run_id(run_id)
    compile_definition = place.installation.compile_definition
    run = place.read(lambda session: load_run(session, place.workspace_id, run_id, compile_definition=compile_definition))
    return look_at(run, _stand(place, run))


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
