"""Election: of all who ask for a lease, one has it. A row of `leases`, judged by the database's clock; no connection is held for it.

`epoch` grows with each change of the holder. A lease that its holder does not renew (it is dead, frozen or cut off) runs out and goes to
whoever asks first. Whoever lost it learns so when it renews, and before that from its own monotonic clock: it acts no longer than it may.
"""

from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.engine.tables import leases
from flowforge.kit.clock import Clock
from flowforge.kit.database.session import Sessions


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that is ours: `epoch` counts its holders; `ends_s` by our own monotonic clock."""

    epoch: int
    ends_s: float


class Candidate:
    """One who asks for one lease, again and again: `ask` each time something is to be done, well within `length_ms`.

    `clock` is the database's, estimated from below: nobody takes a lease before its end. `holder` is a worker's number.
    """

    def __init__(self, sessions: Sessions, clock: Clock, *, name: str, length_ms: int) -> None:
        self._sessions = sessions
        self._clock = clock
        self._name = name
        self._length_ms = length_ms
        self._lease: Lease | None = None
        self._holder = 0

    @property
    def epoch(self) -> int | None:
        """The number of our term; None while somebody else may have the lease."""
        lease = self._lease
        return None if lease is None or self._clock.monotonic_s() >= lease.ends_s else lease.epoch

    async def ask(self, holder: int) -> bool:
        """Renews the lease where it is ours, once a third of it is over; else takes it where it is free. Whether it is ours now.

        Raises:
            StorageError: the database cannot be used; until its end the lease stays whose it is.
        """
        if holder != self._holder:
            self._lease, self._holder = None, holder
        if self._lease is not None and self._lease.ends_s - self._clock.monotonic_s() > self._length_ms * 2 / 3_000:
            return True
        # Before the question: the time that it takes is not ours.
        ends_s = self._clock.monotonic_s() + self._length_ms / 1_000
        epoch = None
        if self._lease is not None:
            epoch = await self._renew(self._lease.epoch)
        if epoch is None:
            epoch = await self._take()
        self._lease = None if epoch is None else Lease(epoch, ends_s)
        return self._lease is not None

    async def release(self) -> None:
        """Gives the lease back, for the next one at once. Nothing where it is not ours.

        Raises:
            StorageError: the database cannot be used; the lease runs out by itself.
        """
        lease, self._lease = self._lease, None
        if lease is None:
            return
        ours = (leases.c.name == self._name) & (leases.c.holder == self._holder) & (leases.c.epoch == lease.epoch)
        async with self._sessions.begin() as session:
            await session.execute(update(leases).where(ours).values(expires_at=0))

    async def _renew(self, epoch: int) -> int | None:
        ours = (leases.c.name == self._name) & (leases.c.holder == self._holder) & (leases.c.epoch == epoch)
        async with self._sessions.begin() as session:
            return epoch if await self._set(session, ours, epoch) else None

    async def _take(self) -> int | None:
        try:
            async with self._sessions.begin() as session:
                return await self._take_in(session)
        except IntegrityError:
            # The very first lease of this name: somebody else's row came before ours.
            return None

    async def _take_in(self, session: AsyncSession) -> int | None:
        found = (await session.execute(select(leases.c.epoch, leases.c.expires_at).where(leases.c.name == self._name))).first()
        if found is None:
            row = {"name": self._name, "holder": self._holder, "epoch": 1, "expires_at": self._clock.now_ms() + self._length_ms}
            await session.execute(insert(leases).values(row))
            return 1
        epoch, expires_at = int(found[0]), int(found[1])
        if expires_at > self._clock.now_ms():
            return None
        # Of all who saw it free, one finds the epoch as it was.
        free = (leases.c.name == self._name) & (leases.c.epoch == epoch) & (leases.c.expires_at == expires_at)
        return epoch + 1 if await self._set(session, free, epoch + 1) else None

    async def _set(self, session: AsyncSession, where: ColumnElement[bool], epoch: int) -> bool:
        values = {"holder": self._holder, "epoch": epoch, "expires_at": self._clock.now_ms() + self._length_ms}
        done = cast("CursorResult[Any]", await session.execute(update(leases).where(where).values(values)))
        return done.rowcount == 1
