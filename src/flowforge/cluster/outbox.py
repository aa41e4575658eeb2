"""The outbox's rows: taken for publishing, marked, read by who was away, and removed. One file for SQLite, PostgreSQL and MySQL.

A row's state is in the row (`due_at`, `published_at`, `dead_at`), never in a position of its reader: numbers that are committed out of
order are not skipped. Whoever takes a row moves its `due_at` on by TAKEN_MS and commits: if it dies, others find the row due again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, cast

from sqlalchemy import ColumnElement, Update, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.engine.outbox_events import OutboxPayload
from flowforge.engine.tables import outbox
from flowforge.kit.border import decode
from flowforge.kit.bus import BusEvent, Message, run_topic, user_topic, workflow_topic, workspace_topic
from flowforge.kit.database.session import Sessions
from flowforge.kit.errors import InvariantError
from flowforge.language.times import format_timestamp_ms

TAKEN_MS: Final = 3_000
"""How long a row that somebody took is left to him."""
TAKE_MAX: Final = 200
_PAGE: Final = 1_000
PRIVATE: Final = "notification"
"""The kind of rows that are for one person alone."""
_RUN: Final = "run"
_COLUMNS: Final = (
    outbox.c.no,
    outbox.c.workspace_id,
    outbox.c.aggregate_type,
    outbox.c.aggregate_id,
    outbox.c.event_type,
    outbox.c.payload,
    outbox.c.traceparent,
    outbox.c.created_at,
    outbox.c.attempts,
)


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """An event that is to be published. `attempts`: how often that failed."""

    no: int
    workspace_id: str
    aggregate_type: str
    aggregate_id: str
    event_type: str
    payload: str
    traceparent: str | None
    created_at: int
    attempts: int


def list_messages(row: OutboxRow) -> list[Message]:
    """The event for each topic under which it is heard: the run's with the number of its journal, all others with that of the row.

    Raises:
        InvariantError: the payload is not what was written there.
    """
    value = decode(row.payload)
    if not isinstance(value, dict) or not {"seq", "actor", "data"} <= value.keys():
        raise InvariantError(f"The outbox row {row.no} holds no event.")
    payload = cast("OutboxPayload", value)
    workflow_id, user_id = payload["data"].get("workflow_id"), payload["data"].get("user_id")
    if row.aggregate_type == PRIVATE:
        return [Message(user_topic(str(user_id)), _make_event(row, payload, row.no))]
    messages = [Message(workspace_topic(row.workspace_id), _make_event(row, payload, row.no))]
    if isinstance(user_id, str):
        messages.append(Message(user_topic(user_id), _make_event(row, payload, row.no)))
    if isinstance(workflow_id, str):
        messages.append(Message(workflow_topic(workflow_id), _make_event(row, payload, row.no)))
    if row.aggregate_type == _RUN:
        messages.append(Message(run_topic(row.aggregate_id), _make_event(row, payload, payload["seq"])))
    return messages


def _make_event(row: OutboxRow, payload: OutboxPayload, seq: int) -> BusEvent:
    trace = (row.traceparent or "").split("-")
    return BusEvent(
        id=f"{row.aggregate_id}.{payload['seq']}",
        seq=seq,
        type=row.event_type,
        time=format_timestamp_ms(row.created_at),
        workspace_id=row.workspace_id,
        subject=row.aggregate_id,
        actor=payload["actor"],
        trace_id=trace[1] if len(trace) > 2 else None,
        data=payload["data"],
    )


async def has_due(session: AsyncSession, now_ms: int) -> bool:
    found = await session.execute(select(outbox.c.no).where(outbox.c.due_at <= now_ms).limit(1))
    return found.first() is not None


async def take_due(session: AsyncSession, now_ms: int) -> list[OutboxRow]:
    """The oldest due rows, at most TAKE_MAX, which are the caller's for TAKEN_MS once it commits. Others that look now get others."""
    due = select(*_COLUMNS).where(outbox.c.due_at <= now_ms).order_by(outbox.c.due_at, outbox.c.no).limit(TAKE_MAX)
    rows = [OutboxRow(**row) for row in (await session.execute(due.with_for_update(skip_locked=True))).mappings()]
    if rows:
        await session.execute(_of(row.no for row in rows).values(due_at=now_ms + TAKEN_MS))
    return sorted(rows, key=lambda row: row.no)


