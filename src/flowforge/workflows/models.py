"""The tables `workflows`, `workflow_drafts` and `workflow_versions`. Times are milliseconds since 1970 (UTC)."""

from sqlalchemy import Boolean, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from flowforge.kit.database.metadata import BYTES, ID_LENGTH, JSON_TEXT, MILLISECONDS, NAME_LENGTH, Base
from flowforge.workflows.types import NOT_DELETED_MS


class WorkflowRow(Base):
    """`deleted_at` has a value far away where the row lives, so that the name is unique among the living. `labels`: a JSON object."""

    __tablename__ = "workflows"
    __table_args__ = (
        UniqueConstraint("workspace_id", "name", "deleted_at"),
        Index(None, "workspace_id", "deleted_at"),
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
