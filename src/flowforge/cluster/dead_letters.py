"""Dead letters that are no runs: events for the outside that nobody took, and messages of the broker that were refused.

Each has an id that says its kind: `event_12`, `message_3`; that of a run is its own. Plans: events by the index on `dead_at`, all
else by key.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import RowMapping, and_, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.engine.tables import outbox, refused_messages
from flowforge.kit.errors import Detail, NotFoundError

LIST_MOST: Final = 1_000
"""Letters of one kind that a list shows."""


class LetterKind(StrEnum):
    """What a dead letter is; the word before the number in its id."""

    EVENT = "event"
    MESSAGE = "message"


class LetterNotFoundError(NotFoundError):
    """There is no dead letter of this id."""

    def __init__(self, letter: str) -> None:
        message = f"There is no dead letter {letter}; `flowforge dead-letters list` shows those that exist."
        super().__init__(message, [Detail(field="id", message=message, code="dead_letter_unknown")])


@dataclass(frozen=True, slots=True)
class LetterId:
    kind: LetterKind
    no: int

    def __str__(self) -> str:
        return f"{self.kind}_{self.no}"


@dataclass(frozen=True, slots=True)
class DeadEvent:
    """An event that was tried too often. `last_error`: a sentence; `payload`: JSON text."""

    id: LetterId
    workspace_id: str
    type: str
    subject: str
    attempts: int
    created_ms: int
    dead_ms: int
    last_error: str | None
    payload: str


@dataclass(frozen=True, slots=True)
class RefusedMessage:
    """A message of the broker that was none of ours. `excerpt`: how it began."""

    id: LetterId
    queue: str
    reason: str
    at_ms: int
    excerpt: str


def parse_letter(text: str) -> LetterId | None:
    """The id of an event or a message; None for everything else."""
    kind, separator, number = text.partition("_")
    if not separator or kind not in set(LetterKind) or not number.isascii() or not number.isdigit() or len(number) > 18:
        return None
    return LetterId(LetterKind(kind), int(number))


async def list_dead_events(
    session: AsyncSession, before: tuple[int, int] | None = None, limit: int = LIST_MOST
) -> list[DeadEvent]:
    """The last one to die first. `before`: those before one that died then (ms since 1970) and has this number."""
    query = select(outbox).where(outbox.c.dead_at > 0).order_by(outbox.c.dead_at.desc(), outbox.c.no.desc()).limit(limit)
    if before is not None:
        dead_at, no = before
        query = query.where(or_(outbox.c.dead_at < dead_at, and_(outbox.c.dead_at == dead_at, outbox.c.no < no)))
    return [_read_event(row) for row in (await session.execute(query)).mappings()]


async def list_refused(session: AsyncSession, before: int | None = None, limit: int = LIST_MOST) -> list[RefusedMessage]:
    """The last one first. `before`: those with smaller numbers."""
    query = select(refused_messages).order_by(refused_messages.c.no.desc()).limit(limit)
    if before is not None:
        query = query.where(refused_messages.c.no < before)
    return [_read_message(row) for row in (await session.execute(query)).mappings()]


async def get_letter(session: AsyncSession, letter: LetterId) -> DeadEvent | RefusedMessage:
    """Raises LetterNotFoundError where it is not there, or no dead letter (any more)."""
    if letter.kind is LetterKind.EVENT:
        row = (await session.execute(select(outbox).where(outbox.c.no == letter.no, outbox.c.dead_at > 0))).mappings().first()
        found = None if row is None else _read_event(row)
    else:
        query = select(refused_messages).where(refused_messages.c.no == letter.no)
        row = (await session.execute(query)).mappings().first()
        found = None if row is None else _read_message(row)
    if found is None:
        raise LetterNotFoundError(str(letter))
    return found


async def redrive_event(session: AsyncSession, letter: LetterId, now_ms: int) -> None:
    """The event is tried again now, with all its attempts before it.

    Raises:
        LetterNotFoundError: it is no dead letter (any more).
    """
    revived = update(outbox).where(outbox.c.no == letter.no, outbox.c.dead_at > 0)
    result = await session.execute(revived.values(dead_at=None, attempts=0, due_at=now_ms))
    _require_one(result.rowcount, letter)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType] - UPDATE gives a CursorResult


async def discard_letter(session: AsyncSession, letter: LetterId) -> None:
    """The event or message is deleted.

    Raises:
        LetterNotFoundError: it is no dead letter (any more).
    """
    if letter.kind is LetterKind.EVENT:
        gone = delete(outbox).where(outbox.c.no == letter.no, outbox.c.dead_at > 0)
    else:
        gone = delete(refused_messages).where(refused_messages.c.no == letter.no)
    result = await session.execute(gone)
    _require_one(result.rowcount, letter)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType] - as above


def _require_one(count: int, letter: LetterId) -> None:
    if count != 1:
        raise LetterNotFoundError(str(letter))


def _read_event(row: RowMapping) -> DeadEvent:
    return DeadEvent(
        id=LetterId(LetterKind.EVENT, row["no"]),
        workspace_id=row["workspace_id"],
        type=row["event_type"],
        subject=f"{row['aggregate_type']} {row['aggregate_id']}",
        attempts=row["attempts"],
        created_ms=row["created_at"],
        dead_ms=row["dead_at"],
        last_error=row["last_error"],
        payload=row["payload"],
    )


def _read_message(row: RowMapping) -> RefusedMessage:
    return RefusedMessage(LetterId(LetterKind.MESSAGE, row["no"]), row["queue"], row["reason"], row["at"], row["excerpt"])