async def find_last_no(session: AsyncSession) -> int:
    """The number of the newest row; 0 where there is none."""
    return (await session.execute(select(func.max(outbox.c.no)))).scalar() or 0


async def list_after(session: AsyncSession, no: int) -> list[OutboxRow]:
    """The rows behind a number, in order, at most 1,000, published or not. For SQLite, where none come late below a number."""
    wanted = select(*_COLUMNS).where(outbox.c.no > no).order_by(outbox.c.no).limit(_PAGE)
    return [OutboxRow(**row) for row in (await session.execute(wanted)).mappings()]


async def mark_told(session: AsyncSession, now_ms: int) -> None:
    """All rows count as published. For SQLite, where the process that serves tells what it stores."""
    await session.execute(update(outbox).where(outbox.c.due_at.is_not(None)).values(published_at=now_ms, due_at=None))


async def mark_published(session: AsyncSession, nos: Sequence[int], now_ms: int) -> None:
    if nos:
        await session.execute(_of(nos).values(published_at=now_ms, due_at=None, last_error=None))


async def mark_failed(session: AsyncSession, nos: Sequence[int], reason: str, *, due_at: int | None, now_ms: int) -> None:
    """One attempt more that failed. `due_at` None: it is not tried again, the rows are dead letters."""
    if nos:
        values = {"attempts": outbox.c.attempts + 1, "last_error": reason, "due_at": due_at}
        await session.execute(_of(nos).values(**values, dead_at=now_ms if due_at is None else None))


def _of(nos: Iterable[int]) -> Update:
    return update(outbox).where(outbox.c.no.in_(list(nos)))


async def prune_outbox(session: AsyncSession, before_ms: int, limit: int) -> int:
    """Deletes published rows of before that time, `limit` of them at most; returns how many. Dead letters stay for a person."""
    old = select(outbox.c.no).where(outbox.c.published_at < before_ms).order_by(outbox.c.published_at).limit(limit)
    nos = list((await session.execute(old)).scalars())
    if nos:
        await session.execute(delete(outbox).where(outbox.c.no.in_(nos)))
    return len(nos)


class MissedEvents:
    """What happened under a workspace's or workflow's topic, for who reads on from a number: as long as KEEP_OUTBOX keeps it."""

    def __init__(self, sessions: Sessions, *, is_ordered: bool = False) -> None:
        """`is_ordered`: SQLite, which commits in the order of its numbers: nothing comes late below one."""
        self._sessions = sessions
        self._is_ordered = is_ordered

    async def find_last(self) -> int:
        """The number from which on nothing was missed now."""
        async with self._sessions() as session:
            return await find_last_no(session)

    async def read(self, topic: str, after: int) -> Sequence[BusEvent] | None:
        """The next page behind `after`, in the order of numbers. None where rows behind it are gone, or may be.

        Rows with lower numbers are among them that were committed late: published after the one numbered `after`, or not yet.
        """
        async with self._sessions() as session:
            lowest = (await session.execute(select(func.min(outbox.c.no)))).scalar()
            if after and (lowest is None or after < lowest - 1):
                return None
            turned = await session.execute(select(outbox.c.published_at, outbox.c.created_at).where(outbox.c.no == after))
            mark = turned.first()
            is_behind: ColumnElement[bool] = outbox.c.no > after
            if mark is not None and not self._is_ordered:
                is_late = or_(outbox.c.published_at > (mark[0] or mark[1]), outbox.c.due_at.is_not(None))
                is_behind = or_(is_behind, (outbox.c.no < after) & is_late)
            wanted = select(*_COLUMNS).where(is_behind, _is_under(topic))
            rows = (await session.execute(wanted.order_by(outbox.c.no).limit(_PAGE))).mappings().all()
        found = [message for row in rows for message in list_messages(OutboxRow(**row))]
        return [message.event for message in found if message.topic == topic]


def _is_under(topic: str) -> ColumnElement[bool]:
    kind, _, name = topic.partition(":")
    if kind == "workspace":
        return outbox.c.workspace_id == name
    # The workflow stands in the payload alone; whether it truly does is looked at once more when the row is read.
    return outbox.c.payload.contains(f'"{kind}_id":"{name}"', autoescape=True)
