"""MySQL and MariaDB, through aiomysql.

The driver has no prepared statements. Values are therefore written into the text as literals that nothing in a value can end: texts and
bytes in hexadecimal (`_utf8mb4 X'…'`, `X'…'`), numbers in digits.
"""

import asyncio
import re
import ssl
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, Final

from flowforge.kit.values import JsonValue
from flowforge.operations import FatalError, RetryableError
from flowforge.steps.sql.addresses import ServerAddress, choose_tls, name_server
from flowforge.steps.sql.binding import Bound, BoundValue
from flowforge.steps.sql.faults import DatabaseFault, code_of_errno, make_error
from flowforge.steps.sql.mysql_driver import TlsRefusedError, load_connection, make_tls_context
from flowforge.steps.sql.session import BrokenCommitError, Column, SessionOptions
from flowforge.steps.sql.statements import Dialect
from flowforge.steps.sql.values import (
    Converter,
    UnsupportedValueError,
    name_columns,
    read_decimal_as_number,
    read_float,
    read_integer,
    read_json,
    read_moment,
    show_bytes,
)

_KILL_TIMEOUT_S: Final = 5
_TEXT_MAX_CHARACTERS: Final = 512 * 1024
_VALUES_HEAD: Final = re.compile(r"^[^'\"#]*\bVALUES?\s*(\(\s*)$", re.IGNORECASE)
_KINDS: Final[dict[int, str]] = {
    0: "decimal",
    1: "tinyint",
    2: "smallint",
    3: "int",
    4: "float",
    5: "double",
    6: "null",
    7: "timestamp",
    8: "bigint",
    9: "mediumint",
    10: "date",
    11: "time",
    12: "datetime",
    13: "year",
    15: "varchar",
    16: "bit",
    245: "json",
    246: "decimal",
    247: "enum",
    248: "set",
    249: "text",
    250: "text",
    251: "text",
    252: "text",
    253: "varchar",
    254: "char",
    255: "geometry",
}
_BINARY_KINDS: Final = {"text": "blob", "varchar": "varbinary", "char": "binary"}
_CONVERTERS: Final[dict[str, Converter]] = {
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint", "year"), read_integer),
    "float": read_float,
    "double": read_float,
    "datetime": read_moment,
    "timestamp": lambda text: f"{read_moment(text)}Z",
    "json": read_json,
}
_IDENTITY: Final[Converter] = str
_BINARY_CHARSET: Final = 63


async def open_mysql(address: ServerAddress, ips: list[str], options: SessionOptions) -> "MysqlSession":
    """Connects to the first of the judged addresses that answers.

    Raises:
        FatalError, RetryableError: `not_installed`, `connection_failed`, `sql_auth`, `tls`.
    """
    error: FatalError | RetryableError | None = None
    for ip in ips:
        try:
            connection = await _connect(address, ip, options)
        except RetryableError as refused:
            error = refused
            continue
        session = MysqlSession(connection, address, ip, options)
        try:
            await session.prepare()
        except BaseException:
            await session.aclose()
            raise
        return session
    raise error or make_error(DatabaseFault("connection_failed", "it has no address", name_server(address)), options.hide)


async def _connect(address: ServerAddress, ip: str, options: SessionOptions) -> Any:
    tls_mode = choose_tls(address, ip)
    make_connection = load_connection()
    tls = await asyncio.to_thread(make_tls_context, tls_mode, options.authority)
    connection: Any = make_connection(
        server_name=address.host,
        tls_mode=tls_mode,
        host=ip,
        port=address.port,
        user=address.user,
        password=address.password,
        db=address.name,
        charset="utf8mb4",
        conv={},
        autocommit=True,
        connect_timeout=address.connect_timeout_s,
        ssl=tls,
        program_name=address.application_name,
    )
    try:
        async with asyncio.timeout(address.connect_timeout_s):
            await connection._connect()  # noqa: SLF001 - the driver's own way in takes no class of connections
    except BaseException as error:
        connection.close()
        if isinstance(error, _list_errors()):
            raise _tell_refusal(address, error, options) from None
        raise
    return connection


@cache
def _list_errors() -> tuple[type[Exception], ...]:
    # Start-up cost, as in mysql_driver.
    from pymysql.err import MySQLError

    # The driver tells a server that asks for a local file by a RuntimeError, a broken answer by the others.
    return (MySQLError, TlsRefusedError, OSError, RuntimeError, UnicodeError, ValueError, IndexError, AssertionError)


