"""What a database URL says, and the encryption that an address asks for. No I/O."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast, get_args
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from flowforge.kit.egress.addresses import is_public, parse_address, write_endpoint
from flowforge.kit.values import JsonObject
from flowforge.operations import FatalError
from flowforge.steps.sql.statements import Dialect

TlsMode = Literal["disable", "prefer", "require", "verify-ca", "verify-full"]
FileMode = Literal["rw", "create"]

_SCHEMES: Final = {
    "postgresql": Dialect.POSTGRESQL,
    "postgres": Dialect.POSTGRESQL,
    "mysql": Dialect.MYSQL,
    "mariadb": Dialect.MYSQL,
    "sqlite": Dialect.SQLITE,
}
USUAL_PORTS: Final = {Dialect.POSTGRESQL: 5432, Dialect.MYSQL: 3306}
CONNECT_TIMEOUT_MAX_S: Final = 60
_OPTIONS: Final = frozenset({"sslmode", "connect_timeout", "application_name"})
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A database on a server."""

    dialect: Dialect
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    name: str
    tls: TlsMode | None = None
    connect_timeout_s: int = 10
    application_name: str = "flowforge"


@dataclass(frozen=True, slots=True)
class FileAddress:
    """A SQLite database in a file below a root. With the mode `create` it is made if it is missing."""

    root: str
    path: str
    mode: FileMode = "rw"
    dialect: Dialect = Dialect.SQLITE


DatabaseAddress = ServerAddress | FileAddress


def parse_database(url: str) -> DatabaseAddress:
    """Reads a URL: `postgresql://user:password@host:5432/name?sslmode=…`, `mysql://…`, `mariadb://…`, `sqlite://work/path?mode=…`.

    Raises:
        FatalError: `database_invalid`; the message never holds the URL.
    """
    if _CONTROL.search(url):
        raise _refuse("it holds a control character")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _refuse("its host or port cannot be read; percent-encode what is special in user name and password") from None
    dialect = _SCHEMES.get(parts.scheme)
    if dialect is None:
        raise _refuse("it begins with none of postgresql://, mysql://, mariadb:// and sqlite://")
    if parts.fragment or "#" in url:
        raise _refuse("it holds a #; percent-encode it as %23")
    options = _read_options(parts.query)
    if dialect is Dialect.SQLITE:
        return _read_file_address(parts, options)
    return _read_server_address(dialect, parts, port, options)


def name_database(parameters: Mapping[str, Any]) -> str:
    """For the effects ledger and for secrets that are bound to a host: `host:port`, or the root and path of a file."""
    try:
        address = parse_database(str(parameters["database"]))
    except FatalError as error:
        raise ValueError(error.message) from error
    if isinstance(address, FileAddress):
        return f"sqlite:{address.root}/{address.path}"
    return write_endpoint(address.host, address.port)


def name_server(address: ServerAddress) -> JsonObject:
    """For the details of an error."""
    return {"host": address.host, "port": address.port}


def choose_tls(address: ServerAddress, ip: str) -> TlsMode:
    """What the connection to a judged address asks for.

    A public address is only spoken to with a certificate that is trusted and names the host (`verify-full`). For others the URL decides,
    and `prefer` encrypts where the server can.

    Raises:
        FatalError: `tls`: the URL asks for less than a public address needs.
    """
    judged = parse_address(ip)
    if judged is None or is_public(judged):
        if address.tls not in {None, "verify-full"}:
            raise FatalError(
                f"{address.host} is a public address: sslmode={address.tls} does not protect the connection; leave it out, and give"
                " `authority` if the server's authority is not a public one.",
                code="tls",
            )
        return "verify-full"
    return address.tls or "prefer"


def _read_server_address(dialect: Dialect, parts: SplitResult, port: int | None, options: dict[str, str]) -> ServerAddress:
    if "mode" in options:
        raise _refuse("mode is an option of sqlite:// alone")
    host = parts.hostname or ""
    if not host or "%" in host:
        raise _refuse("it names no host; sockets in the file system are not connected to")
    name = unquote(parts.path.removeprefix("/"))
    if not parts.username or not name or "/" in name:
        raise _refuse("it wants a user name and the name of a database: scheme://user:password@host/name")
    tls = options.get("sslmode")
    if tls is not None and tls not in get_args(TlsMode):
        raise _refuse(f"sslmode is one of {', '.join(get_args(TlsMode))}")
    seconds = options.get("connect_timeout", "10")
    if not (seconds.isascii() and seconds.isdigit() and 1 <= int(seconds[:4]) <= CONNECT_TIMEOUT_MAX_S):
        raise _refuse(f"connect_timeout is a number of seconds from 1 to {CONNECT_TIMEOUT_MAX_S}")
    return ServerAddress(
        dialect=dialect,
        host=host,
        port=port or USUAL_PORTS[dialect],
        user=unquote(parts.username),
        password=unquote(parts.password or ""),
        name=name,
        tls=cast("TlsMode | None", tls),
        connect_timeout_s=int(seconds),
        application_name=options.get("application_name", "flowforge")[:60],
    )


def _read_file_address(parts: SplitResult, options: dict[str, str]) -> FileAddress:
    if set(options) - {"mode"}:
        raise _refuse("sqlite:// has one option, mode")
    path = unquote(parts.path.removeprefix("/"))
    root = unquote(parts.netloc)
    if not path or not root or "@" in root:
        raise _refuse("for SQLite it is sqlite://work/path, where work is a root that FILE_ROOTS configures")
    mode = options.get("mode", "rw")
    if mode not in get_args(FileMode):
        raise _refuse(f"mode is one of {', '.join(get_args(FileMode))}")
    return FileAddress(root, path, cast("FileMode", mode))


def _read_options(query: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in _OPTIONS | {"mode"} or name in options or _CONTROL.search(value):
            known = ", ".join(sorted(_OPTIONS | {"mode"}))
            raise _refuse(f"the option {name[:40]!r} is not known, given twice or unreadable; known are {known}")
        options[name] = value
    return options


def _refuse(what: str) -> FatalError:
    return FatalError(f"`database` cannot be used: {what}.", code="database_invalid")
