"""What the workflows domain gives to others. Times are milliseconds since 1970 (UTC)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from flowforge.kit.errors import Detail
from flowforge.kit.values import JsonObject
from flowforge.language.graph import Workflow
from flowforge.language.reading.document_reader import DocumentFormat

NOT_DELETED_MS: Final = 253_402_214_400_000
"""9999-12-31: `deleted_at` of what is not deleted, so that names are unique among the living."""


@dataclass(frozen=True, slots=True)
class Source:
    """A document as somebody wrote it, byte for byte."""

    data: bytes
    format: DocumentFormat


@dataclass(frozen=True, slots=True)
class Checked:
    """A document and what is wrong with it. `document` None: it could not even be read. `workflow` None: it has errors."""

    document: JsonObject | None
    workflow: Workflow | None
    errors: Sequence[Detail]
    warnings: Sequence[Detail]
    metadata: JsonObject | None = None
    """How large and tangled it is; None where it was not understood at all."""


CheckDocument = Callable[[Source], Checked]
"""Reads and compiles a document; made where the operations that are installed are known."""


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A document as somebody sent it, and what is wrong with it."""

    source: Source
    checked: Checked


@dataclass(frozen=True, slots=True)
class WorkflowSummary:
    """A workflow as lists show it. `current_version` None: nothing is published."""

    id: str
    workspace_id: str
    name: str
    title: str
    description: str
    category: str
    is_active: bool
    is_public: bool
    labels: Mapping[str, str]
    current_version: int | None
    has_draft: bool
    created_at_ms: int
    created_by: str
    updated_at_ms: int
    updated_by: str
    deprecated_at_ms: int | None
    deleted_at_ms: int | None
    project_id: str | None = None
    revision: int = 1

    @property
    def status(self) -> str:
        """deleted, deprecated, inactive, published or draft."""
        if self.deleted_at_ms is not None:
            return "deleted"
        if self.deprecated_at_ms is not None:
            return "deprecated"
        if self.current_version is None:
            return "draft"
        return "published" if self.is_active else "inactive"


@dataclass(frozen=True, slots=True)
class Draft:
    """The one draft of a workflow. `based_on`: the version that was current when it was begun; `faults` empty: it can be published."""

    workflow_id: str
    source: Source
    etag: str
    based_on: int | None
    faults: Sequence[Detail]
    updated_at_ms: int
    updated_by: str


@dataclass(frozen=True, slots=True)
class VersionSummary:
    workflow_id: str
    version: int
    digest: str
    note: str
    published_at_ms: int
    published_by: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Pushed:
    """What `push` did. `is_changed` False: the draft (or, without one, the current version) was the same bytes already.

    `before`: the draft's etag until then, None where there was none.
    """

    workflow: WorkflowSummary
    etag: str
    before: str | None
    is_new: bool
    is_changed: bool
    faults: Sequence[Detail]
    warnings: Sequence[Detail]


@dataclass(frozen=True, slots=True)
class Published:
    workflow: WorkflowSummary
    version: VersionSummary
    warnings: Sequence[Detail]


@dataclass(frozen=True, slots=True)
class Publication:
    """A draft that may be published: its compiled form's digest and canonical JSON, which must be in the engine's store first."""

    workflow_id: str
    name: str
    etag: str
    source: Source
    digest: str
    definition: bytes
    document: JsonObject
    warnings: Sequence[Detail]


@dataclass(frozen=True, slots=True)
class RecentRun:
    """A run as the list of workflows shows it."""

    id: str
    status: str
    started_at_ms: int


@dataclass(frozen=True, slots=True)
class Saved:
    """What saving a draft did. `is_new`: there was none; `before` its etag then, None where there was none."""

    workflow: WorkflowSummary
    draft: Draft
    is_new: bool
    before: str | None
    warnings: Sequence[Detail]


@dataclass(frozen=True, slots=True)
class Difference:
    """Two documents compared: as text, and by meaning."""

    left: str
    right: str
    text: str
    changes: Sequence[JsonObject]
