"""Projects and sets. Times are milliseconds since 1970 (UTC)."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Project:
    """`workflows`: how many living ones it holds."""

    id: str
    name: str
    title: str
    description: str
    workflows: int
    created_at_ms: int
    created_by: str
    updated_at_ms: int
    updated_by: str
    deleted_at_ms: int | None


@dataclass(frozen=True, slots=True)
class WorkflowSet:
    """`workflow_ids`: in the set's order."""

    id: str
    project_id: str | None
    name: str
    title: str
    description: str
    workflow_ids: Sequence[str]
    created_at_ms: int
    created_by: str
    updated_at_ms: int
    updated_by: str
    deleted_at_ms: int | None


@dataclass(frozen=True, slots=True)
class Naming:
    """How something is called. `title` empty: as its name."""

    name: str
    title: str = ""
    description: str = ""
