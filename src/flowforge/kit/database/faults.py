"""What a database's error means, told from the drivers' codes. Imports no driver: a fault tells by its class which one raised it.

Sources: PostgreSQL's appendix A (SQLSTATE), MySQL's and MariaDB's error references, SQLite's result codes.
"""

import sqlite3
from enum import StrEnum
from typing import Final

_PRIMARY_CODE_MASK: Final = 0xFF


class FaultKind(StrEnum):
    """What can be done about it."""

    CONTENDED = "contended"
    """Another transaction was in the way: the same transaction may be made again at once."""
    UNREACHABLE = "unreachable"
    """The connection is lost, or the server takes none now. A COMMIT that ended so may have happened."""
    CROWDED = "crowded"
    """The server has no connection left."""
    REFUSED = "refused"
    """Wrong user or password, or the user may not do this."""
    MISSING = "missing"
    """There is no database of this name."""
    FULL = "full"
    READ_ONLY = "read_only"
    DAMAGED = "damaged"
    """The file or the server's pages are damaged, or no database."""
    CANNOT_OPEN = "cannot_open"
    """SQLite's file cannot be opened."""
    DISK_FAILED = "disk_failed"
    CONTENT = "content"
    """A row that the database does not take: a key that is there, a value too long or of a wrong kind. The connection is well."""
    OURS = "ours"
    """Everything else: a statement of ours is wrong."""


_SQLITE: Final = {
    sqlite3.SQLITE_FULL: FaultKind.FULL,
    sqlite3.SQLITE_READONLY: FaultKind.READ_ONLY,
    sqlite3.SQLITE_PERM: FaultKind.READ_ONLY,
    sqlite3.SQLITE_BUSY: FaultKind.CONTENDED,
    sqlite3.SQLITE_LOCKED: FaultKind.CONTENDED,
    sqlite3.SQLITE_PROTOCOL: FaultKind.CONTENDED,
    sqlite3.SQLITE_CORRUPT: FaultKind.DAMAGED,
    sqlite3.SQLITE_NOTADB: FaultKind.DAMAGED,
    sqlite3.SQLITE_CANTOPEN: FaultKind.CANNOT_OPEN,
    sqlite3.SQLITE_IOERR: FaultKind.DISK_FAILED,
    sqlite3.SQLITE_NOMEM: FaultKind.DISK_FAILED,
    sqlite3.SQLITE_CONSTRAINT: FaultKind.CONTENT,
    sqlite3.SQLITE_TOOBIG: FaultKind.CONTENT,
    sqlite3.SQLITE_MISMATCH: FaultKind.CONTENT,
}

_POSTGRES: Final = {
    "40001": FaultKind.CONTENDED,  # serialization failure
    "40P01": FaultKind.CONTENDED,  # deadlock
    "55P03": FaultKind.CONTENDED,  # lock_timeout
    "55006": FaultKind.CONTENDED,  # object in use
    "57014": FaultKind.CONTENDED,  # statement_timeout, or cancelled by the administrator
    "40003": FaultKind.UNREACHABLE,  # statement completion unknown
    "57P01": FaultKind.UNREACHABLE,  # admin_shutdown
    "57P02": FaultKind.UNREACHABLE,  # crash_shutdown
    "57P03": FaultKind.UNREACHABLE,  # cannot_connect_now
    "57P05": FaultKind.UNREACHABLE,  # idle_session_timeout
    "25P03": FaultKind.UNREACHABLE,  # idle_in_transaction_session_timeout
    "25P04": FaultKind.UNREACHABLE,  # transaction_timeout
    "53300": FaultKind.CROWDED,
    "53200": FaultKind.CROWDED,  # out of memory, of the server or of its lock table
    "28P01": FaultKind.REFUSED,
    "28000": FaultKind.REFUSED,
    "42501": FaultKind.REFUSED,
    "3D000": FaultKind.MISSING,
    "53100": FaultKind.FULL,
    "25006": FaultKind.READ_ONLY,
    "XX001": FaultKind.DAMAGED,
    "XX002": FaultKind.DAMAGED,
    "58030": FaultKind.DISK_FAILED,
    "54000": FaultKind.CONTENT,  # an index row too large
    "0A000": FaultKind.UNREACHABLE,  # a prepared statement whose answer a migration has changed: a new connection prepares it anew
    "26000": FaultKind.UNREACHABLE,  # a prepared statement is not there: a pooler gave us another connection
    "42P05": FaultKind.UNREACHABLE,  # or is there already
    "25P01": FaultKind.UNREACHABLE,  # likewise, a transaction
    "25P02": FaultKind.UNREACHABLE,
    "72000": FaultKind.CONTENDED,  # snapshot too old
}
_POSTGRES_CLASSES: Final = {
    "08": FaultKind.UNREACHABLE,
    "22": FaultKind.CONTENT,
    "23": FaultKind.CONTENT,
    "40": FaultKind.CONTENDED,
    "53": FaultKind.CROWDED,
    "57": FaultKind.UNREACHABLE,
    "58": FaultKind.DISK_FAILED,
}

