"""What the triggers domain gives to others. Times are milliseconds since 1970 (UTC)."""

from dataclasses import dataclass
from enum import StrEnum

from flowforge.kit.values import JsonObject, JsonValue


class Source(StrEnum):
    """Where a trigger is written down."""

    DOCUMENT = "document"
    """In its workflow's document; published and changed with it."""
    ATTACHED = "attached"
    """Beside the document, by the API."""


class Paused(StrEnum):
    """Whether a trigger rests, and what becomes of what comes meanwhile."""

    NO = ""
    KEEP = "keep"
    """Events are held until a person runs them or throws them away."""
    REFUSE = "refuse"
    """Nothing is taken."""


class Status(StrEnum):
    """A trigger as people see it."""

    LIVE = "live"
    PAUSED = "paused"
    OFF = "off"
    """Its workflow has no published version that asks for it, or is deprecated."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """One trigger of one workflow. It keeps its identity by (workflow, key) for as long as the workflow lives.

    `key`: its id in the document (of an attached one, its own id). `config`: its parameters, with `${{ secrets.X }}` as text.
    `input`: the template of the run's input, where `has_input`; else the kind has a default.
    """

    id: str
    workspace_id: str
    workflow_id: str
    workflow: str
    key: str
    kind: str
    source: Source
    config: JsonObject
    has_input: bool
    input: JsonValue
    is_live: bool
    paused: Paused
    etag: str
    created_at_ms: int
    created_by: str
    updated_at_ms: int
    updated_by: str

    @property
    def status(self) -> Status:
        if not self.is_live:
            return Status.OFF
        return Status.LIVE if self.paused is Paused.NO else Status.PAUSED

    @property
    def actor(self) -> str:
        """Who starts its runs."""
        return f"trigger:{self.id}"


@dataclass(frozen=True, slots=True)
class Figures:
    """How often it was called, and what came of it."""

    total: int
    successful: int
    failed: int
    last_fired_at_ms: int | None


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One call of a trigger. `status`: the answer's, as HTTP has it; `error`: the code of what was wrong."""

    trigger_id: str
    workspace_id: str
    at_ms: int
    status: int
    run_id: str | None = None
    event_id: str | None = None
    error: str | None = None
    remote_address: str | None = None
    user_agent: str | None = None

    @property
    def is_successful(self) -> bool:
        return self.status < 400


@dataclass(frozen=True, slots=True)
class HeldEvent:
    """What came while the trigger was paused: `data` is what `trigger` holds beside kind, id and fired_at."""

    id: str
    trigger_id: str
    workspace_id: str
    at_ms: int
    dedup: str | None
    digest: str
    data: JsonObject


@dataclass(frozen=True, slots=True)
class Fired:
    """What became of one firing: a run (perhaps one that was there already), or an event that is held."""

    run_id: str | None = None
    run_no: int | None = None
    status: str = ""
    is_duplicate: bool = False
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class ConnectionTest:
    """Whether what a trigger listens to can be reached. `is_successful` None: there is nothing to reach."""

    is_successful: bool | None
    message: str
