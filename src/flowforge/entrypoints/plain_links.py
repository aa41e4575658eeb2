"""Which of the stores that processes share are spoken to without TLS, over a network where others may listen."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from flowforge.entrypoints.production import is_production
from flowforge.kit.database.url import DatabaseKind, parse_database_url
from flowforge.kit.settings import Settings
from flowforge.kit.telemetry import get_logger
from flowforge.web.addresses import is_loopback, normalize_address

_TLS_OF_DATABASES: Final = {
    DatabaseKind.POSTGRES: ("sslmode", frozenset({"require", "verify-ca", "verify-full"})),
    DatabaseKind.MYSQL: ("ssl_mode", frozenset({"required", "verify_ca", "verify_identity"})),
}
_MENDS: Final = {
    DatabaseKind.POSTGRES: "add ?sslmode=verify-full to it",
    DatabaseKind.MYSQL: "add ?ssl_mode=verify_identity to it",
}

logger = get_logger("plain_links")


@dataclass(frozen=True, slots=True)
class PlainLink:
    """A setting whose URL names a host that is spoken to without TLS, and what to write instead."""

    setting: str
    host: str
    mend: str


def warn_of_plain_links(settings: Settings) -> None:
    """A line in the log for each."""
    for link in list_plain_links(settings):
        logger.warning(
            "Passwords and data go over the network in the clear.", setting=link.setting, host=link.host, mend=link.mend
        )


def list_plain_links(settings: Settings) -> list[PlainLink]:
    """In production, each URL of a database, a broker or a Redis; none for this machine and for names inside a private network.

    Raises:
        DatabaseUrlError: the URL of a database cannot be used.
    """
    # What many machines share is set for production; a data folder is for one.
    if not is_production(settings, by_default=settings.database_url is not None):
        return []
    databases = {"DATABASE_URL": settings.database_url, "DATABASE_READ_URL": settings.database_read_url}
    brokers = {"BROKER_URL": settings.broker_url, "REDIS_URL": settings.redis_url}
    found = [link for name, url in databases.items() if url is not None for link in _look_at_database(name, url)]
    return found + [link for name, url in brokers.items() if url is not None for link in _look_at_broker(name, url)]


def _look_at_database(setting: str, url: SecretStr) -> Iterator[PlainLink]:
    parsed = parse_database_url(url.get_secret_value(), setting)
    if parsed.kind is DatabaseKind.SQLITE or not parsed.host or _is_private(parsed.host):
        return
    option, modes = _TLS_OF_DATABASES[parsed.kind]
    if dict(parsed.options).get(option, "").lower() not in modes:
        yield PlainLink(setting, parsed.host, _MENDS[parsed.kind])


def _look_at_broker(setting: str, url: SecretStr) -> Iterator[PlainLink]:
    text = url.get_secret_value()
    scheme = text.partition("://")[0].lower()
    if scheme.startswith("rediss") or scheme == "amqps":
        return
    mend = "write amqps://" if scheme == "amqp" else "write rediss:// (rediss+sentinel://, rediss+cluster://)"
    for host in dict.fromkeys(_list_hosts(text)):
        if not _is_private(host):
            yield PlainLink(setting, host, mend)


def _list_hosts(text: str) -> Iterator[str]:
    """Sentinels and members of a cluster stand side by side, or as whole URLs between semicolons."""
    for part in text.split(";"):
        for name in urlsplit(part).netloc.rpartition("@")[2].split(","):
            yield urlsplit(f"//{name}").hostname or ""


def _is_private(host: str) -> bool:
    """This machine, or a name without a domain, as services inside one private network have it."""
    return ("." not in host and ":" not in host) or is_loopback(normalize_address(host))
