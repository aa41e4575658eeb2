"""SQLite in a file below one of the configured roots."""

import asyncio
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from itertools import chain, repeat
from typing import Final, TypeVar
from urllib.parse import quote

from flowforge.kit.paths import FileRoots, PathError, PathFault
from flowforge.kit.values import JsonValue
from flowforge.operations import FatalError, RetryableError
from flowforge.steps.file.access import run_blocking
from flowforge.steps.sql.addresses import FileAddress
from flowforge.steps.sql.binding import Bound, BoundValue
from flowforge.steps.sql.faults import DatabaseFault, code_of_sqlite, make_error
from flowforge.steps.sql.session import Column, SessionOptions, run_in_thread
from flowforge.steps.sql.statements import Dialect, Statement
from flowforge.steps.sql.values import name_columns, show_bytes, show_float

Result = TypeVar("Result")

_LOCK_WAIT_MAX_S: Final = 10.0
"""How long to wait for another's lock."""
_LOCK_PAUSES_S: Final = (0.002, 0.005, 0.01, 0.02, 0.05)
_VALUE_MAX_BYTES: Final = 64 * 2**20
_PRAGMAS: Final = frozenset(
    """
    application_id collation_list compile_options data_version encoding foreign_key_check foreign_key_list foreign_keys freelist_count
    function_list index_info index_list index_xinfo integrity_check journal_mode optimize page_count page_size quick_check schema_version
    table_info table_list table_xinfo user_version
    """.split()  # noqa: SIM905 (a list of quoted words is harder to read)
)
_SETTABLE_PRAGMAS: Final = frozenset({"application_id", "user_version", "journal_mode"})
_WITH_ARGUMENT: Final = frozenset(name for name in _PRAGMAS if name.endswith(("_info", "_xinfo", "_list", "_check")))
_FUNCTIONS_DENIED: Final = frozenset({"load_extension", "fts3_tokenizer", "readfile", "writefile", "edit"})


async def open_sqlite(address: FileAddress, roots: FileRoots, options: SessionOptions) -> "SqliteSession":
    """Opens the file, which the roots' rules found: no way out of the root, and no link.

    Raises:
        FatalError, RetryableError: one of PATH_ERRORS or SQL_ERRORS.
    """
    connection = await run_blocking(lambda: _open(address, roots, options))
    session = SqliteSession(connection, options)
    try:
        await session.check()
    except BaseException:
        await session.aclose()
        raise
    return session


def _open(address: FileAddress, roots: FileRoots, options: SessionOptions) -> sqlite3.Connection:
    creates = address.mode == "create"
    with roots.hold_folder(address.root, address.path, makes_missing=creates) as (folder, name):
        there = _look(folder, name)
        if there is None and not creates:
            raise PathError(
                PathFault.MISSING,
                f"There is no database {address.path!r} in the root {address.root!r}; add ?mode=create to make it.",
            )
        # The driver opens files by path, and puts its journals beside them. It must be the only one in this process that opens and closes
        # the file: POSIX drops a process's locks on a file when any descriptor of it is closed.
        path = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), name)  # noqa: PTH115, PTH118 - a descriptor's path, as text
        with _explain(options):
            connection = _connect(path, "rwc" if creates else "rw")
        try:
            opened = os.stat(path, follow_symlinks=False)  # noqa: PTH116 - compared with a descriptor's
            found = _look(folder, name)
            if found is None or (opened.st_dev, opened.st_ino) != (found.st_dev, found.st_ino):
                raise PathError(PathFault.DENIED, f"{address.path!r} was replaced while it was opened.")
        except BaseException:
            connection.close()
            raise
    return connection


def _look(folder: int, name: str) -> os.stat_result | None:
    try:
        facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(facts.st_mode):
        fault = PathFault.DENIED if stat.S_ISLNK(facts.st_mode) else PathFault.KIND
        raise PathError(fault, f"{name!r} is no regular file; a link is not followed.")
    return facts


def _connect(path: str, mode: str) -> sqlite3.Connection:
    # Locks are waited for outside of the thread: waiters would fill the pool, and the lock's holder find no thread to go on.
    connection = sqlite3.connect(
        f"file:{quote(path)}?mode={mode}", uri=True, timeout=0, isolation_level=None, check_same_thread=False
    )
    try:
        for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _VALUE_MAX_BYTES)
        connection.set_authorizer(_authorize)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _authorize(action: int, first: str | None, second: str | None, _database: str | None, _trigger: str | None) -> int:
    match action:
        case sqlite3.SQLITE_ATTACH:
            is_allowed = first == ""  # VACUUM's own temporary database
        case sqlite3.SQLITE_DETACH:
            is_allowed = first == "vacuum_db"
        case sqlite3.SQLITE_FUNCTION:
            is_allowed = (second or "").lower() not in _FUNCTIONS_DENIED
        case sqlite3.SQLITE_PRAGMA:
            is_allowed = _may_use_pragma((first or "").lower(), second)
        case _:
            is_allowed = True
    return sqlite3.SQLITE_OK if is_allowed else sqlite3.SQLITE_DENY


def _may_use_pragma(name: str, argument: str | None) -> bool:
    return name in _PRAGMAS and (argument is None or name in _SETTABLE_PRAGMAS or name in _WITH_ARGUMENT)


