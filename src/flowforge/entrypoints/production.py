"""What a server needs that others can reach: nothing listens before it is there.

Production is the default, but for `up` on loopback and for every command on a data folder; ENV says otherwise.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from flowforge.kit.database.url import DatabaseUrlError, parse_database_url
from flowforge.kit.errors import Detail, ValidationError
from flowforge.kit.settings import Settings
from flowforge.kit.settings_source import SettingsError

PRODUCTION: Final = "production"
SERVE_NEEDS: Final = ("PUBLIC_URL", "DATABASE_URL", "ENCRYPTION_KEY", "SIGNING_KEY")
UP_NEEDS: Final = ("PUBLIC_URL", "ENCRYPTION_KEY", "SIGNING_KEY")
"""`up` has its database in the data folder."""
_MEANINGS: Final = {
    "PUBLIC_URL": "the address under which people reach the server",
    "DATABASE_URL": "the database that all processes share",
    "ENCRYPTION_KEY": "seals secrets; `openssl rand -hex 32` makes one",
    "SIGNING_KEY": "signs tokens and links; `openssl rand -hex 32` makes one",
}
_EXAMPLE_HOSTS: Final = frozenset({"example", "example.com", "example.net", "example.org"})
"""Reserved for examples (RFC 2606), so also those of our documentation and of deploy/."""
_EXAMPLE_PASSWORDS: Final = frozenset({"password", "secret", "changeme", "change-me", "example"})


class ProductionError(ValidationError):
    """Settings with which a server does not start in production: each one is told."""

    def __init__(self, command: str, details: list[Detail]) -> None:
        names = ", ".join(detail.field for detail in details)
        advice = "Mend them; where nobody else can reach the server, FLOWFORGE_ENV=development lets it start."
        super().__init__(f"`flowforge {command}` does not start in production with these settings: {names}. {advice}", details)


def is_production(settings: Settings, *, by_default: bool) -> bool:
    """Whether ENV says so, or else the default of the command."""
    return by_default if settings.env is None else settings.env == PRODUCTION


def load_for_production(load: Callable[[], Settings], given: Callable[[], Mapping[str, object]], command: str) -> Settings:
    """The settings of a command that is meant for production; where some cannot be read at all, what is missing beside them is told too.

    Raises:
        ProductionError, SettingsError: some cannot be read.
    """
    try:
        return load()
    except SettingsError as fault:
        named = given()
        if named.get("ENV") == "development":
            raise
        raise ProductionError(command, [*_list_missing(named.keys(), SERVE_NEEDS), *fault.details]) from None


def require_production(settings: Settings, command: str = "serve", needs: Collection[str] = SERVE_NEEDS) -> None:
    """Raises ProductionError, which names every setting that is missing or an example."""
    values = _list_values(settings)
    given = {name for name, value in values.items() if value is not None}
    details = [*_list_missing(given, needs), *_list_examples(values)]
    if details:
        raise ProductionError(command, details)


def _list_values(settings: Settings) -> dict[str, str | None]:
    secrets = {
        "DATABASE_URL": settings.database_url,
        "DATABASE_READ_URL": settings.database_read_url,
        "ENCRYPTION_KEY": settings.encryption_key,
        "SIGNING_KEY": settings.signing_key,
    }
    opened = {name: None if secret is None else secret.get_secret_value() for name, secret in secrets.items()}
    return {"PUBLIC_URL": settings.public_url, "PORTAL_URL": settings.portal_url, **opened}


def _list_missing(given: Collection[str], needs: Collection[str]) -> list[Detail]:
    missing = [name for name in needs if name not in given]
    return [Detail(f"FLOWFORGE_{name}", f"It is not set: {_MEANINGS[name]}.", "setting_missing") for name in missing]


def _list_examples(values: Mapping[str, str | None]) -> Iterator[Detail]:
    for name, value in values.items():
        reason = None if value is None else _find_example(name, value)
        if reason is not None:
            yield Detail(f"FLOWFORGE_{name}", f"It is an example: {reason}.", "setting_example")


def _find_example(name: str, value: str) -> str | None:
    """What shows that the value was copied from somewhere; None: nothing does."""
    if name.endswith("_KEY"):
        # A text that repeats itself stands in itself twice over, not only at both ends.
        return "`openssl rand -hex 32` makes a key" if value in (value + value)[1:-1] else None
    if name.startswith("DATABASE"):
        return "give the user of the database a password of its own" if _has_example_password(name, value) else None
    host = (urlsplit(value).hostname or "").rstrip(".")
    is_example = host in _EXAMPLE_HOSTS or host.endswith(tuple(f".{known}" for known in _EXAMPLE_HOSTS))
    return f"{host} belongs to nobody" if is_example else None


def _has_example_password(name: str, value: str) -> bool:
    try:
        return parse_database_url(value, name).password.lower() in _EXAMPLE_PASSWORDS
    except DatabaseUrlError:
        return False  # told by whoever opens it
