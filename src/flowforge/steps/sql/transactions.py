"""Opens the session that a step asks for, and runs its work in one transaction."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from flowforge.kit.egress import EgressClient, EgressError
from flowforge.kit.paths import FileRoots
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import FatalError, OperationContext, RetryableError
from flowforge.steps.file.access import FILE_MAX_BYTES
from flowforge.steps.outbound import explain_egress
from flowforge.steps.sql.addresses import USUAL_PORTS, FileAddress, ServerAddress, parse_database
from flowforge.steps.sql.binding import Bound, bind
from flowforge.steps.sql.faults import COMMIT_ERROR, tell_timeout
from flowforge.steps.sql.marks import Marks
from flowforge.steps.sql.mysql_session import open_mysql
from flowforge.steps.sql.parameters import ConnectionParameters
from flowforge.steps.sql.postgres_session import open_postgres
from flowforge.steps.sql.session import BrokenCommitError, Session, SessionOptions
from flowforge.steps.sql.sqlite_session import open_sqlite
from flowforge.steps.sql.statements import Dialect, find_style, read_statement
from flowforge.steps.stored import read_stored

Result = TypeVar("Result")

_GRACE_MS = 500
"""The server's own time-out comes first, and tells more."""
_COMMIT_TIMEOUT_S = 60


@asynccontextmanager
async def open_session(parameters: ConnectionParameters, context: OperationContext) -> AsyncGenerator[Session]:
    """A connection of its own for one call, closed at the end.

    Raises:
        FatalError, RetryableError: one of SQL_ERRORS.
    """
    session = await _connect(parameters, context)
    try:
        yield session
    finally:
        await session.aclose()


async def _connect(parameters: ConnectionParameters, context: OperationContext) -> Session:
    address = parse_database(parameters.database)
    password = address.password if isinstance(address, ServerAddress) else ""

    def hide(text: str) -> str:
        text = context.masker.mask(text)
        return text.replace(password, "***") if len(password) > 3 else text

    options = SessionOptions(parameters.timeout_ms, parameters.decimals, parameters.authority, hide)
    if isinstance(address, FileAddress):
        return await open_sqlite(address, context.service(FileRoots), options)
    try:
        client = context.service(EgressClient)
        ips = await client.find_addresses(address.host, address.port, usual_ports=frozenset({USUAL_PORTS[address.dialect]}))
    except EgressError as error:
        raise explain_egress(error) from error
    if address.dialect is Dialect.POSTGRESQL:
        return await open_postgres(address, ips, options)
    return await open_mysql(address, ips, options)


async def bind_one(text: str, parameters: JsonValue, dialect: Dialect, context: OperationContext) -> Bound:
    """The statement with its values. Raises FatalError: `sql_statement`, `sql_parameters`, and for file values those of FILE_ERRORS."""
    return (await bind_many(text, [parameters], dialect, context))[0]


async def bind_many(text: str, sets: list[JsonValue], dialect: Dialect, context: OperationContext) -> list[Bound]:
    """The statement with several sets of values, all of the first one's style. Raises as `bind_one`."""
    style = find_style(sets[0])
    if any(find_style(parameters) is not style for parameters in sets):
        raise FatalError("Some of `rows` are lists and others objects; write all of them in one way.", code="sql_parameters")
    statement = read_statement(text, dialect, style)

    def read_file(value: JsonObject, label: str) -> bytes:
        return read_stored(context, value, f"parameters, {label}", max_bytes=FILE_MAX_BYTES)

    # Files are read here, which blocks.
    return await asyncio.to_thread(lambda: [bind(statement, parameters, dialect, read_file) for parameters in sets])


def find_dialect(parameters: ConnectionParameters) -> Dialect:
    """Whose SQL the statements are; known before there is a connection."""
    return parse_database(parameters.database).dialect


async def run_in_transaction(
    session: Session, parameters: ConnectionParameters, work: Callable[[], Awaitable[Result]], *, is_read_only: bool = False
) -> Result:
    """Runs the work in one transaction, which ends with it: committed when it returns, undone when it raises or is cancelled.

    Raises:
        FatalError, RetryableError: what the work raises; `sql_timeout`; `commit_unknown`, not worth another attempt by itself.
    """

    async def run() -> Result:
        await session.begin(is_read_only=is_read_only)
        try:
            return await work()
        except (FatalError, RetryableError):
            await session.rollback()
            raise

    result = await run_limited(session, parameters, run)
    await commit(session)
    return result


async def run_once(
    session: Session, parameters: ConnectionParameters, context: OperationContext, work: Callable[[], Awaitable[JsonObject]]
) -> tuple[JsonObject, bool]:
    """As `run_in_transaction`, with the step's mark in the same transaction. The flag: an attempt before this one did the work.

    A connection that breaks during the commit is worth another attempt: the mark tells it what became of this one.
    """
    marks = Marks(session, context.idempotency_key)

    async def run() -> tuple[JsonObject, bool]:
        found = await marks.place()
        if found is not None:
            return found, True
        result = await work()
        await marks.finish(result)
        return result, False

    await marks.prepare()
    try:
        return await run_in_transaction(session, parameters, run)
    except RetryableError as error:
        if error.code == COMMIT_ERROR.code:
            error.by_default = True
        raise


async def run_limited(session: Session, parameters: ConnectionParameters, work: Callable[[], Awaitable[Result]]) -> Result:
    """Runs the work within `statement_timeout`; whatever cuts it short, the server stops too.

    Raises:
        FatalError, RetryableError: what the work raises; `sql_timeout`.
    """
    try:
        async with asyncio.timeout((parameters.timeout_ms + _GRACE_MS) / 1000):
            try:
                return await work()
            except asyncio.CancelledError:
                await session.stop()
                raise
    except TimeoutError:
        raise tell_timeout(parameters.timeout_ms) from None


async def commit(session: Session) -> None:
    """Commits. Raises RetryableError: `commit_unknown` if the connection breaks meanwhile."""
    try:
        async with asyncio.timeout(_COMMIT_TIMEOUT_S):
            await session.commit()
    except (BrokenCommitError, TimeoutError):
        raise RetryableError(
            "The connection broke during the commit: nobody knows whether the change is there. With `once` another attempt finds out.",
            code=COMMIT_ERROR.code,
            by_default=False,
        ) from None