@contextmanager
def _explain(options: SessionOptions) -> Generator[None]:
    try:
        yield
    except sqlite3.Error as error:
        # Faults of the driver itself have no code: a wrong number of values, a text that is no UTF-8.
        name = getattr(error, "sqlite_errorname", None)
        code = "sql_failed" if name is None else code_of_sqlite(name)
        constraint = str(error).partition(": ")[2] if code == "sql_constraint" else None
        fault = DatabaseFault(
            code,
            str(error),
            {"sqlite_code": name},
            constraint or None,
            is_retryable=name is not None and name.startswith(("SQLITE_IOERR", "SQLITE_FULL", "SQLITE_CANTOPEN")),
        )
        raise make_error(fault, options.hide) from None


class SqliteRows:
    """Rows of a cursor, read in a thread."""

    def __init__(self, session: "SqliteSession", cursor: sqlite3.Cursor) -> None:
        self._session = session
        self._cursor = cursor
        names = [str(description[0]) for description in cursor.description or ()]
        self.columns = [Column(name, None) for name in name_columns(names)]
        self._seen = 0

    @property
    def affected(self) -> int:
        return max(self._cursor.rowcount, 0)

    @property
    def last_id(self) -> int | None:
        return self._session.find_last_id()

    async def read(self, count: int) -> list[list[JsonValue]]:
        if not self.columns:
            return []
        rows: list[tuple[BoundValue, ...]] = await self._session.call(lambda: self._cursor.fetchmany(count))
        return [[_show(value) for value in row] for row in rows]


class SqliteSession:
    """One connection to a file. Everything that blocks is done in a thread."""

    dialect = Dialect.SQLITE

    def __init__(self, connection: sqlite3.Connection, options: SessionOptions) -> None:
        self._connection = connection
        self._options = options
        self._last_id = 0

    async def call(self, work: Callable[[], Result]) -> Result:
        with _explain(self._options):
            return await run_in_thread(work, self._connection.interrupt)

    async def call_patiently(self, work: Callable[[], Result]) -> Result:
        """As `call`, again while another holds a lock; for work that changes nothing where it meets one."""
        deadline_s = time.monotonic() + min(self._options.timeout_ms / 1000, _LOCK_WAIT_MAX_S)
        pauses_s = chain(_LOCK_PAUSES_S, repeat(_LOCK_PAUSES_S[-1]))
        while True:
            try:
                return await self.call(work)
            except RetryableError as error:
                if error.code != "sql_conflict" or time.monotonic() > deadline_s:
                    raise
            await asyncio.sleep(next(pauses_s))

    async def check(self) -> None:
        """Makes sure that the file is a database."""
        await self.call_patiently(lambda: self._connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").close())

    def find_last_id(self) -> int | None:
        return self._last_id or None

    async def begin(self, *, is_read_only: bool) -> None:
        if is_read_only:
            await self.call(self._set_query_only)
        # A transaction that reads first and writes later fails at once when another has written in between, whatever the time-out.
        await self.call_patiently(lambda: self._connection.execute("BEGIN" if is_read_only else "BEGIN IMMEDIATE"))

    def _set_query_only(self) -> None:
        self._connection.set_authorizer(None)
        self._connection.execute("PRAGMA query_only = ON")
        self._connection.set_authorizer(_authorize)

    async def run(self, bound: Bound, *, streams: bool = False) -> SqliteRows:
        del streams  # rows are always read as they are asked for
        cursor = await self.call_patiently(lambda: self._execute(bound))
        return SqliteRows(self, cursor)

    def _execute(self, bound: Bound) -> sqlite3.Cursor:
        try:
            changes = self._connection.total_changes
            cursor = self._connection.execute(_write(bound.statement), bound.values)
        except sqlite3.Warning as error:
            raise FatalError(f"The statement cannot be used: {error}", code="sql_statement") from None
        except OverflowError:
            raise FatalError("A parameter does not fit into 64 bits.", code="sql_parameters") from None
        is_new_row = bound.statement.keyword in {"INSERT", "REPLACE", "WITH"} and self._connection.total_changes > changes
        self._last_id = (cursor.lastrowid or 0) if is_new_row else 0
        return cursor

    async def run_many(self, sets: list[Bound]) -> int:
        text = _write(sets[0].statement)
        cursor = await self.call(lambda: self._connection.executemany(text, [bound.values for bound in sets]))
        return max(cursor.rowcount, 0)

    async def commit(self) -> None:
        await self.call_patiently(lambda: self._connection.execute("COMMIT"))

    async def rollback(self) -> None:
        if self._connection.in_transaction:
            await self.call(lambda: self._connection.execute("ROLLBACK"))

    async def stop(self) -> None:
        self._connection.interrupt()

    async def aclose(self) -> None:
        await run_in_thread(self._connection.close)


def _write(statement: Statement) -> str:
    return "?".join(statement.pieces)


def _show(value: BoundValue) -> JsonValue:
    if isinstance(value, bytes):
        return show_bytes(value)
    return show_float(value) if isinstance(value, float) else value  # pyright: ignore[reportReturnType] - SQLite has no lists
