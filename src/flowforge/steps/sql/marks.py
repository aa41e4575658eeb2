"""`once`: the step's own mark, kept in the target database in the same transaction as the effect.

Either both are there or neither: an attempt that finds the mark knows that the effect was made, whatever the engine's journal says. The
table is made at the first use, or beforehand by an administrator:

    CREATE TABLE flowforge_marks (
        idempotency_key VARCHAR(255) NOT NULL PRIMARY KEY,
        made_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
        result TEXT            -- LONGTEXT in MySQL and MariaDB, with ENGINE=InnoDB
    )

Marks older than the longest run may be deleted.
"""

from typing import Final

from flowforge.kit.border import decode, encode
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import FatalError, RetryableError
from flowforge.steps.sql.binding import Bound, bind
from flowforge.steps.sql.session import Session
from flowforge.steps.sql.statements import Dialect, Style, read_statement

TABLE: Final = "flowforge_marks"
_KEY_MAX_CHARACTERS: Final = 255

_CREATE: Final = {
    Dialect.SQLITE: (
        "CREATE TABLE IF NOT EXISTS flowforge_marks (idempotency_key VARCHAR(255) NOT NULL PRIMARY KEY,"
        " made_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, result TEXT)"
    ),
    Dialect.POSTGRESQL: (
        "CREATE TABLE IF NOT EXISTS flowforge_marks (idempotency_key VARCHAR(255) NOT NULL PRIMARY KEY,"
        " made_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, result TEXT)"
    ),
    Dialect.MYSQL: (
        "CREATE TABLE IF NOT EXISTS flowforge_marks (idempotency_key VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
        " NOT NULL PRIMARY KEY, made_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, result LONGTEXT CHARACTER SET utf8mb4)"
        " ENGINE=InnoDB"
    ),
}
_PROBE: Final = {
    Dialect.SQLITE: "SELECT 1 FROM sqlite_master WHERE name = 'flowforge_marks'",
    Dialect.POSTGRESQL: "SELECT 1 WHERE to_regclass('flowforge_marks') IS NOT NULL",
    Dialect.MYSQL: ("SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'flowforge_marks'"),
}
_FIND: Final = "SELECT result FROM flowforge_marks WHERE idempotency_key = ?"
_PLACE: Final = {
    Dialect.SQLITE: "INSERT INTO flowforge_marks (idempotency_key) VALUES (?) ON CONFLICT DO NOTHING",
    Dialect.POSTGRESQL: "INSERT INTO flowforge_marks (idempotency_key) VALUES (?) ON CONFLICT DO NOTHING",
    # The key is as long as the column allows, so a repeated one is all that IGNORE can pass over.
    Dialect.MYSQL: "INSERT IGNORE INTO flowforge_marks (idempotency_key) VALUES (?)",
}
_FINISH: Final = "UPDATE flowforge_marks SET result = ? WHERE idempotency_key = ?"


class Marks:
    """The mark of one step, in its session."""

    def __init__(self, session: Session, key: str) -> None:
        if len(key) > _KEY_MAX_CHARACTERS:
            raise FatalError(f"The idempotency key is longer than {_KEY_MAX_CHARACTERS} characters.", code="sql_failed")
        self._session = session
        self._key = key

    async def prepare(self) -> None:
        """Makes the table if it is missing. Call it before the transaction: MySQL would end one here."""
        if await self._read(_PROBE[self._session.dialect]):
            return
        try:
            await self._run(_CREATE[self._session.dialect])
        except (FatalError, RetryableError):
            # Two that begin at the same time may both make it, and one of them is told so.
            if not await self._read(_PROBE[self._session.dialect]):
                raise

    async def place(self) -> JsonObject | None:
        """Puts the mark there, inside the transaction; what an attempt before gave, if it is there already.

        An attempt that holds the mark and has not committed is waited for.
        """
        changed = await self._run(_PLACE[self._session.dialect], self._key)
        if changed:
            return None
        rows = await self._read(_FIND, self._key)
        if not rows:
            raise RetryableError("Another attempt holds this step's mark.", code="sql_conflict")
        if not isinstance(rows[0][0], str):
            raise FatalError(
                "This step's mark is there without a result: what it ran has ended the transaction by itself (a procedure can), so nobody"
                f" knows how far it came. Look at the data, then delete the row of {TABLE}.",
                code="sql_failed",
            )
        found = decode(rows[0][0])
        assert isinstance(found, dict)
        return found

    async def finish(self, result: JsonObject) -> None:
        """Writes what the step gives beside the mark."""
        await self._run(_FINISH, encode(result).decode(), self._key)

    async def _run(self, text: str, *values: JsonValue) -> int:
        return (await self._session.run(self._bind(text, values))).affected

    async def _read(self, text: str, *values: JsonValue) -> list[list[JsonValue]]:
        rows = await self._session.run(self._bind(text, values))
        found = await rows.read(2)
        while await rows.read(2):
            pass
        return found

    def _bind(self, text: str, values: tuple[JsonValue, ...]) -> Bound:
        dialect = self._session.dialect
        statement = read_statement(text, dialect, Style.POSITIONAL if values else Style.NONE)
        return bind(statement, list(values) if values else None, dialect, _refuse_file)


def _refuse_file(value: JsonObject, label: str) -> bytes:
    raise FatalError(f"The parameter {label} is no text: {sorted(value)}.", code="sql_parameters")
