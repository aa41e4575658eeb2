"""Deliveries go out: signed, with retries over three days, then a dead letter."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from sqlalchemy import CursorResult, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.chance import draw_fraction
from flowforge.kit.clock import Clock
from flowforge.kit.database.session import Database
from flowforge.kit.egress import EgressClient, EgressError, EgressRequest
from flowforge.kit.keyring import Keyring, UnreadableError
from flowforge.kit.telemetry.logs import get_logger
from flowforge.live.models import DeliveryRow, SubscriptionRow
from flowforge.live.notifying import notify
from flowforge.live.signing import sign
from flowforge.live.subscriptions import disable_gone, reveal_secret
from flowforge.live.types import DeliveryStatus, Notice

PATIENCE_S: Final = 15.0
RETRIES_MS: Final = tuple(seconds * 1_000 for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 72_000))
"""After each failure: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 20 h; together three days. Spread by a tenth."""
KEPT_MS: Final = 7 * 86_400_000
_TAKEN_MS: Final = 60_000
"""How long a delivery that a process has taken is left to it."""
_AT_ONCE: Final = 20
_GONE: Final = 410
_ERROR_MAX: Final = 500

logger = get_logger("live.deliveries")


@dataclass(frozen=True, slots=True)
class _Outcome:
    status: int | None
    error: str | None

    @property
    def is_good(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def _ignore(_outcome: str) -> None:
    """Nobody counts."""


class DeliveryDuty:
    """Sends what is due, and drops what was delivered a week ago. Each second, or more often.

    `on_outcome` is told of each attempt: delivered, failed, dead.
    """

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        egress: EgressClient,
        clock: Clock,
        on_outcome: Callable[[str], None] = _ignore,
    ) -> None:
        self._on_outcome = on_outcome
        self._database = database
        self._keyring = keyring
        self._egress = egress
        self._clock = clock

    async def run_once(self) -> None:
        """Raises StorageError: the database cannot be used now."""
        while taken := await self._take():
            await asyncio.gather(*(self._deliver(row, subscription) for row, subscription in taken))
        before_ms = self._clock.now_ms() - KEPT_MS
        async with self._database.read() as session:
            old = (await session.scalars(select(DeliveryRow.id).where(DeliveryRow.ended_at < before_ms).limit(_AT_ONCE))).all()
        if old:
            async with self._database.write.begin() as session:
                await session.execute(delete(DeliveryRow).where(DeliveryRow.id.in_(old)))

    async def _take(self) -> Sequence[tuple[DeliveryRow, SubscriptionRow]]:
        """Due deliveries that are ours for a while: whoever moves `due_at` on has them."""
        now_ms = self._clock.now_ms()
        query = select(DeliveryRow, SubscriptionRow).join(SubscriptionRow, SubscriptionRow.id == DeliveryRow.subscription_id)
        query = query.where(DeliveryRow.due_at <= now_ms, SubscriptionRow.active == 1).order_by(DeliveryRow.due_at)
        async with self._database.read() as session:
            found = [(row[0], row[1]) for row in (await session.execute(query.limit(_AT_ONCE))).all()]
        if not found:
            return []
        async with self._database.write.begin() as session:
            return [pair for pair in found if await _take_one(session, pair[0], now_ms + _TAKEN_MS)]

    async def _deliver(self, row: DeliveryRow, subscription: SubscriptionRow) -> None:
        outcome = await self._send(row, subscription)
        async with self._database.write.begin() as session:
            await self._settle(session, row, subscription, outcome)

    async def _send(self, row: DeliveryRow, subscription: SubscriptionRow) -> _Outcome:
        at_s, body = self._clock.now_ms() // 1_000, row.event.encode()
        try:
            signature = sign(reveal_secret(self._keyring, subscription), row.id, at_s, body)
            headers = (
                ("content-type", "application/json"),
                ("user-agent", "FlowForge-Events/1"),
                ("webhook-id", row.id),
                ("webhook-timestamp", str(at_s)),
                ("webhook-signature", signature),
            )
            request = EgressRequest("POST", subscription.url, headers, body, follows_redirects=False)
            async with asyncio.timeout(PATIENCE_S):
                answer = await self._egress.send(request)
        except TimeoutError:
            return _Outcome(None, f"No answer within {PATIENCE_S:g} s.")
        except (EgressError, UnreadableError) as fault:
            return _Outcome(None, fault.message)
        is_good = 200 <= answer.status < 300
        return _Outcome(answer.status, None if is_good else f"The receiver answered {answer.status}.")

    async def _settle(self, session: AsyncSession, row: DeliveryRow, subscription: SubscriptionRow, outcome: _Outcome) -> None:
        now_ms, attempts = self._clock.now_ms(), row.attempts + 1
        is_last = outcome.status == _GONE or attempts > len(RETRIES_MS)
        values: dict[str, object] = {"attempts": attempts, "last_status": outcome.status}
        values["last_error"] = None if outcome.error is None else outcome.error[:_ERROR_MAX]
        if outcome.is_good:
            values |= {"status": DeliveryStatus.DELIVERED.value, "due_at": None, "ended_at": now_ms}
        elif is_last:
            values |= {"status": DeliveryStatus.DEAD.value, "due_at": None, "ended_at": now_ms}
            await self._bury(session, row, subscription, outcome, now_ms)
        else:
            delay_ms = RETRIES_MS[attempts - 1]
            values["due_at"] = now_ms + delay_ms + int(delay_ms * 0.1 * draw_fraction())
        self._on_outcome("delivered" if outcome.is_good else "dead" if is_last else "failed")
        await session.execute(update(DeliveryRow).where(DeliveryRow.id == row.id).values(**values))

    async def _bury(
        self, session: AsyncSession, row: DeliveryRow, subscription: SubscriptionRow, outcome: _Outcome, now_ms: int
    ) -> None:
        logger.warning(
            "An event could not be delivered: a dead letter.", delivery=row.id, url=subscription.url, cause=outcome.error
        )
        if outcome.status == _GONE:
            await disable_gone(session, subscription.workspace_id, subscription.id, now_ms)
        if not subscription.created_by.startswith("user:"):
            return
        notice = Notice(
            user_id=subscription.created_by.removeprefix("user:"),
            workspace_id=subscription.workspace_id,
            cause=f"delivery.dead:{row.id}",
            kind="delivery.dead",
            title=f"Events do not reach {subscription.url}"[:200],
            text=outcome.error or "",
            subject=subscription.id,
        )
        await notify(session, notice, at_ms=now_ms)


async def _take_one(session: AsyncSession, row: DeliveryRow, until_ms: int) -> bool:
    own = update(DeliveryRow).where(DeliveryRow.id == row.id, DeliveryRow.due_at == row.due_at)
    taken = await session.execute(own.values(due_at=until_ms).execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", taken).rowcount == 1
