"""The checks of a process' health pages: what it depends on, each asked as it is used."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from flowforge.cluster.health import OK, CheckResult, CheckStatus, HealthCheck
from flowforge.kit.clock import Clock
from flowforge.kit.database.session import Database
from flowforge.kit.errors import StorageError
from flowforge.kit.units import format_duration

SKEW_MAX_MS: Final = 2_000
"""The clocks of two machines may differ by as much without anybody being told."""


class BrokerLink(Protocol):
    """Whoever uses the broker. `trouble`: why it is not reached; None while it is."""

    @property
    def trouble(self) -> str | None: ...


class Stalling(Protocol):
    """An engine's commits. `stall_cause`: why they wait; None while they do not."""

    @property
    def stall_cause(self) -> StorageError | None: ...


def check_database(find_database: Callable[[], Database]) -> HealthCheck:
    """That the database answers a question, in a session of the pool."""

    async def probe() -> CheckResult:
        try:
            async with find_database().read() as session:
                await session.execute(text("SELECT 1"))
        except SQLAlchemyError as fault:
            raise StorageError(f"The database does not answer: {str(fault).splitlines()[0]}") from fault
        return OK

    return HealthCheck("database", probe, is_needed=True)


def check_engine(committer: Stalling) -> HealthCheck:
    """That what the engine decides can be stored."""

    async def probe() -> CheckResult:
        cause = committer.stall_cause
        return OK if cause is None else CheckResult(CheckStatus.UNREACHABLE, f"Commits wait: {cause.message}")

    return HealthCheck("engine", probe, is_needed=True)


def check_broker(link: BrokerLink) -> HealthCheck:
    """Without its broker a process works on, only slower: this makes nobody unready."""

    async def probe() -> CheckResult:
        trouble = link.trouble
        if trouble is None:
            return OK
        return CheckResult(CheckStatus.UNREACHABLE, f"Work is found by looking, not by being told: {trouble}")

    return HealthCheck("broker", probe)


def check_redis(ping: Callable[[], Awaitable[object]]) -> HealthCheck:
    """Without Redis live updates come later and requests are not counted; everything else goes on: this makes nobody unready.

    `ping` raises DependencyError or OSError where it does not answer.
    """

    async def probe() -> CheckResult:
        await ping()
        return OK

    return HealthCheck("redis", probe)


def check_clock(machine: Clock, database: Clock) -> HealthCheck:
    """That the machine's clock and the database's agree. Nothing of ours depends on it; whoever compares logs does."""

    async def probe() -> CheckResult:
        skew_ms = machine.now_ms() - database.now_ms()
        if abs(skew_ms) <= SKEW_MAX_MS:
            return OK
        way = "ahead of" if skew_ms > 0 else "behind"
        message = f"This machine's clock is {format_duration(abs(skew_ms))} {way} the database's: set it by NTP."
        return CheckResult(CheckStatus.DEGRADED, message)

    return HealthCheck("clock", probe)


def check_objects(look: Callable[[], object]) -> HealthCheck:
    """That the object store answers. `look` blocks, and raises StorageError or OSError where it does not."""

    async def probe() -> CheckResult:
        await asyncio.to_thread(look)
        return OK

    return HealthCheck("objects", probe)
