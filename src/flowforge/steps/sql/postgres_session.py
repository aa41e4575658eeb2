"""PostgreSQL, through psycopg 3."""

import os
import ssl
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

from flowforge.kit.values import JsonValue
from flowforge.operations import FatalError, RetryableError
from flowforge.steps.sql.addresses import ServerAddress, choose_tls, name_server
from flowforge.steps.sql.binding import Bound, BoundValue
from flowforge.steps.sql.faults import DatabaseFault, code_of_sqlstate, make_error
from flowforge.steps.sql.session import BrokenCommitError, Column, SessionOptions
from flowforge.steps.sql.statements import Dialect, Statement
from flowforge.steps.sql.values import (
    Converter,
    Decimals,
    UnsupportedValueError,
    name_columns,
    read_decimal_as_number,
    read_float,
    read_integer,
    read_json,
    read_moment,
    read_moment_in_utc,
    show_bytes,
)

if TYPE_CHECKING:
    from psycopg import AsyncConnection
    from psycopg.adapt import AdaptersMap

_IDENTITY: Final[Converter] = str
_CONVERTERS: Final[dict[str, Converter]] = {
    "bool": lambda text: text == "t",
    "int2": read_integer,
    "int4": read_integer,
    "int8": read_integer,
    "oid": read_integer,
    "float4": read_float,
    "float8": read_float,
    "json": read_json,
    "jsonb": read_json,
    "timestamp": read_moment,
    "timestamptz": read_moment_in_utc,
    "bytea": lambda text: show_bytes(bytes.fromhex(text.removeprefix("\\x"))),
}
_CURSOR_WORDS: Final = frozenset({"SELECT", "WITH", "VALUES", "TABLE"})
_CURSOR_NAME: Final = "flowforge_rows"
_INTEGER_4_MAX: Final = 2**31 - 1
_REFUSALS: Final = (
    ("sql_auth", ("authentication failed", "no pg_hba.conf entry", "password", "role ", "database ", "authentication method")),
    ("tls", ("certificate", "ssl error", "does not support ssl", "tls")),
)
_SETTINGS: Final = (
    "SELECT set_config('statement_timeout', $1, {local}), set_config('TimeZone', 'UTC', {local}),"
    " set_config('DateStyle', 'ISO, YMD', {local}), set_config('IntervalStyle', 'iso_8601', {local}),"
    " set_config('standard_conforming_strings', 'on', {local}), set_config('bytea_output', 'hex', {local})"
)


async def open_postgres(address: ServerAddress, ips: list[str], options: SessionOptions) -> "PostgresSession":
    """Connects to the first of the judged addresses that answers.

    Raises:
        FatalError, RetryableError: `not_installed`, `connection_failed`, `sql_auth`, `tls`.
    """
    _check_installed()
    # Start-up cost: the driver takes 100 ms to import.
    from psycopg import AsyncConnection, AsyncRawCursor, OperationalError

    error: Exception | None = None
    manner: dict[str, Any] = {"autocommit": True, "prepare_threshold": None, "cursor_factory": AsyncRawCursor}
    for ip in ips:
        try:
            with _hold_certificate(options.authority) as certificate:
                facts = _list_facts(address, ip, certificate)
                connection = await AsyncConnection.connect(**facts, **manner, context=_make_adapters())
            return PostgresSession(connection, options)
        except OperationalError as refused:
            error = refused
        if _explain_refusal(error) != "connection_failed":
            break
    raise _tell_refusal(address, error, options)


def _check_installed() -> None:
    try:
        # Start-up cost, as above; and the extra may be missing.
        import psycopg  # noqa: F401 # pyright: ignore[reportUnusedImport]
    except ImportError as error:
        raise FatalError(
            "The driver for PostgreSQL is not installed; run pip install 'flowforge[postgres]'.", code="not_installed"
        ) from error


def _list_facts(address: ServerAddress, ip: str, certificate: str) -> dict[str, Any]:
    """Every setting of libpq that the environment or a file in the home folder could decide otherwise."""
    tls = choose_tls(address, ip)
    return {
        "host": address.host,
        "hostaddr": ip,
        "port": address.port,
        "user": address.user,
        "password": address.password,
        "dbname": address.name,
        "sslmode": tls,
        "sslrootcert": certificate if tls.startswith("verify") else "",
        "sslcert": "",
        "sslkey": "",
        "sslcrl": "",
        "sslcertmode": "disable",
        "ssl_min_protocol_version": "TLSv1.2",
        "gssencmode": "disable",
        "passfile": "",
        "options": "",
        "target_session_attrs": "any",
        "load_balance_hosts": "disable",
        # A server without a trusted certificate could be anyone's: it does not get the password itself.
        "require_auth": "" if tls == "verify-full" else "scram-sha-256,md5,none",
        "client_encoding": "utf8",
        "connect_timeout": address.connect_timeout_s,
        "application_name": address.application_name,
    }


