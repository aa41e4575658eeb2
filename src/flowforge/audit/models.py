"""The tables of the audit log. Triggers refuse every change of what was written (`kit.database.guards`)."""

from sqlalchemy import Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from flowforge.kit.database.metadata import BIG_KEY, BYTES, ID_LENGTH, JSON_TEXT, MILLISECONDS, NAME_LENGTH, Base

HASH_LENGTH = 64


class AuditRow(Base):
    """One thing that was done. `ip`, `before`, `after`: RFC 8785 JSON, personal values in it sealed. `hash`: of the row before and this."""

    __tablename__ = "audit_rows"
    __table_args__ = (
        Index(None, "workspace_id", "no"),
        Index(None, "entity", "entity_id"),
        Index(None, "actor"),
        Index(None, "action"),
        Index(None, "at"),
    )

    no: Mapped[int] = mapped_column(BIG_KEY, primary_key=True, autoincrement=False)
    workspace_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    entity: Mapped[str] = mapped_column(String(40))
    entity_id: Mapped[str] = mapped_column(String(NAME_LENGTH))
    action: Mapped[str] = mapped_column(String(80))
    actor: Mapped[str] = mapped_column(String(NAME_LENGTH))
    credential: Mapped[str] = mapped_column(String(NAME_LENGTH))
    ip: Mapped[str | None] = mapped_column(Text)
    request_id: Mapped[str] = mapped_column(String(NAME_LENGTH))
    before: Mapped[str | None] = mapped_column(JSON_TEXT)
    after: Mapped[str | None] = mapped_column(JSON_TEXT)
    at: Mapped[int] = mapped_column(MILLISECONDS)
    hash: Mapped[str] = mapped_column(String(HASH_LENGTH))


class AuditHead(Base):
    """One row (`id` 1), which a writer locks: where the chain ends, and up to where rows may be deleted."""

    __tablename__ = "audit_head"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    no: Mapped[int] = mapped_column(MILLISECONDS)
    hash: Mapped[str] = mapped_column(String(HASH_LENGTH))
    retired_up_to: Mapped[int] = mapped_column(MILLISECONDS)


class AuditCheckpoint(Base):
    """The chain as it ended at a row, signed. `signature` and `public_key` are base64url."""

    __tablename__ = "audit_checkpoints"

    no: Mapped[int] = mapped_column(BIG_KEY, primary_key=True, autoincrement=False)
    hash: Mapped[str] = mapped_column(String(HASH_LENGTH))
    at: Mapped[int] = mapped_column(MILLISECONDS)
    key_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    public_key: Mapped[str] = mapped_column(String(ID_LENGTH))
    signature: Mapped[str] = mapped_column(String(128))


class AuditSink(Base):
    """How far rows and checkpoints have gone to a place outside."""

    __tablename__ = "audit_sinks"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    row_no: Mapped[int] = mapped_column(MILLISECONDS)
    checkpoint_no: Mapped[int] = mapped_column(MILLISECONDS)
    at: Mapped[int] = mapped_column(MILLISECONDS)


class PersonKey(Base):
    """The key that a person's values are sealed with, itself sealed by the key ring; null once the person is erased."""

    __tablename__ = "person_keys"
    __table_args__ = (Index(None, "key_id"),)

    user_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    key_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    sealed: Mapped[bytes | None] = mapped_column(BYTES)
    created_at: Mapped[int] = mapped_column(MILLISECONDS)
    erased_at: Mapped[int | None] = mapped_column(MILLISECONDS)
