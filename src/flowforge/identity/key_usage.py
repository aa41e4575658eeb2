"""How often keys are used: counted in memory, and stored every few seconds, so that no request waits for it."""

from typing import Any, Final, cast

from sqlalchemy import CursorResult, delete, insert, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.identity.models_accounts import ApiKeyRow, KeyUsageRow
from flowforge.kit.clock import Clock
from flowforge.kit.database.session import Database

FLUSH_EVERY_S: Final = 10
_HOUR_MS: Final = 3_600_000
_KEEP_MS: Final = 90 * 86_400_000
_ADDRESS_MAX_CHARACTERS: Final = 64

_Place = tuple[str, int, str]


class KeyUsageLog:
    """Counts uses. A duty calls `run_once` each FLUSH_EVERY_S; what a killed process has counted since then is lost."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._counts: dict[_Place, tuple[int, int]] = {}
        self._cleaned_at_ms = 0

    def count(self, key_id: str, address: str, now_ms: int) -> None:
        """One use, now."""
        place = (key_id, now_ms - now_ms % _HOUR_MS, address[:_ADDRESS_MAX_CHARACTERS])
        self._counts[place] = (self._counts.get(place, (0, 0))[0] + 1, now_ms)

    async def run_once(self) -> None:
        """Stores what was counted since the last time.

        Raises:
            StorageError: the database cannot be used now; the counts are kept.
        """
        counted, self._counts = self._counts, {}
        try:
            await self._store(counted)
        except BaseException:
            for place, (number, used_at) in counted.items():
                since, last = self._counts.get(place, (0, 0))
                self._counts[place] = (since + number, max(used_at, last))
            raise

    async def _store(self, counted: dict[_Place, tuple[int, int]]) -> None:
        now_ms = self._clock.now_ms()
        if not counted and now_ms - self._cleaned_at_ms < _HOUR_MS:
            return
        async with self._database.write.begin() as session:
            for place in sorted(counted):
                await _add(session, place, *counted[place])
            if now_ms - self._cleaned_at_ms >= _HOUR_MS:
                await _execute(session, delete(KeyUsageRow).where(KeyUsageRow.hour_at < now_ms - _KEEP_MS))
                self._cleaned_at_ms = now_ms


async def _add(session: AsyncSession, place: _Place, number: int, used_at: int) -> None:
    key_id, hour_at, address = place
    same = (KeyUsageRow.key_id == key_id, KeyUsageRow.hour_at == hour_at, KeyUsageRow.address == address)
    more = update(KeyUsageRow).where(*same).values(requests=KeyUsageRow.requests + number, used_at=used_at)
    if await _execute(session, more) == 0:
        fresh = insert(KeyUsageRow).values(key_id=key_id, hour_at=hour_at, address=address, requests=number, used_at=used_at)
        try:
            async with session.begin_nested():
                await session.execute(fresh)
        except IntegrityError:
            # Another process was first, or the key is gone and nothing is changed.
            await _execute(session, more)
    await _execute(session, update(ApiKeyRow).where(ApiKeyRow.id == key_id).values(used_at=used_at))


async def _execute(session: AsyncSession, statement: Any) -> int:
    found = await session.execute(statement.execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", found).rowcount
