"""Where what a browser's session holds is kept: in its row, or in the Redis of a cluster.

Which sessions there are, whose, and until when is in the database in both cases, so that a session ends in the transaction of whatever
ends it, and is refused at the next request of any process.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sqlalchemy import update

from flowforge.identity.models_accounts import SessionRow
from flowforge.kit.database.session import Database
from flowforge.kit.keyring import Sealed

ELSEWHERE = Sealed("", b"")
"""In the row of a session whose content is not in it."""


@dataclass(frozen=True, slots=True)
class Kept:
    """`sealed`: the CSRF secret, and from where the person signed in. `used_at_ms`: the last use that was stored."""

    sealed: Sealed = field(repr=False)
    used_at_ms: int


class SessionContents(Protocol):
    """One suite holds all kinds to this. Whoever cannot be asked raises StorageError: nobody is let in on what is not known."""

    async def keep(self, digest: str, sealed: Sealed, now_ms: int) -> Sealed:
        """Before the transaction in which the session begins; gives what is to stand in its row."""
        ...

    async def drop(self, digest: str) -> None:
        """The session did not begin after all."""
        ...

    async def find(self, rows: Sequence[SessionRow]) -> Mapping[str, Kept]:
        """By digest; one that is not there any more is left out. Not for use while a session of the database is open."""
        ...

    async def touch(self, row: SessionRow, now_ms: int) -> None:
        """Stores that the session was used now."""
        ...


class DatabaseContents:
    """In the session's row."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, digest: str, sealed: Sealed, now_ms: int) -> Sealed:
        del digest, now_ms
        return sealed

    async def drop(self, digest: str) -> None:
        """Its row was never committed."""

    async def find(self, rows: Sequence[SessionRow]) -> Mapping[str, Kept]:
        return {row.digest: Kept(Sealed(row.key_id, row.sealed), row.used_at) for row in rows if is_in_row(row)}

    async def touch(self, row: SessionRow, now_ms: int) -> None:
        used = update(SessionRow).where(SessionRow.digest == row.digest, SessionRow.used_at < now_ms).values(used_at=now_ms)
        async with self._database.write.begin() as session:
            await session.execute(used.execution_options(synchronize_session=False))


def is_in_row(row: SessionRow) -> bool:
    """Whether the row holds its content: those of programs always do, and those from before there was a Redis."""
    return row.sealed != ELSEWHERE.data
