"""First answers of requests with an Idempotency-Key that start no run (a start's key is its run's, see `once`).

The row is stored in the transaction that records the deed, before the deed: from then on, for a day, whoever sends the same request goes on
with the same deed, and gets the first answer once there is one.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.border import decode, digest, encode
from flowforge.kit.errors import InvariantError
from flowforge.kit.values import JsonObject
from flowforge.runs.models import KeptAnswerRow
from flowforge.runs.once import REPEATED_WITHIN_MS, IdempotencyMismatchError
from flowforge.web.calls import Call, Parts

Begin = Callable[[AsyncSession], Awaitable[int | None]]
"""Records a deed in a session; the number of the named event that it stored, if it did."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What makes two requests the same one: the path and the key. `digest`: of the body, by which another use of the key is found out."""

    workspace_id: str
    path: str
    key: str
    digest: str

    @property
    def name(self) -> str:
        return digest(f"{self.path} {self.key}".encode())


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of a request. `answer` None: it is on its way, or its process died before it answered."""

    event_no: int | None
    answer: JsonObject | None = None
    is_new: bool = False
    asked_at_ms: int = 0


async def take_up(call: Call, asked: Asked, begin: Begin) -> Kept:
    """What is known of the request. One that comes for the first time within a day is kept from now on, in the transaction of `begin`.

    Raises:
        IdempotencyMismatchError: another body came with the key.
    """
    kept = await _find(call, asked)
    if kept is not None:
        return kept
    try:
        async with call.change() as session:
            event_no = await begin(session)
            await _keep(session, asked, event_no, call.now_ms)
    except IntegrityError as fault:
        # The same key came at the same time, and was first.
        kept = await _find(call, asked)
        if kept is None:
            raise InvariantError("A request could not be kept, though there is none of its name.") from fault
        return kept
    return Kept(event_no, is_new=True)


async def set_answer(session: AsyncSession, asked: Asked, answer: JsonObject) -> None:
    """What repeats get from now on."""
    await session.execute(update(KeptAnswerRow).where(_is_same(asked)).values(answer=encode(answer).decode()))


async def forget_asked(session: AsyncSession, asked: Asked) -> None:
    """The request was refused: its key is free again."""
    await session.execute(delete(KeptAnswerRow).where(_is_same(asked)))


async def take_over(call: Call, asked: Asked, kept: Kept) -> bool:
    """Whether a deed that was never answered is ours to do now; somebody else may have been first."""
    is_as_seen = and_(_is_same(asked), KeptAnswerRow.answer.is_(None), KeptAnswerRow.asked_at == kept.asked_at_ms)
    async with call.change() as session:
        taken = await session.execute(update(KeptAnswerRow).where(is_as_seen).values(asked_at=call.now_ms))
    return cast("CursorResult[Any]", taken).rowcount > 0


async def _find(call: Call, asked: Asked) -> Kept | None:
    query = select(KeptAnswerRow).where(_is_same(asked), KeptAnswerRow.asked_at > call.now_ms - REPEATED_WITHIN_MS)
    async with call.read() as session:
        row = (await session.scalars(query)).one_or_none()
    if row is None:
        return None
    if row.digest != asked.digest:
        raise IdempotencyMismatchError
    answer = None if row.answer is None else cast("JsonObject", decode(row.answer))
    return Kept(row.event_no, answer, asked_at_ms=row.asked_at)


async def _keep(session: AsyncSession, asked: Asked, event_no: int | None, now_ms: int) -> None:
    facts = {"digest": asked.digest, "event_no": event_no, "answer": None, "asked_at": now_ms}
    is_old = KeptAnswerRow.asked_at <= now_ms - REPEATED_WITHIN_MS
    renewed = await session.execute(update(KeptAnswerRow).where(_is_same(asked), is_old).values(**facts))
    if cast("CursorResult[Any]", renewed).rowcount == 0:
        await session.execute(insert(KeptAnswerRow).values(workspace_id=asked.workspace_id, name=asked.name, **facts))


def _is_same(asked: Asked) -> ColumnElement[bool]:
    return and_(KeptAnswerRow.workspace_id == asked.workspace_id, KeptAnswerRow.name == asked.name)


class AnswerDuty:
    """Takes away what is older than a day."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def run_once(self) -> None:
        before_ms = self._parts.clock.now_ms() - REPEATED_WITHIN_MS
        async with self._parts.database.write.begin() as session:
            await session.execute(delete(KeptAnswerRow).where(KeptAnswerRow.asked_at <= before_ms))
