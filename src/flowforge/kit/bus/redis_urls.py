"""Where a Redis is: one server, a master that Sentinels know, or a cluster, by its URL."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from flowforge.kit.errors import Detail, ValidationError

_URL_MAX_CHARACTERS: Final = 4_096
_DATABASES_MAX: Final = 1_024
_REDIS_PORT: Final = 6_379
_SENTINEL_PORT: Final = 26_379
_HOST: Final = re.compile(r"\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_FORMS: Final = (
    "redis://host:6379/0, rediss://…, redis+sentinel://host:26379,host:26379/name or redis+cluster://host:6379,host:6379"
)


class RedisKind(StrEnum):
    SERVER = "server"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


_SCHEMES: Final = {
    "redis": (RedisKind.SERVER, False),
    "rediss": (RedisKind.SERVER, True),
    "sentinel": (RedisKind.SENTINEL, False),
    "redis+sentinel": (RedisKind.SENTINEL, False),
    "rediss+sentinel": (RedisKind.SENTINEL, True),
    "redis+cluster": (RedisKind.CLUSTER, False),
    "rediss+cluster": (RedisKind.CLUSTER, True),
}
_OPTIONS: Final = frozenset({"sentinel_username", "sentinel_password", "ssl_ca_certs"})


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """`hosts`: servers of a cluster or Sentinels, of which some may be away; else the one server. Its text never shows a password.

    `service` is the name under which Sentinels know the master. `authority`: a file of certificates that are trusted.
    """

    kind: RedisKind
    hosts: tuple[tuple[str, int], ...]
    database: int = 0
    is_tls: bool = False
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    service: str = ""
    sentinel_user: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)
    authority: str | None = None

    @property
    def place(self) -> str:
        """For people: where it is, without names and passwords."""
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        return f"{hosts}/{self.service}" if self.service else hosts


def is_redis_url(url: str) -> bool:
    """Whether the scheme is one of a Redis."""
    return url.partition("://")[0].lower() in _SCHEMES


def parse_redis_url(url: str, setting: str = "REDIS_URL") -> RedisAddress:
    """The address that a URL names. `setting`: where the URL stands, for the sentence of a fault, which never shows the URL.

    Raises:
        ValidationError: it is no URL of a Redis; the message says what is wrong with it.
    """
    if len(url) > _URL_MAX_CHARACTERS or any(character.isspace() or ord(character) < 32 for character in url):
        raise _fault(setting, f"has spaces or is longer than {_URL_MAX_CHARACTERS} characters")
    # Celery writes Sentinels as whole URLs between semicolons.
    first, *others = url.split(";")
    parts = urlsplit(first)
    if parts.scheme not in _SCHEMES:
        raise _fault(setting, f"does not begin with a scheme that is known: use {_FORMS}")
    kind, is_tls = _SCHEMES[parts.scheme]
    options = _read_options(parts, setting)
    user, password = _read_credentials(parts, setting)
    default_port = _SENTINEL_PORT if kind is RedisKind.SENTINEL else _REDIS_PORT
    names = [*parts.netloc.rpartition("@")[2].split(","), *(_strip_url(other) for other in others if other)]
    hosts = tuple(_read_host(name, default_port, setting) for name in names)
    if kind is RedisKind.SERVER and len(hosts) > 1:
        raise _fault(setting, "names several hosts: use redis+sentinel:// or redis+cluster://")
    service, database = _read_path(parts.path, kind, setting)
    return RedisAddress(
        kind=kind,
        hosts=hosts,
        database=database,
        is_tls=is_tls,
        user=user,
        password=password,
        service=service,
        sentinel_user=options.get("sentinel_username"),
        sentinel_password=options.get("sentinel_password"),
        authority=options.get("ssl_ca_certs"),
    )


def _fault(setting: str, what: str) -> ValidationError:
    message = f"{setting} {what}."
    return ValidationError(message, [Detail(setting, message, "redis_url_invalid")])


def _strip_url(text: str) -> str:
    return urlsplit(text).netloc.rpartition("@")[2] if "://" in text else text


def _read_options(parts: SplitResult, setting: str) -> dict[str, str]:
    if parts.fragment:
        raise _fault(setting, "has a `#`: write %23 in a password")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(set(options) - _OPTIONS)
    if unknown:
        raise _fault(setting, f"has the option {unknown[0]!r}, which is not known: there are {', '.join(sorted(_OPTIONS))}")
    return options


def _read_credentials(parts: SplitResult, setting: str) -> tuple[str | None, str | None]:
    text, at, _ = parts.netloc.rpartition("@")
    if "@" in text or "/" in text:
        raise _fault(setting, "has an @ or / in its user or password: write %40 or %2F")
    if not at:
        return None, None
    user, _, password = text.partition(":")
    return unquote(user) or None, unquote(password) or None


def _read_host(text: str, default_port: int, setting: str) -> tuple[str, int]:
    bracket = text.rfind("]")
    colon = text.rfind(":")
    host, port = (text[:colon], text[colon + 1 :]) if colon > bracket else (text, str(default_port))
    if not _HOST.fullmatch(host):
        raise _fault(setting, f"names {host!r} as a host, which is none")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
        raise _fault(setting, f"names {port!r} as the port of {host}, which is no number from 1 to 65535")
    return host.strip("[]"), int(port)


def _read_path(path: str, kind: RedisKind, setting: str) -> tuple[str, int]:
    """The name of the Sentinels' master, and the number of the database."""
    names = [unquote(name) for name in path.split("/") if name]
    if kind is RedisKind.SENTINEL:
        if not names:
            raise _fault(
                setting, "does not say under which name the Sentinels know the master: redis+sentinel://host:26379/mymaster"
            )
        service, names = names[0], names[1:]
    else:
        service = ""
    if len(names) > 1:
        raise _fault(setting, f"has more behind its hosts than the number of a database: {path!r}")
    number = names[0] if names else "0"
    if not (number.isascii() and number.isdigit() and int(number) < _DATABASES_MAX):
        raise _fault(setting, f"names {number!r} as the database, which is no number below {_DATABASES_MAX}")
    if kind is RedisKind.CLUSTER and number != "0":
        raise _fault(setting, "names a database: a cluster has only the database 0")
    return service, int(number)
