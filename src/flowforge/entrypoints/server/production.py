"""What a server needs that others can reach: nothing listens before it is there."""

from flowforge.kit.errors import Detail, ValidationError
from flowforge.kit.settings import Settings

_MEANINGS = {
    "PUBLIC_URL": "the address under which people reach the server",
    "DATABASE_URL": "the database that all processes share",
    "ENCRYPTION_KEY": "seals secrets; `openssl rand -hex 32` makes one",
    "SIGNING_KEY": "signs tokens and links; `openssl rand -hex 32` makes one",
}


class SettingsMissingError(ValidationError):
    """Settings without which the server does not start."""

    def __init__(self, names: list[str]) -> None:
        details = [Detail(f"FLOWFORGE_{name}", f"FLOWFORGE_{name}: {_MEANINGS[name]}.", "setting_missing") for name in names]
        told = "; ".join(f"FLOWFORGE_{name} ({_MEANINGS[name]})" for name in names)
        super().__init__(f"`flowforge serve` needs {told}. Set them, or start `flowforge up` on your own machine.", details)


def require_production(settings: Settings) -> None:
    """Raises SettingsMissingError, which names every setting that is missing."""
    given = {
        "PUBLIC_URL": settings.public_url,
        "DATABASE_URL": settings.database_url,
        "ENCRYPTION_KEY": settings.encryption_key,
        "SIGNING_KEY": settings.signing_key,
    }
    missing = [name for name, value in given.items() if value is None]
    if missing:
        raise SettingsMissingError(missing)
