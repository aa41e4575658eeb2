"""What a database refuses, said as errors of a step. No I/O."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from flowforge.kit.masking import cut_excerpt
from flowforge.kit.values import JsonObject
from flowforge.operations import ErrorCode, FatalError, RetryableError
from flowforge.steps.file.access import PATH_ERRORS
from flowforge.steps.outbound import ADDRESS_ERRORS
from flowforge.steps.stored import FILE_TOO_LARGE, STORED_ERRORS

Hide = Callable[[str], str]
"""Takes secrets out of a text."""

_CONNECTION_CODES: Final = frozenset({"egress_denied", "port_denied"})

SQL_ERRORS: Final = (
    ErrorCode("database_invalid", "The parameter `database` is no URL of a database, or holds an unknown option."),
    ErrorCode("not_installed", "The driver for this database is not installed."),
    ErrorCode("connection_failed", "The server was not found, not reached, or closed the connection too early.", retryable=True),
    *(error for error in ADDRESS_ERRORS if error.code in _CONNECTION_CODES),
    ErrorCode("http_timeout", "The host's name could not be looked up in time.", retryable=True),
    ErrorCode("url_invalid", "The host in `database` cannot be read."),
    ErrorCode("tls", "The server's certificate is not trusted, or the connection is not encrypted as it must be."),
    ErrorCode("sql_auth", "The server does not let this user in, or not into this database."),
    ErrorCode("sql_denied", "The user, or this step, may not do that."),
    ErrorCode("sql_statement", "The statement is empty, more than one, steers the transaction, or its placeholders do not fit."),
    ErrorCode("sql_parameters", "A parameter is missing, too many are given, or one cannot be handed to the database."),
    ErrorCode("sql_syntax", "The database does not understand the statement, or a table, column or type in it is not there."),
    ErrorCode("sql_constraint", "A constraint forbids the change; `details.constraint` names it."),
    ErrorCode(
        "sql_value", "A value does not fit its type: a date that does not exist, a number out of range, a division by zero."
    ),
    ErrorCode("sql_read_only", "The statement would write where only reading is allowed."),
    ErrorCode("sql_timeout", "The statements took longer than `statement_timeout`; nothing was changed.", retryable=True),
    ErrorCode("sql_conflict", "Another transaction was in the way (deadlock, serialization, lock).", retryable=True),
    ErrorCode("sql_failed", "The database refused for another reason; `details` holds its code.", retryable=False),
    ErrorCode("value_unsupported", "A column holds a value that is no JSON; the message names it."),
    *PATH_ERRORS,
)
COMMIT_ERROR: Final = ErrorCode(
    "commit_unknown",
    "The connection broke during the commit, so nobody knows whether the change is there; retried by itself only with `once`.",
    retryable=True,
)
FILE_ERRORS: Final = tuple(
    error for error in (*STORED_ERRORS, FILE_TOO_LARGE) if error.code not in {known.code for known in SQL_ERRORS}
)
"""What file values among the parameters can come to."""


@dataclass(frozen=True, slots=True)
class DatabaseFault:
    """What a driver told. `code` is the step's error code; `native` the database's own code, under the name that it goes by."""

    code: str
    message: str
    native: JsonObject
    constraint: str | None = None
    is_retryable: bool = False


_RETRYABLE: Final = frozenset({"connection_failed", "sql_timeout", "sql_conflict"})


def make_error(fault: DatabaseFault, hide: Hide) -> FatalError | RetryableError:
    """The step's error, its message without secrets and cut at 1 KiB."""
    told = cut_excerpt(hide(fault.message.strip()))
    details: JsonObject = dict(fault.native)
    if fault.constraint is not None:
        details["constraint"] = cut_excerpt(hide(fault.constraint))
    message = f"The database refused: {told}"
    if fault.code in _RETRYABLE or fault.is_retryable:
        return RetryableError(message, code=fault.code, details=details)
    return FatalError(message, code=fault.code, details=details)


def tell_timeout(timeout_ms: int) -> RetryableError:
    return RetryableError(
        f"The statements took longer than {timeout_ms} ms, and were undone; raise `statement_timeout`, or do less at once.",
        code="sql_timeout",
    )


def code_of_sqlstate(sqlstate: str) -> str:
    """The step's error code for a SQLSTATE (the SQL standard's classes, and PostgreSQL's own codes)."""
    exact = _BY_SQLSTATE.get(sqlstate)
    return exact if exact is not None else _BY_CLASS.get(sqlstate[:2], "sql_failed")


_BY_SQLSTATE: Final = {
    "40001": "sql_conflict",
    "40P01": "sql_conflict",
    "55P03": "sql_conflict",
    "57014": "sql_timeout",
    "57P01": "connection_failed",
    "57P02": "connection_failed",
    "57P03": "connection_failed",
    "53300": "connection_failed",
    "42501": "sql_denied",
    "25006": "sql_read_only",
    "3D000": "sql_auth",
}
_BY_CLASS: Final = {
    "08": "connection_failed",
    "22": "sql_value",
    "23": "sql_constraint",
    "28": "sql_auth",
    "42": "sql_syntax",
}


def code_of_errno(errno: int) -> str:
    """The step's error code for an error number of MySQL or MariaDB."""
    return _BY_ERRNO.get(errno, "sql_failed")


_BY_ERRNO: Final = {
    number: code
    for code, numbers in {
        "sql_conflict": (1020, 1205, 1213, 3572),
        "sql_timeout": (1317, 1969, 3024),
        "connection_failed": (1040, 1053, 1203, 1226, 1927, 2002, 2003, 2006, 2013, 2055),
        "sql_auth": (1044, 1045, 1049, 1130, 1251, 1698, 2059, 3118, 4151),
        "sql_denied": (1142, 1143, 1227, 1370, 1419),
        "sql_read_only": (1290, 1792, 1836),
        "sql_constraint": (1048, 1062, 1169, 1216, 1217, 1364, 1451, 1452, 1557, 1586, 1761, 1762, 3819, 4025),
        "sql_value": (1264, 1265, 1292, 1365, 1366, 1367, 1406, 1411, 1441, 1525, 1690, 3140, 4038),
        "sql_syntax": (1051, 1052, 1054, 1064, 1066, 1109, 1136, 1137, 1146, 1149, 1222, 1241, 1242, 1305, 1318, 1582, 1583),
    }.items()
    for number in numbers
}


def code_of_sqlite(name: str) -> str:
    """The step's error code for the symbolic name of a result code of SQLite, such as `SQLITE_CONSTRAINT_UNIQUE`."""
    primary = "_".join(name.split("_")[:2])
    return _BY_SQLITE.get(primary, "sql_failed")


_BY_SQLITE: Final = {
    "SQLITE_BUSY": "sql_conflict",
    "SQLITE_LOCKED": "sql_conflict",
    "SQLITE_INTERRUPT": "sql_timeout",
    "SQLITE_CONSTRAINT": "sql_constraint",
    "SQLITE_READONLY": "sql_read_only",
    "SQLITE_AUTH": "sql_denied",
    "SQLITE_TOOBIG": "sql_value",
    "SQLITE_MISMATCH": "sql_value",
    "SQLITE_RANGE": "sql_parameters",
    "SQLITE_ERROR": "sql_syntax",
}
