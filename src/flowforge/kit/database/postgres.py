"""Plain PostgreSQL connections, set up the one way that keeps the promises of durability and of short locks."""

from typing import TYPE_CHECKING, Any, Final, cast

from flowforge.kit.database.errors import driver_errors, explained, refuse_unfit, refuse_unsafe
from flowforge.kit.database.url import DatabaseKind, DatabaseUrl

if TYPE_CHECKING:
    from psycopg import Connection

CONNECT_TIMEOUT_S: Final = 10
LOCK_TIMEOUT_MS: Final = 5_000
IDLE_IN_TRANSACTION_MS: Final = 15_000
"""A process that is frozen in a transaction loses its connection after this long, and its locks with it."""
STATEMENT_TIMEOUT_MS: Final = 60_000
SETUP: Final = (
    "SET timezone TO 'UTC'; SET default_transaction_isolation TO 'read committed'; "
    f"SET lock_timeout TO {LOCK_TIMEOUT_MS}; SET statement_timeout TO {STATEMENT_TIMEOUT_MS}; "
    f"SET idle_in_transaction_session_timeout TO {IDLE_IN_TRANSACTION_MS}"
)
"""What every connection says first."""
PATIENT: Final = "SET lock_timeout TO 0; SET statement_timeout TO 0; SET idle_in_transaction_session_timeout TO 0"
"""What a migration says after that."""
TIME_MS: Final = "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
_SAFETY: Final = (
    "SELECT current_setting('server_version_num')::int, current_setting('server_encoding'), current_setting('synchronous_commit'), "
    "current_setting('fsync'), current_setting('full_page_writes')"
)
_OLDEST: Final = 130_000


def postgres_arguments(url: DatabaseUrl) -> dict[str, Any]:
    """What `psycopg.connect` takes. A dead peer is noticed within 30 seconds."""
    return {
        "host": url.host or url.socket,
        "port": url.port,
        "user": url.user,
        "password": url.password or None,
        "dbname": url.name,
        "application_name": "flowforge",
        "client_encoding": "utf8",
        "connect_timeout": CONNECT_TIMEOUT_S,
        "keepalives_idle": 15,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
        **dict(url.options),
    }


def connect_postgres(url: DatabaseUrl) -> "Connection[tuple[Any, ...]]":
    """A connection in autocommit mode (say BEGIN and COMMIT yourself), READ COMMITTED, UTC. For one thread at a time.

    A wait for a lock ends after `LOCK_TIMEOUT_MS` (DatabaseLockedError).

    Raises:
        DriverMissingError: the extra `postgres` is not installed.
        StorageError: the server cannot be reached, refuses the user, or has no such database.
    """
    driver_errors(DatabaseKind.POSTGRES)
    # Start-up cost, and the extra may be missing.
    import psycopg

    with explained(url):
        connection = psycopg.connect(autocommit=True, **postgres_arguments(url))
        try:
            connection.execute(SETUP.encode())
        except BaseException:
            connection.close()
            raise
    return connection


def read_postgres_time_ms(connection: "Connection[tuple[Any, ...]]") -> int:
    """The server's time, in milliseconds since 1970."""
    return cast("tuple[int]", connection.execute(TIME_MS).fetchone())[0]


def verify_postgres_setup(connection: "Connection[tuple[Any, ...]]", url: DatabaseUrl) -> None:
    """Raises StorageError where the server is too old, keeps texts otherwise than in UTF-8, or loses commits in a power cut (F31)."""
    row = cast("tuple[int, str, str, str, str]", connection.execute(_SAFETY).fetchone())
    version, encoding, commits, syncs, pages = row
    if version < _OLDEST:
        raise refuse_unfit(url, f"is PostgreSQL {version // 10_000}", "use PostgreSQL 13 or newer")
    if encoding != "UTF8":
        raise refuse_unfit(
            url, f"keeps texts as {encoding}", "make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )
    if commits == "off":
        raise refuse_unsafe(url, "synchronous_commit=off", "set it to on (ALTER SYSTEM, ALTER DATABASE or ALTER ROLE … SET)")
    if syncs == "off" or pages == "off":
        raise refuse_unsafe(url, f"fsync={syncs}, full_page_writes={pages}", "both must be on in postgresql.conf")
