"""The tables `triggers`, `trigger_requests` and `trigger_events`. Times are milliseconds since 1970 (UTC)."""

from sqlalchemy import BigInteger, Boolean, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from flowforge.kit.database.metadata import BIG_KEY, ID_LENGTH, JSON_TEXT, MILLISECONDS, NAME_LENGTH, Base

DEDUP_LENGTH = 400
PATH_LENGTH = 200


class TriggerRow(Base):
    """`config`: a JSON object; `input`: a JSON value, NULL where none is given. `path`: a webhook's, where it is taken.

    `total`, `successful`, `failed`, `last_fired_at` are written once a second, for all requests since.
    """

    __tablename__ = "triggers"
    __table_args__ = (
        UniqueConstraint("workflow_id", "key"),
        UniqueConstraint("path", "workspace_id"),
        Index(None, "workspace_id", "workflow_id"),
        Index(None, "kind", "is_live"),
    )

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    workspace_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    workflow_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    workflow: Mapped[str] = mapped_column(String(63))
    key: Mapped[str] = mapped_column(String(ID_LENGTH))
    kind: Mapped[str] = mapped_column(String(20))
    source: Mapped[str] = mapped_column(String(10))
    config: Mapped[str] = mapped_column(JSON_TEXT)
    input: Mapped[str | None] = mapped_column(JSON_TEXT)
    path: Mapped[str | None] = mapped_column(String(PATH_LENGTH))
    is_live: Mapped[bool] = mapped_column(Boolean)
    paused: Mapped[str] = mapped_column(String(10), default="")
    etag: Mapped[str] = mapped_column(String(ID_LENGTH))
    created_at: Mapped[int] = mapped_column(MILLISECONDS)
    created_by: Mapped[str] = mapped_column(String(NAME_LENGTH))
    updated_at: Mapped[int] = mapped_column(MILLISECONDS)
    updated_by: Mapped[str] = mapped_column(String(NAME_LENGTH))
    total: Mapped[int] = mapped_column(BigInteger, default=0)
    successful: Mapped[int] = mapped_column(BigInteger, default=0)
    failed: Mapped[int] = mapped_column(BigInteger, default=0)
    last_fired_at: Mapped[int | None] = mapped_column(MILLISECONDS)


class TriggerRequestRow(Base):
    """One of the last requests of a trigger."""

    __tablename__ = "trigger_requests"
    __table_args__ = (Index(None, "trigger_id", "no"), {"sqlite_autoincrement": True})

    no: Mapped[int] = mapped_column(BIG_KEY, primary_key=True, autoincrement=True)
    trigger_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    workspace_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    at: Mapped[int] = mapped_column(MILLISECONDS)
    status: Mapped[int] = mapped_column(Integer)
    run_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    event_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    error: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    remote_address: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    user_agent: Mapped[str | None] = mapped_column(String(NAME_LENGTH))


class TriggerEventRow(Base):
    """What came while its trigger was paused and kept events. `data`: a JSON object; `dedup`: as the run would have it."""

    __tablename__ = "trigger_events"
    __table_args__ = (UniqueConstraint("trigger_id", "dedup"), Index(None, "trigger_id", "id"))

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    trigger_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    workspace_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    at: Mapped[int] = mapped_column(MILLISECONDS)
    dedup: Mapped[str | None] = mapped_column(String(DEDUP_LENGTH))
    digest: Mapped[str] = mapped_column(String(64))
    data: Mapped[str] = mapped_column(JSON_TEXT)
