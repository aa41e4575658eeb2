"""The tables of workflows and of what is around them. Times are milliseconds since 1970 (UTC).

What can be deleted and restored has a value far away in `deleted_at` where it lives, so that its name is unique among the living.
"""

from sqlalchemy import Boolean, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from flowforge.kit.database.metadata import BYTES, ID_LENGTH, JSON_TEXT, MILLISECONDS, NAME_LENGTH, Base
from flowforge.workflows.types import NOT_DELETED_MS


class WorkflowRow(Base):
    """`labels`: a JSON object, those in force. `overrides`: a JSON object of what was set beside the document and outlives publishing:
    `title`, and `labels` as a merge patch over the document's. `revision` grows with every change but those of the draft.
    """

    __tablename__ = "workflows"
    __table_args__ = (
        UniqueConstraint("workspace_id", "name", "deleted_at"),
        Index(None, "workspace_id", "deleted_at"),
        Index(None, "workspace_id", "project_id"),
        Index(None, "workspace_id", "updated_at"),
    )

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    workspace_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    name: Mapped[str] = mapped_column(String(63))
    title: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    category: Mapped[str] = mapped_column(String(100), default="")
    active: Mapped[bool] = mapped_column(Boolean, default=True)
    public: Mapped[bool] = mapped_column(Boolean, default=False)
    labels: Mapped[str] = mapped_column(JSON_TEXT)
    current_version: Mapped[int | None] = mapped_column(Integer)
    deprecated_at: Mapped[int | None] = mapped_column(MILLISECONDS)
    created_at: Mapped[int] = mapped_column(MILLISECONDS)
    created_by: Mapped[str] = mapped_column(String(NAME_LENGTH))
    updated_at: Mapped[int] = mapped_column(MILLISECONDS)
    updated_by: Mapped[str] = mapped_column(String(NAME_LENGTH))
    deleted_at: Mapped[int] = mapped_column(MILLISECONDS, default=NOT_DELETED_MS)
    project_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    overrides: Mapped[str | None] = mapped_column(JSON_TEXT)
    revision: Mapped[int] = mapped_column(Integer, default=1, server_default="1")


class DraftRow(Base):
    """`source`: the document byte for byte. `etag` changes with every change of it."""

    __tablename__ = "workflow_drafts"

    workflow_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("workflows.id"), primary_key=True)
    source: Mapped[bytes] = mapped_column(BYTES)
    format: Mapped[str] = mapped_column(String(8))
    etag: Mapped[str] = mapped_column(String(ID_LENGTH))
    based_on: Mapped[int | None] = mapped_column(Integer)
    updated_at: Mapped[int] = mapped_column(MILLISECONDS)
    updated_by: Mapped[str] = mapped_column(String(NAME_LENGTH))


class VersionRow(Base):
    """Written once, never changed. The compiled form's JSON lies in the engine's store under `digest`."""

    __tablename__ = "workflow_versions"
    __table_args__ = (Index(None, "digest"),)

    workflow_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("workflows.id"), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    digest: Mapped[str] = mapped_column(String(32))
    source: Mapped[bytes] = mapped_column(BYTES)
    format: Mapped[str] = mapped_column(String(8))
    note: Mapped[str] = mapped_column(Text)
    published_at: Mapped[int] = mapped_column(MILLISECONDS)
    published_by: Mapped[str] = mapped_column(String(NAME_LENGTH))


class ProjectRow(Base):
    """A container of workflows, in which rights can be given."""

    __tablename__ = "projects"
    __table_args__ = (UniqueConstraint("workspace_id", "name", "deleted_at"),)

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    workspace_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    name: Mapped[str] = mapped_column(String(63))
    title: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(MILLISECONDS)
    created_by: Mapped[str] = mapped_column(String(NAME_LENGTH))
    updated_at: Mapped[int] = mapped_column(MILLISECONDS)
    updated_by: Mapped[str] = mapped_column(String(NAME_LENGTH))
    deleted_at: Mapped[int] = mapped_column(MILLISECONDS, default=NOT_DELETED_MS)


class WorkflowSetRow(Base):
    """Workflows that belong together, in an order. `project_id` None: of the whole workspace."""

    __tablename__ = "workflow_sets"
    __table_args__ = (UniqueConstraint("workspace_id", "name", "deleted_at"),)

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    workspace_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    project_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    name: Mapped[str] = mapped_column(String(63))
    title: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(MILLISECONDS)
    created_by: Mapped[str] = mapped_column(String(NAME_LENGTH))
    updated_at: Mapped[int] = mapped_column(MILLISECONDS)
    updated_by: Mapped[str] = mapped_column(String(NAME_LENGTH))
    deleted_at: Mapped[int] = mapped_column(MILLISECONDS, default=NOT_DELETED_MS)


class WorkflowSetMemberRow(Base):
    """`position` counts from 0."""

    __tablename__ = "workflow_set_members"
    __table_args__ = (Index(None, "workflow_id"),)

    set_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("workflow_sets.id"), primary_key=True)
    workflow_id: Mapped[str] = mapped_column(String(ID_LENGTH), ForeignKey("workflows.id"), primary_key=True)
    position: Mapped[int] = mapped_column(Integer)


class TemplateRow(Base):
    """`content`: a JSON object, its fields by `kind`."""

    __tablename__ = "templates"
    __table_args__ = (UniqueConstraint("workspace_id", "kind", "name", "deleted_at"),)

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    workspace_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    kind: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(String(63))
    title: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    category: Mapped[str] = mapped_column(String(100), default="")
    content: Mapped[str] = mapped_column(JSON_TEXT)
    created_at: Mapped[int] = mapped_column(MILLISECONDS)
    created_by: Mapped[str] = mapped_column(String(NAME_LENGTH))
    updated_at: Mapped[int] = mapped_column(MILLISECONDS)
    updated_by: Mapped[str] = mapped_column(String(NAME_LENGTH))
    deleted_at: Mapped[int] = mapped_column(MILLISECONDS, default=NOT_DELETED_MS)