@contextmanager
def _hold_certificate(pem: str | None) -> Generator[str]:
    """A path to the trusted authorities: those given, in a file in memory, or the machine's."""
    if pem is None:
        yield ssl.get_default_verify_paths().cafile or "system"
        return
    descriptor = os.memfd_create("flowforge-ca")
    try:
        os.write(descriptor, pem.encode())
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _explain_refusal(error: Exception) -> str:
    # libpq has no codes for what goes wrong before there is a connection. What the server itself refuses begins with FATAL.
    told = str(error).lower()
    if "too many" in told or "starting up" in told or "shutting down" in told or "remaining connection slots" in told:
        return "connection_failed"
    for code, signs in _REFUSALS:
        if ("fatal:" in told or code == "tls" or "authentication method" in told) and any(sign in told for sign in signs):
            return code
    return "connection_failed"


def _tell_refusal(address: ServerAddress, error: Exception | None, options: SessionOptions) -> FatalError | RetryableError:
    code = _explain_refusal(error) if error else "connection_failed"
    return make_error(DatabaseFault(code, str(error or "it has no address"), name_server(address)), options.hide)


@cache
def _make_adapters() -> "AdaptersMap":
    """Reads every type as the server writes it, arrays as lists of that: what Python's own types could not hold stays exact."""
    # Start-up cost, as above.
    import psycopg
    from psycopg.adapt import AdaptersMap
    from psycopg.types.string import TextLoader

    adapters = AdaptersMap(psycopg.adapters)
    for info in adapters.types:
        adapters.register_loader(info.oid, TextLoader)
    return adapters


@cache
def _list_types() -> dict[int, tuple[str, str]]:
    """The name of each built-in type, and of its elements' type, by its number."""
    found: dict[int, tuple[str, str]] = {}
    for info in _make_adapters().types:
        found[info.oid] = (info.name, info.name)
        if info.array_oid:
            found[info.array_oid] = (f"{info.name}[]", info.name)
    return found


class PostgresRows:
    """Rows of a cursor. On the server's cursor only a piece of them is here at a time."""

    def __init__(self, session: "PostgresSession", cursor: Any, *, changes: bool) -> None:
        self._session = session
        self._cursor = cursor
        description: list[Any] = cursor.description or []
        names = name_columns([column.name for column in description])
        types = [_list_types().get(column.type_code, ("unknown", "unknown")) for column in description]
        self.columns = [Column(name, kind) for name, (kind, _) in zip(names, types, strict=True)]
        self._converters = [session.find_converter(element) for _, element in types]
        self.affected = max(cursor.rowcount, 0) if changes else 0
        self.last_id: int | None = None

    async def read(self, count: int) -> list[list[JsonValue]]:
        if not self.columns:
            return []
        with self._session.explain():
            rows = await self._cursor.fetchmany(count)
        return [self._convert(row) for row in rows]

    def _convert(self, row: tuple[object, ...]) -> list[JsonValue]:
        values: list[JsonValue] = []
        for column, converter, value in zip(self.columns, self._converters, row, strict=True):
            try:
                values.append(_convert(value, converter))
            except UnsupportedValueError as error:
                raise FatalError(
                    f"The column {column.name!r} holds a value of no use: {error}.", code="value_unsupported"
                ) from None
        return values


def _convert(value: object, converter: Converter) -> JsonValue:
    if value is None:
        return None
    if isinstance(value, list):
        return [_convert(item, converter) for item in cast("list[object]", value)]
    return converter(str(value))


