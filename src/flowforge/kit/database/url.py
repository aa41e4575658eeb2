"""Which database it is: the one type that everything here takes, read from DATABASE_URL or made from a path. No I/O."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from flowforge.kit.errors import Detail, ValidationError


class DatabaseKind(StrEnum):
    """What speaks at the other end. `mysql` is MariaDB as well."""

    SQLITE = "sqlite"
    POSTGRES = "postgres"
    MYSQL = "mysql"


class DatabaseUrlError(ValidationError):
    """A database URL cannot be used; the message says what to write, and never shows the URL."""

    def __init__(self, setting: str, reason: str) -> None:
        message = f"{setting} cannot be used: {reason}."
        super().__init__(message, [Detail(field=setting, message=message, code="setting_invalid")])


_SCHEMES: Final = {
    "postgresql": DatabaseKind.POSTGRES,
    "postgresql+psycopg": DatabaseKind.POSTGRES,
    "postgres": DatabaseKind.POSTGRES,
    "mysql": DatabaseKind.MYSQL,
    "mysql+aiomysql": DatabaseKind.MYSQL,
    "mysql+pymysql": DatabaseKind.MYSQL,
    "mariadb": DatabaseKind.MYSQL,
    "mariadb+aiomysql": DatabaseKind.MYSQL,
    "mariadb+pymysql": DatabaseKind.MYSQL,
    "sqlite": DatabaseKind.SQLITE,
    "sqlite+aiosqlite": DatabaseKind.SQLITE,
}
_FORM: Final = "postgresql+psycopg://user:password@host:5432/name or mysql+aiomysql://user:password@host:3306/name"
_PORTS: Final = {DatabaseKind.POSTGRES: 5432, DatabaseKind.MYSQL: 3306}
_TLS_MODES: Final = {
    DatabaseKind.POSTGRES: frozenset({"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}),
    DatabaseKind.MYSQL: frozenset({"disabled", "required", "verify_ca", "verify_identity"}),
}
_TLS_MODE_NAMES: Final = {DatabaseKind.POSTGRES: "sslmode", DatabaseKind.MYSQL: "ssl_mode"}
_OPTIONS: Final = {
    DatabaseKind.POSTGRES: frozenset(
        {"sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "channel_binding", "target_session_attrs", "passfile"}
    ),
    DatabaseKind.MYSQL: frozenset({"ssl_mode", "ssl_ca", "ssl_cert", "ssl_key"}),
}
_SOCKET_OPTIONS: Final = {DatabaseKind.POSTGRES: "host", DatabaseKind.MYSQL: "unix_socket"}
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_MYSQL_SOCKET: Final = "mysqld.sock"


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """A database. Of SQLite `path` alone is set; of a server either `host` and `port`, or `socket`.

    `socket` is PostgreSQL's folder of sockets, MySQL's socket itself. `options` go to the driver as they are.
    """

    kind: DatabaseKind
    path: Path | None = None
    host: str = ""
    port: int = 0
    socket: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    name: str = ""
    options: tuple[tuple[str, str], ...] = ()

    @property
    def is_server(self) -> bool:
        return self.kind is not DatabaseKind.SQLITE

    @property
    def shown(self) -> str:
        """What messages call it: the path, or the URL without the password and the options."""
        if self.path is not None:
            return str(self.path)
        scheme = "postgresql" if self.kind is DatabaseKind.POSTGRES else "mysql"
        place = f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}" if self.host else f"({self.socket})"
        return f"{scheme}://{self.user}@{place}/{self.name}"

    @property
    def place(self) -> str:
        """Where it answers, for messages: `host:port` or the socket."""
        return f"{self.host}:{self.port}" if self.host else self.socket

    @property
    def file(self) -> Path:
        """The path of an SQLite database.

        Raises:
            ValueError: it is on a server.
        """
        if self.path is None:
            raise ValueError(f"{self.shown} is no file")
        return self.path


def name_sqlite(path: Path) -> DatabaseUrl:
    """The SQLite database in this file."""
    return DatabaseUrl(DatabaseKind.SQLITE, path)


def parse_database_url(text: str, setting: str = "DATABASE_URL") -> DatabaseUrl:
    """Reads `scheme://user:password@host:port/name?options`, or `sqlite:///path` (four slashes: from the root of the disk).

    `?host=/folder` (PostgreSQL) and `?unix_socket=/file` (MySQL; `?host=` as well) name a Unix socket instead of the host.

    Raises:
        DatabaseUrlError: with the name of the `setting` that it comes from.
    """
    text = text.strip()
    if _CONTROL.search(text):
        raise DatabaseUrlError(setting, "it holds a control character")
    if "#" in text:
        raise DatabaseUrlError(setting, "it holds a #; write it as %23")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        reason = "its host or port cannot be read; percent-encode what is special in the user's name and password"
        raise DatabaseUrlError(setting, reason) from None
    kind = _SCHEMES.get(parts.scheme)
    if kind is None:
        raise DatabaseUrlError(setting, f"it begins with no database that FlowForge knows; write {_FORM}")
    if kind is DatabaseKind.SQLITE:
        return _read_file(parts, setting)
    options = _read_options(kind, parts.query, setting)
    socket = _take_socket(kind, options, setting)
    host = "" if socket else _read_host(parts, setting)
    return DatabaseUrl(
        kind=kind,
        host=host,
        port=port or _PORTS[kind],
        socket=socket,
        user=_read_user(parts, setting),
        password=unquote(parts.password or ""),
        name=_read_name(parts, setting),
        options=tuple(sorted(options.items())),
    )


def _read_file(parts: SplitResult, setting: str) -> DatabaseUrl:
    path = unquote(parts.path.removeprefix("/"))
    if parts.netloc or not path or parts.query:
        raise DatabaseUrlError(setting, "for SQLite it is sqlite:////folder/file.db, with four slashes and no options")
    return name_sqlite(Path(path))


def _read_host(parts: SplitResult, setting: str) -> str:
    host = parts.hostname or ""
    if not host or "%" in host or "," in host:
        raise DatabaseUrlError(setting, f"it names no host, or more than one; write {_FORM}")
    return host


def _read_user(parts: SplitResult, setting: str) -> str:
    if not parts.username:
        raise DatabaseUrlError(setting, f"it names no user; write {_FORM}")
    return unquote(parts.username)


def _read_name(parts: SplitResult, setting: str) -> str:
    name = unquote(parts.path.removeprefix("/"))
    if not name or "/" in name:
        raise DatabaseUrlError(setting, f"it names no database; write {_FORM}")
    return name


def _read_options(kind: DatabaseKind, query: str, setting: str) -> dict[str, str]:
    socket_option = _SOCKET_OPTIONS[kind]
    known = _OPTIONS[kind] | {socket_option, "host"}
    options: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known or name in options or not value or _CONTROL.search(value):
            names = ", ".join(sorted(_OPTIONS[kind] | {socket_option}))
            raise DatabaseUrlError(setting, f"the option {name[:40]!r} is not known, empty or given twice; known are {names}")
        options[name] = value
    mode = options.get(_TLS_MODE_NAMES[kind])
    if mode is not None and (mode if kind is DatabaseKind.POSTGRES else mode.lower()) not in _TLS_MODES[kind]:
        raise DatabaseUrlError(setting, f"{_TLS_MODE_NAMES[kind]} is one of {', '.join(sorted(_TLS_MODES[kind]))}")
    return options


def _take_socket(kind: DatabaseKind, options: dict[str, str], setting: str) -> str:
    folder = options.pop("host", "")
    socket = options.pop("unix_socket", "") or folder
    if socket and not socket.startswith("/"):
        raise DatabaseUrlError(
            setting, f"{_SOCKET_OPTIONS[kind]} is the path of a Unix socket, from / on; a host stands after the @"
        )
    if socket == folder != "" and kind is DatabaseKind.MYSQL and not folder.endswith(".sock"):
        return f"{folder.rstrip('/')}/{_MYSQL_SOCKET}"
    return socket