def _tell_refusal(address: ServerAddress, error: Exception, options: SessionOptions) -> FatalError | RetryableError:
    cause = error.__cause__ if isinstance(error.__cause__, ssl.SSLError | TlsRefusedError) else error
    code, message, number = _read_error(cause, "connection_failed")
    if isinstance(cause, ssl.SSLError | TlsRefusedError):
        code, message = "tls", getattr(cause, "verify_message", "") or str(cause)
    elif isinstance(cause, TimeoutError):
        message = f"it said nothing within {address.connect_timeout_s} s; check that a MySQL or MariaDB server is at that port"
    elif isinstance(cause, UnicodeEncodeError):
        code, message = "sql_auth", "the user name or password holds a character that the driver cannot send"
    return make_error(DatabaseFault(code, message, {**name_server(address), "errno": number}), options.hide)


def _read_error(error: BaseException, otherwise: str) -> tuple[str, str, int | None]:
    match error.args:
        case (int(number), str(message), *_) if number and not isinstance(error, OSError):
            return code_of_errno(number), message, number
        case _:
            return otherwise, str(error) or type(error).__name__, None


class MysqlRows:
    """Rows of a statement, read as the server sends them."""

    def __init__(self, session: "MysqlSession", result: Any) -> None:
        self._session = session
        self._result = result
        fields: list[Any] = result.fields if result.description or result.field_count else []
        names = name_columns([str(field.name) for field in fields])
        kinds = [_find_kind(field) for field in fields]
        self.columns = [Column(name, kind) for name, kind in zip(names, kinds, strict=True)]
        self._converters = [session.find_converter(kind) for kind in kinds]
        self.affected = 0 if self.columns else int(result.affected_rows or 0)
        self.last_id: int | None = None if self.columns else (int(result.insert_id or 0) or None)

    async def read(self, count: int) -> list[list[JsonValue]]:
        rows: list[list[JsonValue]] = []
        if not self.columns:
            return rows
        with self._session.explain():
            while len(rows) < count:
                row: tuple[object, ...] | None = await self._result._read_rowdata_packet_unbuffered()  # noqa: SLF001 - see mysql_driver
                if row is None:
                    break
                rows.append(self._convert(row))
        return rows

    def _convert(self, row: tuple[object, ...]) -> list[JsonValue]:
        values: list[JsonValue] = []
        for column, converter, value in zip(self.columns, self._converters, row, strict=True):
            try:
                values.append(_convert(value, column.type, converter))
            except UnsupportedValueError as error:
                raise FatalError(
                    f"The column {column.name!r} holds a value of no use: {error}.", code="value_unsupported"
                ) from None
        return values


def _find_kind(field: Any) -> str:
    kind = _KINDS.get(field.type_code, "unknown")
    return _BINARY_KINDS.get(kind, kind) if field.charsetnr == _BINARY_CHARSET else kind


def _convert(value: object, kind: str | None, converter: Converter) -> JsonValue:
    if value is None:
        return None
    if isinstance(value, bytes):
        return read_integer(str(int.from_bytes(value))) if kind == "bit" else show_bytes(value)
    return converter(str(value))


