"""Where a run stands, and why it waits: the engine's state folded from the journal."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from flowforge.engine.machine import Program, RunState, fold
from flowforge.engine.machine.state import STATUS_NAMES
from flowforge.engine.why import explain_state, run_status, say_why
from flowforge.kit.border import decode
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.times import format_timestamp_ms
from flowforge.runs.explaining_cluster import Surroundings, add_surroundings, find_obstacle
from flowforge.runs.service import LoadedRun, QueueRow
from flowforge.runs.times import format_optional_time

_CONCURRENCY: Final = "concurrency"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an open run stands. `workers`: numbers of the workers that are alive; `owner` None: nobody has the run in memory.

    `around`: of a cluster, None on SQLite.
    """

    queue: QueueRow | None
    owner: int | None
    workers: Collection[int]
    now_ms: int
    around: Surroundings | None = None


def fold_run(run: LoadedRun) -> RunState | None:
    """The engine's state of the run; None where the definition does not compile here any more."""
    if run.workflow is None:
        return None
    state = RunState(Program(run.workflow), run.history.get_started(), run.header.started_at_ms)
    for turn in run.turns:
        for event in turn.events:
            fold(state, event, turn.at_ms)
    return state


def list_statuses(state: RunState) -> dict[str, str]:
    """The status of each step in the graphs that are open, by its key."""
    return {
        scope.key(index): STATUS_NAMES[status]
        for scope in list(state.scopes.values())
        for index, status in enumerate(scope.status)
    }


def find_status(run: LoadedRun, state: RunState | None, standing: Standing) -> str:
    """The run's status: what its journal says, except that a run which nobody has begun is queued."""
    if run.history.finished is not None:
        return run.history.finished["status"]
    if run.header.status == "queued" and standing.queue is not None:
        return "queued"
    return run.header.status if state is None else run_status(state)


def explain_run(run: LoadedRun, state: RunState | None, standing: Standing) -> JsonObject:
    """`{"sentence", "causes": [{"kind", "step", "since", "until"?, "ref"?}]}`: why the run is where it is."""
    finished = run.history.finished
    if finished is not None:
        return _explain_end(run)
    newer = None if standing.queue is None else _find_left_to_newer(standing.queue)
    if newer is not None:
        return _explain(newer, standing.now_ms)
    around = standing.around
    if around is None:
        return _explain_alone(standing) or _explain_own(run, state, standing)
    is_dead = standing.owner is not None and standing.owner not in standing.workers
    obstacle = None
    if not _waits_for_place(standing.queue):
        obstacle = find_obstacle(standing.queue, standing.owner, is_dead=is_dead, now_ms=standing.now_ms, around=around)
    return add_surroundings(obstacle or _explain_own(run, state, standing), standing.queue, standing.now_ms, around)


def _waits_for_place(queue: QueueRow | None) -> bool:
    return queue is not None and queue.cause == _CONCURRENCY


def _explain_alone(standing: Standing) -> JsonObject | None:
    """What keeps a run of a data folder from going on: nobody works there."""
    queue = standing.queue
    if _waits_for_place(queue):
        return None
    if queue is None and standing.owner is not None and standing.owner not in standing.workers:
        return _say(f"The worker {standing.owner} that had the run is dead; the run goes on {_HOW}.", "worker_dead")
    if queue is not None and queue.due_at_ms <= standing.now_ms and not standing.workers:
        return _say(f"The run could go on, but no worker runs here: it goes on {_HOW}.", "no_worker")
    return None


def _explain_own(run: LoadedRun, state: RunState | None, standing: Standing) -> JsonObject:
    """What the run itself waits for."""
    queue = standing.queue
    if queue is not None and queue.cause == _CONCURRENCY:
        return _explain(_read_queue_cause(queue), standing.now_ms)
    if queue is not None and run.header.status == "queued":
        return _explain({"causes": [{"kind": "queued", "step": "", "since": run.header.started_at_ms}]}, standing.now_ms)
    if state is None:
        return _say("The run cannot be explained, because its definition uses what is not installed here.", "not_installed")
    return _explain(explain_state(state), standing.now_ms)


_HOW: Final = "as soon as `flowforge up` or `flowforge runs continue` runs"


def _explain_end(run: LoadedRun) -> JsonObject:
    finished = run.history.finished
    assert finished is not None
    at_ms = run.history.finished_at_ms or run.header.started_at_ms
    sentence = f"The run has ended: {finished['status']} at {format_timestamp_ms(at_ms)}."
    error = finished.get("error")
    if error is not None:
        where = f" in the step {error['step']}" if "step" in error else ""
        sentence = f"{sentence[:-1]}, because of {error['code']}{where}: {error['message']}"
    return {"sentence": sentence, "causes": []}


def _read_queue_cause(queue: QueueRow) -> JsonObject:
    stored = decode(queue.why) if queue.why is not None else None
    if isinstance(stored, dict) and "causes" in stored:
        return stored
    return {
        "causes": [
            {"kind": _CONCURRENCY, "step": "", "since": queue.since_ms, "ref": {"scope": queue.scope, "limit": queue.limit}}
        ]
    }


def _find_left_to_newer(queue: QueueRow) -> JsonObject | None:
    """Why the run is in the queue, if it is there for a worker of a newer version."""
    stored = decode(queue.why) if queue.why is not None else None
    causes = stored.get("causes") if isinstance(stored, dict) else None
    first = causes[0] if isinstance(causes, list) and causes else None
    return stored if isinstance(stored, dict) and isinstance(first, dict) and first.get("kind") == "newer" else None


def _say(sentence: str, kind: str) -> JsonObject:
    return {"sentence": sentence, "causes": [{"kind": kind}]}


def _explain(explained: JsonObject, now_ms: int) -> JsonObject:
    causes = explained["causes"]
    shown: list[JsonValue] = (
        [_show_cause(cause) for cause in causes if isinstance(cause, dict)] if isinstance(causes, list) else []
    )
    return {"sentence": say_why(explained, now_ms), "causes": shown}


def _show_cause(cause: Mapping[str, JsonValue]) -> JsonObject:
    shown: JsonObject = dict(cause)
    for name in ("since", "until"):
        at_ms = cause.get(name)
        if isinstance(at_ms, int):
            shown[name] = format_optional_time(at_ms)
    return shown
