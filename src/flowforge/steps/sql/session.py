"""What the operations ask of every database."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from flowforge.kit.values import JsonValue
from flowforge.steps.sql.binding import Bound
from flowforge.steps.sql.faults import Hide
from flowforge.steps.sql.statements import Dialect
from flowforge.steps.sql.values import Decimals

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a result. `type` is the database's name of its type, None where it does not tell (SQLite)."""

    name: str
    type: str | None


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How to connect and read. `authority` is PEM text; `hide` takes secrets out of messages."""

    timeout_ms: int
    decimals: Decimals
    authority: str | None
    hide: Hide


class Rows(Protocol):
    """What a statement gave: rows that are read piece by piece, or none.

    `affected` counts the rows that the statement changed, as far as the database told, at the latest when all rows are read; `last_id` is
    the number that the database gave to a new row (SQLite, MySQL).
    """

    @property
    def columns(self) -> list[Column]: ...

    @property
    def affected(self) -> int: ...

    @property
    def last_id(self) -> int | None: ...

    async def read(self, count: int) -> list[list[JsonValue]]:
        """At most so many rows; none when there are no more."""
        ...


class Session(Protocol):
    """One connection. Every method raises FatalError or RetryableError with one of SQL_ERRORS.

    `stop` ends what the server is doing for a caller that was cancelled; the session can then only be closed.
    """

    dialect: Dialect

    async def begin(self, *, is_read_only: bool) -> None: ...

    async def run(self, bound: Bound, *, streams: bool = False) -> Rows: ...

    async def run_many(self, sets: list[Bound]) -> int: ...

    async def commit(self) -> None: ...

    async def rollback(self) -> None: ...

    async def stop(self) -> None: ...

    async def aclose(self) -> None: ...


class BrokenCommitError(Exception):
    """The connection broke while the server was to commit."""


async def run_in_thread(work: Callable[[], Result], interrupt: Callable[[], None] | None = None) -> Result:
    """Runs blocking work in a thread, and does not leave it behind: when cancelled, it interrupts the work and waits for its end."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            if interrupt is not None:
                interrupt()
            await asyncio.wait({task}, timeout=0.05)
        if not task.cancelled():
            task.exception()  # it is of no interest any more, and must not be told as never looked at
        raise