class MysqlSession:
    """One connection. Its zone is UTC."""

    dialect = Dialect.MYSQL

    def __init__(self, connection: Any, address: ServerAddress, ip: str, options: SessionOptions) -> None:
        self._connection = connection
        self._place = (address, ip)
        self._options = options

    def find_converter(self, kind: str) -> Converter:
        if kind == "decimal":
            return read_decimal_as_number if self._options.decimals == "number" else _IDENTITY
        return _CONVERTERS.get(kind, _IDENTITY)

    @contextmanager
    def explain(self) -> Generator[None]:
        try:
            yield
        except _list_errors() as error:
            raise self._translate(error) from None

    def _translate(self, error: Exception) -> FatalError | RetryableError:
        otherwise = "connection_failed" if self._connection.closed else "sql_failed"
        code, message, number = _read_error(error, otherwise)
        # `Duplicate entry 'x' for key 'name'`, `… CONSTRAINT `name` FOREIGN KEY …`, `CONSTRAINT `name` failed for …`
        quoted = message.replace("`", "'").rstrip("'").split("'")
        constraint = None
        if code == "sql_constraint" and "CONSTRAINT" in message:
            constraint = message.partition("CONSTRAINT ")[2].lstrip("`").partition("`")[0]
        elif code == "sql_constraint" and "for key" in message:
            constraint = quoted[-1]
        return make_error(DatabaseFault(code, message, {"errno": number}, constraint), self._options.hide)

    async def prepare(self) -> None:
        """Sets what the reading of values and statements stands on."""
        # Text with backslashes is what the reader of statements expects; the time zone makes a TIMESTAMP UTC.
        await self._query("SET SESSION time_zone = '+00:00', sql_mode = REPLACE(@@SESSION.sql_mode, 'NO_BACKSLASH_ESCAPES', '')")
        if "mariadb" in str(self._connection.get_server_info()).lower():
            await self._query(f"SET SESSION max_statement_time = {self._options.timeout_ms / 1000:.3f}")
        else:
            await self._query(f"SET SESSION max_execution_time = {self._options.timeout_ms}")

    async def begin(self, *, is_read_only: bool) -> None:
        await self._query("START TRANSACTION READ ONLY" if is_read_only else "START TRANSACTION")

    async def run(self, bound: Bound, *, streams: bool = False) -> MysqlRows:
        del streams  # rows are always read as they are asked for
        return MysqlRows(self, await self._query(_write(bound)))

    async def run_many(self, sets: list[Bound]) -> int:
        total = 0
        for text in _write_many(sets):
            rows = MysqlRows(self, await self._query(text))
            total += rows.affected
            while await rows.read(1_000):
                pass
        return total

    async def _query(self, text: str) -> Any:
        with self.explain():
            await self._connection.query(text, unbuffered=True)
        return self._connection._result  # noqa: SLF001 - see mysql_driver

    async def commit(self) -> None:
        try:
            await self._connection.query("COMMIT")
        except _list_errors() as error:
            if _read_error(error, "connection_failed")[0] == "connection_failed":
                raise BrokenCommitError from None
            raise self._translate(error) from None

    async def rollback(self) -> None:
        result = self._connection._result  # noqa: SLF001 - see mysql_driver
        if result is not None and result.unbuffered_active:
            await self.stop()  # else every row that nobody wants would have to be read first
        with suppress(*_list_errors()):  # the server undoes it when the connection closes
            if not self._connection.closed:
                await self._connection.query("ROLLBACK")

    async def stop(self) -> None:
        """The driver closes a connection whose caller was cancelled; the server would go on with the statement."""
        number = self._connection.thread_id()
        self._connection.close()
        address, ip = self._place
        with suppress(TimeoutError, FatalError, RetryableError, *_list_errors()):  # then the server's own time limit ends it
            async with asyncio.timeout(_KILL_TIMEOUT_S):
                other = await _connect(address, ip, self._options)
                try:
                    await other.query(f"KILL QUERY {int(number)}")
                finally:
                    other.close()

    async def aclose(self) -> None:
        with suppress(TimeoutError, *_list_errors()):  # it is closed either way
            async with asyncio.timeout(_KILL_TIMEOUT_S):
                await self._connection.ensure_closed()
        self._connection.close()


def _write_many(sets: list[Bound]) -> Iterator[str]:
    """A text for each set, or, for a plain INSERT … VALUES (…), one for as many sets as fit into 512 KiB."""
    statement = sets[0].statement
    head = _VALUES_HEAD.search(statement.pieces[0]) if statement.keyword in {"INSERT", "REPLACE"} else None
    middle = statement.pieces[1:-1]
    if (
        head is None
        or not statement.slots
        or any(piece.strip() != "," for piece in middle)
        or statement.pieces[-1].strip() != ")"
    ):
        yield from map(_write, sets)
        return
    start = statement.pieces[0][: head.start(1)]
    rows: list[str] = []
    size = 0
    for bound in sets:
        row = f"({', '.join(map(_write_literal, bound.values))})"
        if rows and size + len(row) > _TEXT_MAX_CHARACTERS:
            yield start + ", ".join(rows)
            rows, size = [], 0
        rows.append(row)
        size += len(row)
    yield start + ", ".join(rows)


def _write(bound: Bound) -> str:
    pieces = bound.statement.pieces
    written = [pieces[0]]
    for value, piece in zip(bound.values, pieces[1:], strict=True):
        written += [_write_literal(value), piece]
    return "".join(written)


def _write_literal(value: BoundValue) -> str:
    match value:
        case None:
            return "NULL"
        case bool():
            return "TRUE" if value else "FALSE"
        case int():
            return f"({value})" if value < 0 else str(value)
        case float():
            text = repr(value)
            text = text if "e" in text else f"{text}e0"
            return f"({text})" if value < 0 else text
        case bytes():
            return f"X'{value.hex()}'"
        case str():
            return f"_utf8mb4 X'{value.encode().hex()}'"
        case _:
            raise FatalError("MySQL has no arrays; give a list as {$json: …}.", code="sql_parameters")