_MYSQL: Final = {
    1205: FaultKind.CONTENDED,  # lock wait time-out: the statement is rolled back, the transaction is not
    1213: FaultKind.CONTENDED,  # deadlock: the transaction is rolled back
    1020: FaultKind.CONTENDED,  # a record has changed since it was read (MariaDB's snapshot isolation)
    1206: FaultKind.CONTENDED,  # the lock table is full
    1412: FaultKind.CONTENDED,  # the table's definition has changed
    1615: FaultKind.CONTENDED,
    3024: FaultKind.CONTENDED,  # max_execution_time
    1969: FaultKind.CONTENDED,  # MariaDB's max_statement_time
    3572: FaultKind.CONTENDED,  # NOWAIT
    1317: FaultKind.CONTENDED,  # KILL QUERY
    1637: FaultKind.CONTENDED,  # too many transactions at once
    3101: FaultKind.CONTENDED,  # group replication: another member was first
    0: FaultKind.UNREACHABLE,  # PyMySQL: this connection is closed
    1042: FaultKind.UNREACHABLE,
    1047: FaultKind.UNREACHABLE,  # Galera: this node is not ready
    1053: FaultKind.UNREACHABLE,  # shutdown in progress
    1077: FaultKind.UNREACHABLE,
    1079: FaultKind.UNREACHABLE,
    1080: FaultKind.UNREACHABLE,
    1129: FaultKind.UNREACHABLE,  # host blocked after many errors
    1130: FaultKind.REFUSED,  # this host may not connect
    1152: FaultKind.UNREACHABLE,
    1156: FaultKind.UNREACHABLE,
    1157: FaultKind.UNREACHABLE,
    1158: FaultKind.UNREACHABLE,
    1159: FaultKind.UNREACHABLE,
    1160: FaultKind.UNREACHABLE,
    1161: FaultKind.UNREACHABLE,
    1184: FaultKind.UNREACHABLE,
    1927: FaultKind.UNREACHABLE,  # connection was killed
    2002: FaultKind.UNREACHABLE,
    2003: FaultKind.UNREACHABLE,
    2006: FaultKind.UNREACHABLE,
    2013: FaultKind.UNREACHABLE,
    2014: FaultKind.UNREACHABLE,  # commands out of sync
    2026: FaultKind.UNREACHABLE,  # TLS
    2027: FaultKind.UNREACHABLE,  # malformed packet
    2055: FaultKind.UNREACHABLE,
    3100: FaultKind.UNREACHABLE,  # group replication: this member has left, or is blocked
    3169: FaultKind.UNREACHABLE,  # session was killed
    4031: FaultKind.UNREACHABLE,  # disconnected by the server for inactivity
    1037: FaultKind.CROWDED,  # out of memory
    1038: FaultKind.CROWDED,
    1040: FaultKind.CROWDED,
    1041: FaultKind.CROWDED,
    1135: FaultKind.CROWDED,  # no thread for it
    1203: FaultKind.CROWDED,
    1226: FaultKind.CROWDED,
    1044: FaultKind.REFUSED,
    1045: FaultKind.REFUSED,
    1142: FaultKind.REFUSED,
    1143: FaultKind.REFUSED,
    1227: FaultKind.REFUSED,
    1370: FaultKind.REFUSED,
    1698: FaultKind.REFUSED,
    1049: FaultKind.MISSING,
    1021: FaultKind.FULL,
    1114: FaultKind.FULL,
    1290: FaultKind.READ_ONLY,
    1792: FaultKind.READ_ONLY,
    1836: FaultKind.READ_ONLY,
    1874: FaultKind.READ_ONLY,
    1034: FaultKind.DAMAGED,
    1194: FaultKind.DAMAGED,
    1877: FaultKind.DAMAGED,
    1026: FaultKind.DISK_FAILED,
    1030: FaultKind.DISK_FAILED,
    1048: FaultKind.CONTENT,
    1062: FaultKind.CONTENT,
    1153: FaultKind.CONTENT,  # a packet larger than max_allowed_packet
    1169: FaultKind.CONTENT,
    1216: FaultKind.CONTENT,
    1217: FaultKind.CONTENT,
    1264: FaultKind.CONTENT,
    1265: FaultKind.CONTENT,
    1366: FaultKind.CONTENT,
    1406: FaultKind.CONTENT,
    1451: FaultKind.CONTENT,
    1452: FaultKind.CONTENT,
    1586: FaultKind.CONTENT,
    3819: FaultKind.CONTENT,
    3988: FaultKind.CONTENT,
    4025: FaultKind.CONTENT,
}
_MYSQL_NO_SPACE: Final = frozenset({1030, 1026, 3, 28})
_NO_SPACE_TEXTS: Final = ("no space left", "disk full", "errno: 28", "got error 28", "error 28 ")


