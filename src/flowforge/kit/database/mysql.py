"""Plain MySQL and MariaDB connections, set up the one way that keeps the promises of durability and of short locks."""

import re
from typing import TYPE_CHECKING, Any, Final, cast

from flowforge.kit.database.errors import driver_errors, explained, refuse_unfit, refuse_unsafe
from flowforge.kit.database.url import DatabaseKind, DatabaseUrl
from flowforge.kit.errors import Detail, StorageError

if TYPE_CHECKING:
    import ssl

    from pymysql.connections import Connection

CONNECT_TIMEOUT_S: Final = 10
READ_TIMEOUT_S: Final = 60
WRITE_TIMEOUT_S: Final = 60
LOCK_TIMEOUT_S: Final = 5
IDLE_IN_TRANSACTION_S: Final = 15
"""MariaDB alone: a process that is frozen in a transaction loses its connection after this long, and its locks with it."""
_MODES: Final = "STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
_SETTINGS: Final = (
    f"SET SESSION sql_mode='{_MODES}', time_zone='+00:00', collation_connection='utf8mb4_bin', "
    f"innodb_lock_wait_timeout={LOCK_TIMEOUT_S} /*M!100300 , idle_transaction_timeout={IDLE_IN_TRANSACTION_S} */"
)
SETUP: Final = (_SETTINGS, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
"""What every connection says first. READ COMMITTED, because gap locks would make writers wait for each other."""
PATIENT: Final = "SET SESSION innodb_lock_wait_timeout=600, lock_wait_timeout=600 /*M!100300 , idle_transaction_timeout=0 */"
"""What a migration says after that."""
TIME_MS: Final = "SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)"
_SAFETY: Final = "SELECT VERSION(), @@innodb_flush_log_at_trx_commit, @@log_bin, @@sync_binlog, @@innodb_doublewrite"
_OLDEST_MARIADB: Final = (10, 6)
_OLDEST_MYSQL: Final = (8, 0, 17)


def mysql_arguments(url: DatabaseUrl) -> dict[str, Any]:
    """What PyMySQL and aiomysql both take.

    Raises:
        StorageError: a certificate of the URL cannot be read.
    """
    place: dict[str, Any] = {"unix_socket": url.socket} if url.socket else {"host": url.host, "port": url.port}
    return {
        **place,
        "user": url.user,
        "password": url.password,
        "charset": "utf8mb4",
        "connect_timeout": CONNECT_TIMEOUT_S,
        "ssl": _make_tls(url),
    }


def connect_mysql(url: DatabaseUrl, *, read_timeout_s: int | None = READ_TIMEOUT_S) -> "Connection[Any]":
    """A connection in autocommit mode (say BEGIN and COMMIT yourself), READ COMMITTED, UTC, strict. For one thread at a time.

    A wait for a lock ends after `LOCK_TIMEOUT_S` (DatabaseLockedError; only the statement is rolled back), one for an answer after
    `read_timeout_s` (None: never; DatabaseUnreachableError).

    Raises:
        DriverMissingError: the extra `mysql` is not installed.
        StorageError: the server cannot be reached, refuses the user, or has no such database.
    """
    driver_errors(DatabaseKind.MYSQL)
    # Start-up cost, and the extra may be missing.
    import pymysql

    arguments = mysql_arguments(url)
    with explained(url):
        connection = pymysql.connect(
            database=url.name, autocommit=True, read_timeout=read_timeout_s, write_timeout=WRITE_TIMEOUT_S, **arguments
        )
        try:
            _set_up(connection)
        except BaseException:
            connection.close()
            raise
    return connection


def _set_up(connection: "Connection[Any]") -> None:
    with connection.cursor() as cursor:
        for statement in SETUP:
            cursor.execute(statement)


def read_mysql_time_ms(connection: "Connection[Any]") -> int:
    """The server's time, in milliseconds since 1970."""
    return _fetch(connection, TIME_MS)[0]


def verify_mysql_setup(connection: "Connection[Any]", url: DatabaseUrl) -> None:
    """Raises StorageError where the server is too old, or loses commits in a power cut (F31)."""
    version, flushes, logs, syncs, doubles = _fetch(connection, _SAFETY)
    oldest = _OLDEST_MARIADB if is_mariadb(str(version)) else _OLDEST_MYSQL
    found = tuple(int(part) for part in re.findall(r"\d+", str(version).removeprefix("5.5.5-"))[:3])
    if found < oldest:
        raise refuse_unfit(url, f"is version {version}", "use MariaDB 10.6, MySQL 8.0.17 or newer")
    file = "the same in the server's file of settings"
    if int(flushes) != 1:
        raise refuse_unsafe(
            url, f"innodb_flush_log_at_trx_commit={flushes}", f"SET GLOBAL innodb_flush_log_at_trx_commit=1, and {file}"
        )
    if int(logs) and int(syncs) != 1:
        raise refuse_unsafe(url, f"log_bin with sync_binlog={syncs}", f"SET GLOBAL sync_binlog=1, and {file}")
    if str(doubles).upper() in {"0", "OFF"}:
        raise refuse_unsafe(url, "innodb_doublewrite=off", "set it to on in the server's file of settings")


def is_mariadb(version: str) -> bool:
    """Whether a server that tells this VERSION() is MariaDB, not MySQL: collations and RETURNING are not the same."""
    return "mariadb" in version.lower()


def _fetch(connection: "Connection[Any]", statement: str) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cast("tuple[Any, ...]", cursor.fetchone())


def _make_tls(url: DatabaseUrl) -> "ssl.SSLContext | None":
    options = dict(url.options)
    mode = options.get("ssl_mode", "verify_identity" if options else "disabled").lower()
    if mode == "disabled":
        return None
    # Start-up cost, for connections in plain text.
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = mode == "verify_identity"
    if mode == "required":
        context.verify_mode = ssl.CERT_NONE
    try:
        if "ssl_ca" in options:
            context.load_verify_locations(options["ssl_ca"])
        else:
            context.load_default_certs()
        if "ssl_cert" in options:
            context.load_cert_chain(options["ssl_cert"], options.get("ssl_key"))
    except (OSError, ssl.SSLError) as error:
        message = f"The certificates in DATABASE_URL (ssl_ca, ssl_cert, ssl_key) cannot be read: {error}."
        raise StorageError(message, [Detail(field="DATABASE_URL", message=message, code="setting_invalid")]) from error
    return context
