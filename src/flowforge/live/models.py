"""The tables `event_subscriptions`, `event_deliveries`, `event_positions` and `notifications`."""

from sqlalchemy import Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from flowforge.kit.database.metadata import BIG_KEY, BYTES, ID_LENGTH, JSON_TEXT, MILLISECONDS, NAME_LENGTH, Base

URL_LENGTH = 2_000
TYPE_LENGTH = 40
TITLE_LENGTH = 255


class SubscriptionRow(Base):
    """Who outside hears of which events. `types`: JSON. `position`: up to which number of the outbox its deliveries were made."""

    __tablename__ = "event_subscriptions"
    __table_args__ = (Index(None, "workspace_id"),)

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    workspace_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    url: Mapped[str] = mapped_column(String(URL_LENGTH))
    types: Mapped[str] = mapped_column(JSON_TEXT)
    key_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    sealed: Mapped[bytes] = mapped_column(BYTES)
    active: Mapped[int] = mapped_column(Integer)
    position: Mapped[int] = mapped_column(BIG_KEY)
    created_at: Mapped[int] = mapped_column(MILLISECONDS)
    created_by: Mapped[str] = mapped_column(String(NAME_LENGTH))
    updated_at: Mapped[int] = mapped_column(MILLISECONDS)


class DeliveryRow(Base):
    """One event for one subscription. `due_at`: when it is tried (again); None: it was delivered, or is a dead letter."""

    __tablename__ = "event_deliveries"
    __table_args__ = (UniqueConstraint("subscription_id", "event_no"), Index(None, "due_at"), Index(None, "ended_at"))

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    subscription_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    workspace_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    event_no: Mapped[int] = mapped_column(BIG_KEY)
    event_type: Mapped[str] = mapped_column(String(TYPE_LENGTH))
    event: Mapped[str] = mapped_column(JSON_TEXT)
    status: Mapped[str] = mapped_column(String(10))
    attempts: Mapped[int] = mapped_column(Integer)
    due_at: Mapped[int | None] = mapped_column(MILLISECONDS)
    last_status: Mapped[int | None] = mapped_column(Integer)
    last_error: Mapped[str | None] = mapped_column(JSON_TEXT)
    created_at: Mapped[int] = mapped_column(MILLISECONDS)
    ended_at: Mapped[int | None] = mapped_column(MILLISECONDS)


class PositionRow(Base):
    """Up to which number a reader of this name has read the outbox."""

    __tablename__ = "event_positions"

    name: Mapped[str] = mapped_column(String(TYPE_LENGTH), primary_key=True)
    position: Mapped[int] = mapped_column(BIG_KEY)


class NotificationRow(Base):
    """What a person is told. `cause`: what it is about, once for each person; `subject`: the id to look at."""

    __tablename__ = "notifications"
    __table_args__ = (UniqueConstraint("user_id", "cause"), Index(None, "user_id", "created_at"))

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    workspace_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    cause: Mapped[str] = mapped_column(String(NAME_LENGTH))
    kind: Mapped[str] = mapped_column(String(TYPE_LENGTH))
    title: Mapped[str] = mapped_column(String(TITLE_LENGTH))
    text: Mapped[str] = mapped_column(JSON_TEXT)
    subject: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    created_at: Mapped[int] = mapped_column(MILLISECONDS)
    read_at: Mapped[int | None] = mapped_column(MILLISECONDS)
