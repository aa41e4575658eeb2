"""The rules of the queue that every store shares: who goes first, what a claim writes, how a rate spaces its places."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

import orjson

from flowforge.engine.store import NewMail

T = TypeVar("T")

AGING_MS: Final = 60_000
"""A run rises by one priority for each of these that it is overdue, so that the low ones are reached at last."""
CLAIM_MOST: Final = 500
"""Runs of one claim."""
LOGS_PRUNED_MAX: Final = 10_000
"""Log lines that one look deletes at most; where there were so many, the next look comes at once."""
LOGS_BATCH: Final = 2_000
EVENT_KEPT_MS: Final = 24 * 60 * 60 * 1000
"""How far back a wait may look for named events."""
JOBS_LOST_AT_ONCE: Final = 500
"""Lost jobs that are reported in one transaction."""
SYSTEM_ACTOR: Final = "system"
CANCEL_DISPLACED: Final = b'{"reason":"A newer run took its place (concurrency, cancel_oldest)."}'


class Cause(StrEnum):
    """Why a run is in the queue."""

    DUE = "due"
    MAIL = "mail"
    EXPIRED = "expired"
    RELEASED = "released"
    CONCURRENCY = "concurrency"


class Lost(StrEnum):
    """How a job was lost: its worker died, or left in order, or stopped it because nobody wanted it any more."""

    EXPIRED = "expired"
    RELEASED = "released"
    ABORTED = "aborted"


def report_lost(run_no: int, key: str, attempt: int, how: Lost) -> NewMail:
    """The message to a run of whose job nobody knows the outcome."""
    return NewMail(run_no, "job", orjson.dumps({"step": key, "attempt": attempt, "lost": how}), SYSTEM_ACTOR)


def rank(priority: int, due_at: int, now: int) -> tuple[int, int]:
    """Sorts due runs of one workspace: the smallest goes first."""
    return (max(0, priority - (now - due_at) // AGING_MS), due_at)


def take_in_turn(shares: Sequence[Sequence[T]], limit: int) -> list[T]:
    """At most `limit` things, one from each share in turn."""
    taken: list[T] = []
    depth = 0
    while len(taken) < limit:
        layer = [share[depth] for share in shares if len(share) > depth]
        if not layer:
            break
        taken.extend(layer[: limit - len(taken)])
        depth += 1
    return taken


def encode_claimed(epoch: int, worker: int, cause: str, *, is_poison: bool) -> bytes:
    """The journal row of a claim."""
    why = Cause.DUE if cause == Cause.CONCURRENCY else cause
    event: dict[str, object] = {"type": "run.claimed", "epoch": epoch, "worker": worker, "why": why}
    if is_poison:
        event["poison"] = True
    return orjson.dumps([event])


@dataclass(frozen=True, slots=True)
class Place:
    """`tat_us`: the rate's state after this. `retry_at`: when to ask again, None if the place was given."""

    tat_us: int
    retry_at: int | None


def take_place(tat_us: int, now_ms: int, count: int, per_ms: int) -> Place:
    """A place in a rate of `count` per `per_ms`, evenly spaced: the generic cell rate algorithm (ITU-T I.371) without a burst."""
    if tat_us > now_ms * 1000:
        return Place(tat_us, -(-tat_us // 1000))
    return Place(now_ms * 1000 + per_ms * 1000 // count, None)