def classify_fault(fault: BaseException) -> FaultKind | None:
    """What an error of sqlite3, psycopg, PyMySQL or aiomysql means; None where it is no database's."""
    if isinstance(fault, sqlite3.Error):
        return _classify_sqlite(fault)
    match find_driver(fault):
        case "psycopg":
            return _classify_postgres(fault)
        case "pymysql":
            return _classify_mysql(fault)
        case _:
            return None


def is_content_fault(fault: BaseException) -> bool:
    """Whether the database is well and does not take this row: the same row fails again, others may not."""
    return classify_fault(fault) is FaultKind.CONTENT


def find_driver(fault: BaseException) -> str | None:
    """The package that raised it: sqlite3, psycopg or pymysql (which aiomysql raises as well)."""
    if isinstance(fault, sqlite3.Error):
        return "sqlite3"
    roots = {(kind.__module__.partition(".")[0], kind.__name__) for kind in type(fault).__mro__}
    if ("psycopg", "Error") in roots:
        return "psycopg"
    return "pymysql" if ("pymysql", "Error") in roots else None


def _has_ancestor(fault: BaseException, *names: str) -> bool:
    return any(kind.__name__ in names for kind in type(fault).__mro__)


def _classify_sqlite(fault: sqlite3.Error) -> FaultKind:
    code = getattr(fault, "sqlite_errorcode", None)
    if isinstance(code, int):
        return _SQLITE.get(code & _PRIMARY_CODE_MASK, FaultKind.OURS)
    # The driver's own: a value that it cannot bind.
    return FaultKind.CONTENT if isinstance(fault, sqlite3.InterfaceError | sqlite3.DataError) else FaultKind.OURS


def _classify_postgres(fault: BaseException) -> FaultKind:
    state = getattr(fault, "sqlstate", None)
    if isinstance(state, str):
        return _POSTGRES.get(state) or _POSTGRES_CLASSES.get(state[:2], FaultKind.OURS)
    if _has_ancestor(fault, "DataError"):
        return FaultKind.CONTENT  # a NUL in a text, which the driver refuses itself
    if _has_ancestor(fault, "InterfaceError", "InternalError"):
        return FaultKind.UNREACHABLE  # driver and server are out of step: a new connection is not
    if not _has_ancestor(fault, "OperationalError"):
        return FaultKind.OURS
    # What is said while a connection is made comes as text alone.
    text = str(fault)
    if "password authentication failed" in text or "no pg_hba.conf entry" in text or "no password supplied" in text:
        return FaultKind.REFUSED
    if ("role " in text or "database " in text) and "does not exist" in text:
        return FaultKind.MISSING if 'database "' in text else FaultKind.REFUSED
    if "too many clients" in text or "too many connections" in text or "remaining connection slots" in text:
        return FaultKind.CROWDED
    return FaultKind.UNREACHABLE


def _classify_mysql(fault: BaseException) -> FaultKind:
    code = fault.args[0] if fault.args else None
    if not isinstance(code, int):
        if _has_ancestor(fault, "InternalError"):
            return FaultKind.UNREACHABLE  # packets out of step
        return FaultKind.CONTENT if _has_ancestor(fault, "DataError") else FaultKind.OURS
    if code in _MYSQL_NO_SPACE and any(words in str(fault).lower() for words in _NO_SPACE_TEXTS):
        return FaultKind.FULL
    kind = _MYSQL.get(code)
    if kind is not None:
        return kind
    return FaultKind.CONTENT if _has_ancestor(fault, "IntegrityError", "DataError") else FaultKind.OURS
