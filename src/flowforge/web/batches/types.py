"""Long work that outlives its request and its process: a row that says how far it is, and kinds that know how to go on.

Whoever begins a batch works on it for as long as its caller waits, then lets go; a duty of the server goes on. What a kind does in a
slice may be done twice, if a process dies before the slice is written down.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, Protocol

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.times import format_timestamp_ms
from flowforge.web.calls import Parts

HELD_MS: Final = 30_000
"""A worker that has not written for so long has died, and somebody else goes on."""


class BatchStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Batch:
    """`request`: what was asked, and `place`: how far it is, both in the words of the kind. `total` None: not counted.

    `failed`: how many of the `done` could not be done; `error`: why the batch as a whole could not go on.
    """

    id: str
    workspace_id: str
    kind: str
    actor: str
    request: JsonObject
    created_at_ms: int
    status: BatchStatus = BatchStatus.QUEUED
    place: JsonValue = None
    total: int | None = None
    done: int = 0
    failed: int = 0
    result: JsonObject = field(default_factory=dict[str, JsonValue])
    error: JsonObject | None = None
    is_stopping: bool = False
    finished_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Slice:
    """What one slice has done: `done` and `failed` are added, `result` replaces the one before. `is_last`: nothing is left."""

    place: JsonValue
    done: int
    failed: int
    result: JsonObject
    is_last: bool


class BatchKind(Protocol):
    """A kind of long work."""

    @property
    def name(self) -> str: ...

    async def advance(self, parts: Parts, batch: Batch) -> Slice:
        """Does the next slice: a second of work, or less. It may have been done before, when a process died.

        Raises:
            RequestError: the batch cannot go on, and fails.
            DependencyError: not now; it is tried again.
        """
        ...


class BatchKinds:
    """The kinds that this process knows; wired under this class."""

    def __init__(self, kinds: Iterable[BatchKind]) -> None:
        self._kinds = {kind.name: kind for kind in kinds}

    def find(self, name: str) -> BatchKind | None:
        """None: a batch of another version, which is left alone."""
        return self._kinds.get(name)


def add_slice(batch: Batch, made: Slice, now_ms: int) -> Batch:
    """The batch with a slice done."""
    after = replace(batch, place=made.place, done=batch.done + made.done, failed=batch.failed + made.failed, result=made.result)
    if made.is_last:
        return replace(after, status=BatchStatus.COMPLETED, finished_at_ms=now_ms)
    return replace(after, status=BatchStatus.RUNNING)


def describe_batch(batch: Batch) -> JsonObject:
    """As the API shows it. `result` is there from the end on."""
    return {
        "id": batch.id,
        "kind": batch.kind,
        "status": batch.status,
        "total": batch.total,
        "done": batch.done,
        "failed": batch.failed,
        "result": None if batch.finished_at_ms is None else batch.result,
        "error": batch.error,
        "created_at": format_timestamp_ms(batch.created_at_ms),
        "finished_at": None if batch.finished_at_ms is None else format_timestamp_ms(batch.finished_at_ms),
    }
