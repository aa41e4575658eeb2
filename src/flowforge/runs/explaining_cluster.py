"""Why a run of a cluster waits, as far as its own state does not tell: nobody there who may take it, or who would notice."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from flowforge.cluster.queues import JobLine
from flowforge.engine.events import EVENTS_FORMAT
from flowforge.engine.ports import RUN_QUEUE
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.runs.repository import QueueRow
from flowforge.runs.times import format_optional_time

HOLDERS_MOST: Final = 3
"""Runs that are named of those which hold the places of a limit."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a run of a cluster depends on. `served`: the queues of living workers; `holders`: ids of the runs that hold the places of the
    limit which the run waits for; `jobs`: its own; `broker_trouble`: why the broker does not answer, None where it does or there is none.
    """

    served: Collection[str]
    has_scheduler: bool
    holders: Sequence[str]
    jobs: Sequence[JobLine]
    broker_trouble: str | None


def find_obstacle(
    queue: QueueRow | None, owner: int | None, *, is_dead: bool, now_ms: int, around: Surroundings
) -> JsonObject | None:
    """What keeps everybody from taking the run; None where nothing does. `is_dead`: its owner is."""
    if queue is None:
        return _explain_dead_owner(owner, around) if is_dead else None
    if queue.due_at_ms > now_ms:
        return None
    if queue.needs > EVENTS_FORMAT:
        return _say(
            f"The run was carried on by a newer version (its events have the format {queue.needs}, this version knows {EVENTS_FORMAT}): "
            "only a worker of that version takes it.",
            {"kind": "newer", "ref": {"needs": queue.needs, "known": EVENTS_FORMAT}},
        )
    if RUN_QUEUE not in around.served:
        return _say(
            f"The run could go on, but no living worker takes runs (the queue {RUN_QUEUE}): `flowforge worker --queues {RUN_QUEUE}` "
            "starts one.",
            {"kind": "no_worker", "ref": {"queue": RUN_QUEUE}},
        )
    return None


def add_surroundings(explained: JsonObject, queue: QueueRow | None, now_ms: int, around: Surroundings) -> JsonObject:
    """The explanation with what the cluster adds: who holds the limit, which jobs nobody may take, that the broker does not answer."""
    sentence, listed = str(explained["sentence"]), explained["causes"]
    causes: list[JsonValue] = list(listed) if isinstance(listed, list) else []
    if around.holders:
        sentence = f"{sentence} They are held by {', '.join(around.holders)}."
        causes = [_add_holders(cause, around.holders) for cause in causes]
    stranded = [job for job in around.jobs if job.owner is None and job.queue not in around.served]
    if stranded:
        first = stranded[0]
        sentence = (
            f"The step {first.step} waits for a worker that serves the queue {first.queue}: "
            f"`flowforge worker --queues {first.queue}` starts one."
        )
        causes = [*map(_describe_stranded, stranded), *causes]
    elif causes and isinstance(causes[0], dict) and causes[0].get("kind") == "job":
        sentence = _say_jobs(around.jobs) or sentence
    waits = any(job.owner is None for job in around.jobs) or (queue is not None and queue.due_at_ms <= now_ms)
    if around.broker_trouble is not None and waits:
        sentence = f"{sentence} The broker does not answer, so that workers find it by looking (POLL)."
        causes.append({"kind": "broker_unreachable", "ref": {"reason": around.broker_trouble}})
    return {**explained, "sentence": sentence, "causes": causes}


def _explain_dead_owner(owner: int | None, around: Surroundings) -> JsonObject:
    ref: JsonObject = {"worker": owner}
    if around.has_scheduler:
        sentence = f"The worker {owner} that had the run is dead; the scheduler gives the run to another one."
        return _say(sentence, {"kind": "worker_dead", "ref": ref})
    sentence = (
        f"The worker {owner} that had the run gives no sign of life, and no scheduler is alive that would notice: "
        "`flowforge scheduler` starts one."
    )
    return _say(sentence, {"kind": "waiting_for_scheduler", "ref": ref})


def _say(sentence: str, cause: JsonObject) -> JsonObject:
    return {"sentence": sentence, "causes": [cause]}


def _add_holders(cause: JsonValue, holders: Sequence[str]) -> JsonValue:
    if not isinstance(cause, dict) or cause.get("kind") not in {"concurrency", "slot"}:
        return cause
    return {**cause, "holders": list(holders)}


def _say_jobs(jobs: Sequence[JobLine]) -> str | None:
    """Who makes the run's jobs, or that one waits for its turn; None where it has none."""
    if not jobs:
        return None
    first = next((job for job in jobs if job.owner is not None), jobs[0])
    more = len(jobs) - 1
    others = "" if not more else f" {more} more of its jobs {'is' if more == 1 else 'are'} under way or queued."
    since = format_optional_time(first.at_ms)
    if first.owner is None:
        return f"The step {first.step} waits in the queue {first.queue} for its turn, attempt {first.attempt}, since {since}.{others}"
    return (
        f"The step {first.step} runs on the worker {first.owner} (a job of the queue {first.queue}), attempt {first.attempt}, "
        f"queued at {since}.{others}"
    )


def _describe_stranded(job: JobLine) -> JsonObject:
    ref: JsonObject = {"queue": job.queue, "attempt": job.attempt}
    return {"kind": "no_worker", "step": job.step, "since": format_optional_time(job.at_ms), "ref": ref}