class PostgresSession:
    """One connection. Its zone is UTC."""

    dialect = Dialect.POSTGRESQL

    def __init__(self, connection: "AsyncConnection[Any]", options: SessionOptions) -> None:
        self._connection = connection
        self._options = options
        self._is_read_only = False
        self._has_settings = False
        self._server_cursor: Any = None

    def find_converter(self, name: str) -> Converter:
        if name == "numeric":
            decimals: Decimals = self._options.decimals
            return read_decimal_as_number if decimals == "number" else _IDENTITY
        return _CONVERTERS.get(name, _IDENTITY)

    @contextmanager
    def explain(self) -> Generator[None]:
        # Start-up cost, as above.
        import psycopg

        try:
            yield
        except psycopg.Error as error:
            raise self._translate(error) from None
        except UnicodeDecodeError as error:
            raise FatalError(
                f"The database holds a text that is not in its encoding: {error.reason}.", code="value_unsupported"
            ) from None

    def _translate(self, error: Any) -> FatalError | RetryableError:
        sqlstate = error.sqlstate
        if sqlstate is None:
            code = "connection_failed" if self._connection.broken or self._connection.closed else "sql_failed"
        else:
            code = code_of_sqlstate(sqlstate)
        message = error.diag.message_primary or str(error)
        for extra in (error.diag.message_detail, error.diag.message_hint):
            message += f" {extra}" if extra else ""
        return make_error(DatabaseFault(code, message, {"sqlstate": sqlstate}, error.diag.constraint_name), self._options.hide)

    async def begin(self, *, is_read_only: bool) -> None:
        self._is_read_only = is_read_only
        with self.explain():
            await self._connection.execute("BEGIN READ ONLY" if is_read_only else "BEGIN")
        await self._apply_settings(is_local=True)

    async def _apply_settings(self, *, is_local: bool) -> None:
        # By a function and for one transaction, so that it passes through a connection pool in between.
        query = _SETTINGS.replace("{local}", "true" if is_local else "false")
        with self.explain():
            await self._connection.execute(query.encode(), [str(self._options.timeout_ms)])
        self._has_settings = True

    async def run(self, bound: Bound, *, streams: bool = False) -> PostgresRows:
        if not self._has_settings:
            await self._apply_settings(is_local=False)
        text = _write(bound.statement).encode()
        values = _adapt(bound)
        if streams and self._is_read_only and bound.statement.keyword in _CURSOR_WORDS:
            return await self._run_on_cursor(text, values)
        cursor = self._connection.cursor()
        with self.explain():
            await cursor.execute(text, values)
        said = (cursor.statusmessage or "").partition(" ")[0]
        return PostgresRows(self, cursor, changes=said in {"INSERT", "UPDATE", "DELETE", "MERGE", "COPY"})

    async def _run_on_cursor(self, text: bytes, values: list[object]) -> PostgresRows:
        # Start-up cost, as above.
        from psycopg import AsyncRawServerCursor

        cursor = self._server_cursor = AsyncRawServerCursor(self._connection, _CURSOR_NAME)
        with self.explain():
            await cursor.execute(text, values)
        return PostgresRows(self, cursor, changes=False)

    async def run_many(self, sets: list[Bound]) -> int:
        text = _write(sets[0].statement).encode()
        cursor = self._connection.cursor()
        with self.explain():
            await cursor.executemany(text, [_adapt(bound) for bound in sets])
        return max(cursor.rowcount, 0)

    async def commit(self) -> None:
        # Start-up cost, as above.
        import psycopg

        try:
            await self._connection.execute("COMMIT")
        except psycopg.Error as error:
            if error.sqlstate is None or code_of_sqlstate(error.sqlstate) == "connection_failed":
                raise BrokenCommitError from None
            raise self._translate(error) from None

    async def rollback(self) -> None:
        # Start-up cost, as above.
        import psycopg

        with suppress(psycopg.Error):  # the server undoes it when the connection closes
            if not self._connection.closed:
                await self._connection.execute("ROLLBACK")

    async def stop(self) -> None:
        # The driver has asked the server to cancel already.
        await self.aclose()

    async def aclose(self) -> None:
        await self._connection.close()
        if self._server_cursor is not None:
            await self._server_cursor.close()  # on a closed connection it sends nothing, and no longer warns of having been left


def _write(statement: Statement) -> str:
    return "".join(_list_parts(statement))


def _list_parts(statement: Statement) -> Iterator[str]:
    numbers = {slot: number for number, slot in enumerate(dict.fromkeys(statement.slots), 1)}
    yield statement.pieces[0]
    for slot, piece in zip(statement.slots, statement.pieces[1:], strict=True):
        yield f"${numbers[slot]}"
        yield piece


def _adapt(bound: Bound) -> list[object]:
    """One value for each different placeholder; whole numbers as `integer`, or `bigint` where they need it."""
    by_slot = dict(zip(bound.statement.slots, bound.values, strict=True))
    return [_adapt_value(value) for value in by_slot.values()]


def _adapt_value(value: BoundValue) -> object:
    if isinstance(value, list):
        numbers = [item for item in value if type(item) is int]
        is_wide = any(abs(number) > _INTEGER_4_MAX for number in numbers)
        return [_adapt_integer(item, is_wide=is_wide) if type(item) is int else item for item in value]
    return _adapt_integer(value, is_wide=abs(value) > _INTEGER_4_MAX) if type(value) is int else value


def _adapt_integer(value: int, *, is_wide: bool) -> object:
    # Start-up cost, as above.
    from psycopg.types.numeric import Int4, Int8

    return Int8(value) if is_wide else Int4(value)
