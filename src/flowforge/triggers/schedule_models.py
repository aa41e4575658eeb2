"""The tables `schedules`, `schedule_slots` and `calendars`. Times are milliseconds since 1970 (UTC)."""

from sqlalchemy import Boolean, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from flowforge.kit.database.metadata import ID_LENGTH, JSON_TEXT, MILLISECONDS, NAME_LENGTH, Base

CALENDAR_NAME_LENGTH = 63


class ScheduleRow(Base):
    """A live schedule. Slots up to `last_slot` are settled: in `schedule_slots`, or passed over.

    `next_at`: when the next one fires (its slot is `next_slot`, earlier by the jitter); NULL: there is none any more. `digest`: of the
    trigger's parameters, for which these were computed. `last_run_id`: the run of the slot that was fired last.
    """

    __tablename__ = "schedules"
    __table_args__ = (Index(None, "next_at"), Index(None, "workspace_id", "calendar"))

    trigger_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    workspace_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    digest: Mapped[str] = mapped_column(String(64))
    calendar: Mapped[str | None] = mapped_column(String(CALENDAR_NAME_LENGTH))
    last_slot: Mapped[int] = mapped_column(MILLISECONDS)
    next_slot: Mapped[int | None] = mapped_column(MILLISECONDS)
    next_at: Mapped[int | None] = mapped_column(MILLISECONDS)
    last_run_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))


class ScheduleSlotRow(Base):
    """A slot that is to be fired: written before its run starts, removed when the run is there. `due_at`: when to try."""

    __tablename__ = "schedule_slots"
    __table_args__ = (Index(None, "due_at"),)

    trigger_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    slot: Mapped[int] = mapped_column(MILLISECONDS, primary_key=True, autoincrement=False)
    workspace_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    nominal: Mapped[str] = mapped_column(String(32))
    is_late: Mapped[bool] = mapped_column(Boolean)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    due_at: Mapped[int] = mapped_column(MILLISECONDS)


class CalendarRow(Base):
    """Days that count. `rules`: a JSON object with working days, countries and single dates."""

    __tablename__ = "calendars"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    workspace_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    name: Mapped[str] = mapped_column(String(CALENDAR_NAME_LENGTH))
    rules: Mapped[str] = mapped_column(JSON_TEXT)
    etag: Mapped[str] = mapped_column(String(ID_LENGTH))
    created_at: Mapped[int] = mapped_column(MILLISECONDS)
    created_by: Mapped[str] = mapped_column(String(NAME_LENGTH))
    updated_at: Mapped[int] = mapped_column(MILLISECONDS)
    updated_by: Mapped[str] = mapped_column(String(NAME_LENGTH))
