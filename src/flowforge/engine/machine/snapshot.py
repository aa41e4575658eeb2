"""Snapshots: the state of a run as bytes, so that a long journal need not be folded from its start.

A snapshot holds what the journal says and nothing else: notes about what is in flight are left out, as they are when a journal is folded.
"""

from dataclasses import dataclass
from typing import Final, cast

import orjson

from flowforge.engine.errors import JournalError
from flowforge.engine.machine.snapshot_reading import read_state
from flowforge.engine.machine.snapshot_shape import StateData
from flowforge.engine.machine.snapshot_writing import write_state
from flowforge.engine.machine.state import Program, RunState

SNAPSHOT_FORMAT: Final = 2
"""Raise it with every change of what is written: a snapshot of another format is ignored."""


@dataclass(frozen=True, slots=True)
class SnapshotHead:
    """What is read of a snapshot before its definition is at hand: whose it is, and how long the journal was up to there."""

    digest: str
    events: int
    size_bytes: int


def can_dump(state: RunState) -> bool:
    """False while a step holds a slot that it was granted and has not begun: the journal says that it still waits."""
    return not any(scope.key(index) in state.granted for scope, index in state.ready.values())


def dump_state(state: RunState, *, events: int = 0, size_bytes: int = 0) -> bytes:
    """The state as bytes. `events` and `size_bytes` say how long the journal is up to here."""
    head = {"digest": state.pinned["digest"], "events": events, "size_bytes": size_bytes}
    return orjson.dumps(head) + b"\n" + orjson.dumps(write_state(state))


def read_head(data: bytes) -> SnapshotHead:
    """The first line of a snapshot. Raises JournalError if it is none."""
    try:
        head = cast("dict[str, object]", orjson.loads(data[: data.index(b"\n")]))
        return SnapshotHead(str(head["digest"]), int(cast("int", head["events"])), int(cast("int", head["size_bytes"])))
    except (ValueError, KeyError, TypeError) as fault:
        raise JournalError(f"A snapshot has no head: {fault!r}.") from fault


def load_state(program: Program, data: bytes) -> RunState:
    """The inverse of `dump_state`; the program is that of the head's digest.

    Raises:
        JournalError: the bytes are no snapshot of this format, or of another definition.
    """
    try:
        written = cast("StateData", orjson.loads(data[data.index(b"\n") + 1 :]))
        return read_state(program, written)
    except (ValueError, LookupError, TypeError, AttributeError) as fault:
        raise JournalError(f"A snapshot cannot be read: {fault!r}.") from fault
