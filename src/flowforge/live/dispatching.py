"""From the outbox to deliveries and notifications, by number: none is lost, and none is made twice.

Numbers that are committed out of order are not skipped: what is younger than LAG_MS is read again at each pass, and made only once
because a delivery is unique by subscription and number. SQLite commits in the order of its numbers and needs no second reading.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import exists, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.cluster.outbox import PRIVATE, OutboxRow, find_last_no, list_messages
from flowforge.engine.tables import outbox
from flowforge.kit.border import encode
from flowforge.kit.bus import BusEvent
from flowforge.kit.clock import Clock
from flowforge.kit.database.session import Database
from flowforge.kit.errors import InvariantError
from flowforge.kit.ids import IdSource
from flowforge.kit.telemetry.logs import get_logger
from flowforge.live.models import DeliveryRow, PositionRow, SubscriptionRow
from flowforge.live.notifying import notify
from flowforge.live.subscriptions import matches, read_types
from flowforge.live.types import DeliveryStatus, Notice

LAG_MS: Final = 10_000
_PAGE: Final = 500
_COLUMNS: Final = tuple(outbox.c[name] for name in OutboxRow.__dataclass_fields__)
_FAILED_RUNS: Final = "failed_runs"
_FAILURES: Final = ('%"status":"failed"%', '%"status":"timed_out"%')

logger = get_logger("live.dispatch")


class DispatchDuty:
    """Makes the deliveries of new events, and tells persons of their runs that failed. Each second, or more often."""

    def __init__(self, database: Database, clock: Clock, ids: IdSource, *, is_ordered: bool) -> None:
        """`is_ordered`: the database is SQLite."""
        self._database = database
        self._clock = clock
        self._ids = ids
        self._lag_ms = 0 if is_ordered else LAG_MS

    async def run_once(self) -> None:
        """Raises StorageError: the database cannot be used now."""
        await self._notify_of_failures()
        async with self._database.read() as session:
            query = select(SubscriptionRow).where(SubscriptionRow.active == 1)
            subscriptions = (await session.scalars(query)).all()
        for subscription in subscriptions:
            await self._dispatch(subscription)

    async def _find_settled(self, session: AsyncSession, position: int) -> int:
        """Up to where no number can come any more. Asked for before what is there is read."""
        if not self._lag_ms:
            return max(position, await find_last_no(session))
        oldest_ms = self._clock.now_ms() - self._lag_ms
        settled = select(func.max(outbox.c.no)).where(outbox.c.no > position, outbox.c.created_at < oldest_ms)
        return await session.scalar(settled) or position

    # --- subscriptions -------------------------------------------------------------------------------------------------------

    async def _dispatch(self, subscription: SubscriptionRow) -> None:
        async with self._database.read() as session:
            settled = await self._find_settled(session, subscription.position)
        types, after = read_types(subscription), subscription.position
        while True:
            async with self._database.read() as session:
                rows = await _list_new(session, subscription, after)
            events = [(row.no, event) for row in rows if matches(types, row.event_type) and (event := _read(row)) is not None]
            if events and not await self._store_all(subscription, events):
                return
            if len(rows) < _PAGE:
                break
            after = rows[-1].no
        if settled > subscription.position:
            async with self._database.write.begin() as session:
                await _move(session, subscription, settled)

    async def _store_all(self, subscription: SubscriptionRow, events: Sequence[tuple[int, BusEvent]]) -> bool:
        """False: another process has made some of them at the same moment; the next pass sees which."""
        try:
            async with self._database.write.begin() as session:
                await self._store(session, subscription, events)
        except IntegrityError:
            return False
        return True

    async def _store(self, session: AsyncSession, subscription: SubscriptionRow, events: Sequence[tuple[int, BusEvent]]) -> None:
        now_ms = self._clock.now_ms()
        values = [
            {
                "id": self._ids.make_id("msg"),
                "subscription_id": subscription.id,
                "workspace_id": subscription.workspace_id,
                "event_no": no,
                "event_type": event.type,
                "event": encode(event.as_json()).decode(),
                "status": DeliveryStatus.PENDING.value,
                "attempts": 0,
                "due_at": now_ms,
                "created_at": now_ms,
            }
            for no, event in events
        ]
        await session.execute(insert(DeliveryRow), values)

    # --- notifications -------------------------------------------------------------------------------------------------------

    async def _notify_of_failures(self) -> None:
        async with self._database.read() as session:
            position = await session.scalar(select(PositionRow.position).where(PositionRow.name == _FAILED_RUNS))
            settled = await self._find_settled(session, position or 0)
            rows = [] if position is None else await _list_failures(session, position)
        if position is None:
            await self._begin(settled)
            return
        if rows:
            async with self._database.write.begin() as session:
                for row in rows:
                    await self._notify(session, row)
        reached = min(settled, rows[-1].no) if len(rows) == _PAGE else settled
        if reached > position:
            async with self._database.write.begin() as session:
                moved = update(PositionRow).where(PositionRow.name == _FAILED_RUNS, PositionRow.position == position)
                await session.execute(moved.values(position=reached))

    async def _begin(self, last: int) -> None:
        """What happened before anybody looked is left alone."""
        try:
            async with self._database.write.begin() as session:
                await session.execute(insert(PositionRow).values(name=_FAILED_RUNS, position=last))
        except IntegrityError:
            return  # another process has begun at the same moment

    async def _notify(self, session: AsyncSession, row: OutboxRow) -> None:
        event = _read(row)
        if event is None or not event.actor.startswith("user:"):
            return
        error = event.data.get("error")
        text = str(error.get("message", "")) if isinstance(error, dict) else ""
        notice = Notice(
            user_id=event.actor.removeprefix("user:"),
            workspace_id=row.workspace_id,
            cause=f"run.failed:{row.aggregate_id}",
            kind="run.failed",
            title=f"The run {row.aggregate_id} has {event.data.get('status')}",
            text=text[:2_000],
            subject=row.aggregate_id,
        )
        await notify(session, notice, at_ms=self._clock.now_ms())


async def _list_new(session: AsyncSession, subscription: SubscriptionRow, after: int) -> list[OutboxRow]:
    made = exists().where(DeliveryRow.subscription_id == subscription.id, DeliveryRow.event_no == outbox.c.no)
    query = select(*_COLUMNS).where(
        outbox.c.no > after,
        outbox.c.workspace_id == subscription.workspace_id,
        outbox.c.aggregate_type != PRIVATE,
        ~made,
    )
    return [OutboxRow(**row) for row in (await session.execute(query.order_by(outbox.c.no).limit(_PAGE))).mappings()]


async def _list_failures(session: AsyncSession, position: int) -> list[OutboxRow]:
    """Runs of persons that failed, of all workspaces."""
    query = select(*_COLUMNS).where(
        outbox.c.no > position,
        outbox.c.event_type == "run.finished",
        outbox.c.payload.like(_FAILURES[0]) | outbox.c.payload.like(_FAILURES[1]),
        outbox.c.payload.like('%"actor":"user:%'),
    )
    return [OutboxRow(**row) for row in (await session.execute(query.order_by(outbox.c.no).limit(_PAGE))).mappings()]


async def _move(session: AsyncSession, subscription: SubscriptionRow, reached: int) -> None:
    own = update(SubscriptionRow).where(SubscriptionRow.id == subscription.id, SubscriptionRow.position < reached)
    await session.execute(own.values(position=reached).execution_options(synchronize_session=False))


def _read(row: OutboxRow) -> BusEvent | None:
    try:
        return list_messages(row)[0].event
    except InvariantError as fault:
        logger.error("A row of the outbox is no event; nobody hears it.", row=row.no, cause=fault.message)
        return None
