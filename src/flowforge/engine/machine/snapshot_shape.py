"""How a snapshot is laid out: the JSON that a run's state becomes.

Values stand in tagged pairs (`[0, value]`, `[1, reference]`, `[2, parts]`), so that no user data can be taken for a reference. Scopes
are named by their numbers, loops by their place in the list.
"""

from typing import Final, TypedDict

from flowforge.engine.events import ErrorValue, RunStarted
from flowforge.kit.values import JsonObject, JsonValue

PLAIN: Final = 0
BLOB: Final = 1
PARTS: Final = 2

Place = tuple[int, int]
"""A step: its scope's number, its index."""


AttemptData = tuple[Place, int, int, int | None, str | None]
"""Step, attempt, when it was planned, the called run's number, the queue of the job."""


class ScopeData(TypedDict):
    number: int
    path: str
    loop: int | None
    item_index: int
    undo: str | None
    """Of a compensation: the id of its step."""
    open: int
    status: str
    left: list[int]
    taken: str
    ports: list[tuple[int, str]]
    outputs: list[tuple[int, JsonValue]]
    errors: list[tuple[int, ErrorValue]]
    attempts: list[tuple[int, int]]
    failures: list[tuple[int, int]]
    losses: list[tuple[int, int]]
    preset: JsonObject | None


class LoopData(TypedDict):
    place: Place
    window: int
    count: int | None
    items: JsonValue
    next: int
    running: int
    values: list[tuple[int, JsonValue]]
    failures: list[JsonValue]
    previous: JsonValue
    scopes: list[int]
    is_over: bool
    error: ErrorValue | None


class StateData(TypedDict):
    started: RunStarted
    input: JsonValue
    started_at: int
    at: int
    epoch: int
    mail_seen: int
    is_poison: bool
    phase: str
    status: str
    output: JsonValue
    error: ErrorValue | None
    uncompensated: list[JsonObject]
    is_paused: bool
    cancel_by: str | None
    discarded: bool
    scope_count: int
    all_scopes: list[ScopeData]
    all_loops: list[LoopData]
    scopes: list[int]
    loops: list[int]
    ready: list[Place]
    closing: list[int]
    closing_loops: list[int]
    failing: list[tuple[str, int, ErrorValue]]
    open: list[AttemptData]
    unknown: list[AttemptData]
    aborting: list[AttemptData]
    waits: list[tuple[str, str, int, int | None, JsonObject]]
    slot_waits: list[Place]
    signal_waits: list[Place]
    parked: list[Place]
    signals: list[tuple[int, str, str | None, JsonValue]]
    fired: dict[str, str]
    child_results: dict[str, JsonObject]
    job_results: dict[str, JsonObject]
    skips: dict[str, tuple[JsonValue, str]]
    resolved_as_done: dict[str, JsonValue]
    started_steps: dict[str, int]
    timers: dict[str, int]
    undo: list[JsonObject]
    undo_scope: int | None
    undo_now: JsonObject | None
    parameters: dict[str, JsonObject]
