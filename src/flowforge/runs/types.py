"""What the reading side of runs hands out: frozen values with times in milliseconds since 1970 (UTC)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, TypeVar, cast

from flowforge.engine.events import BlobRef, ErrorValue, Event
from flowforge.kit.values import JsonObject, JsonValue

LoadBlob = Callable[[BlobRef], JsonValue]
"""Gives the value that lies in the object store."""

ItemT = TypeVar("ItemT")

TERMINAL_STATUSES: Final = frozenset({"completed", "failed", "cancelled", "timed_out"})


@dataclass(frozen=True, slots=True)
class JournalTurn:
    """One journal row, decoded."""

    seq: int
    at_ms: int
    events: Sequence[Event]


@dataclass(frozen=True, slots=True)
class StoredValue:
    """A value of the journal: there, or in the object store under `blob`."""

    value: JsonValue = None
    blob: BlobRef | None = None

    def load(self, load_blob: LoadBlob) -> JsonValue:
        return self.value if self.blob is None else load_blob(self.blob)


NOTHING: Final = StoredValue()


def error_as_json(error: ErrorValue) -> JsonObject:
    return cast("JsonObject", error)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a step. What the engine decides by itself (a branch, a wait, a loop) counts as one."""

    number: int
    status: str
    started_at_ms: int
    finished_at_ms: int | None
    output: StoredValue
    error: ErrorValue | None

    @property
    def duration_ms(self) -> int | None:
        return None if self.finished_at_ms is None else self.finished_at_ms - self.started_at_ms


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What became of one step. `key` is its identity in the run; `uses` is "" where the definition is not at hand."""

    key: str
    uses: str
    status: str
    port: str | None
    attempts: Sequence[Attempt]
    output: StoredValue
    error: ErrorValue | None
    started_at_ms: int | None
    finished_at_ms: int | None
    waits_for: "WaitingFor | None"
    child_run_id: str | None

    @property
    def step(self) -> str:
        return self.key[self.key.rfind("/") + 1 :]

    @property
    def iteration(self) -> str:
        return self.key[: max(self.key.rfind("/"), 0)]

    @property
    def duration_ms(self) -> int | None:
        if self.started_at_ms is None or self.finished_at_ms is None:
            return None
        return self.finished_at_ms - self.started_at_ms


@dataclass(frozen=True, slots=True)
class WaitingFor:
    """Why a step waits: `kind` is timer, signal, slot, retry, child or attention."""

    step: str
    kind: str
    until_ms: int | None
    ref: JsonObject


@dataclass(frozen=True, slots=True)
class RunHeader:
    """A run as lists show it: its row. `owner`: number of the worker that has it in memory."""

    no: int
    id: str
    workspace_id: str
    workflow_id: str
    workflow: str
    version: int | None
    digest: str
    status: str
    priority: int
    subject: str | None
    labels: Mapping[str, str]
    actor: str
    started_at_ms: int
    finished_at_ms: int | None
    error_code: str | None
    fork_of: int | None
    parent_no: int | None
    owner: int | None
    crashes: int

    @property
    def is_open(self) -> bool:
        return self.status not in TERMINAL_STATUSES

    @property
    def duration_ms(self) -> int | None:
        return None if self.finished_at_ms is None else self.finished_at_ms - self.started_at_ms


class EffectState(StrEnum):
    PLANNED = "planned"
    """Under way: its outcome is not known yet."""
    CONFIRMED = "confirmed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """It may or may not have taken place: its worker died or was told to stop before the outcome was recorded."""


@dataclass(frozen=True, slots=True)
class Effect:
    """A row of the effects ledger: one attempt to touch the world. `key` is the Idempotency-Key that it carried."""

    step_key: str
    attempt: int
    operation: str
    target: str | None
    key: str
    state: EffectState
    planned_at_ms: int
    settled_at_ms: int | None


@dataclass(frozen=True, slots=True)
class RunLog:
    """A line that a step wrote."""

    at_ms: int
    level: str
    step_key: str
    attempt: int
    message: str
    fields: JsonObject


@dataclass(frozen=True, slots=True)
class Page(Generic[ItemT]):
    """`cursor` None: there is no further page."""

    items: Sequence[ItemT]
    cursor: str | None
