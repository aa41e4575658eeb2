"""The OpenID Connect providers by which people sign in: `default` of OIDC_*, and those of the setting `oidc_providers`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from flowforge.kit.errors import Detail, NotFoundError
from flowforge.kit.settings import Settings

DEFAULT_PROVIDER: Final = "default"


class ProviderNotFoundError(NotFoundError):
    def __init__(self, name: str) -> None:
        message = f"There is no sign-in provider {name[:80]!r}; GET /auth/config lists those that there are."
        super().__init__(message, [Detail("provider", message, "provider_unknown")])


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider. `client_secret` None: a public client. `audience`: its access tokens for this audience are credentials here."""

    name: str
    title: str
    issuer: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    audience: str | None = None


class RuntimeProviders(Protocol):
    """What is set at run time. Wired where the server is put together."""

    async def list_providers(self) -> Sequence[Provider]:
        """The setting `oidc_providers`, with the client secrets."""
        ...

    async def find_default_role(self) -> str:
        """The setting `default_role`: what a person gets at the first sign-in; empty: nothing."""
        ...


class NoRuntimeProviders:
    """Nothing is set at run time."""

    async def list_providers(self) -> Sequence[Provider]:
        return ()

    async def find_default_role(self) -> str:
        return ""


def find_default_provider(settings: Settings) -> Provider | None:
    """The provider of OIDC_ISSUER and OIDC_CLIENT_ID, if both are set."""
    if settings.oidc_issuer is None or settings.oidc_client_id is None:
        return None
    secret = settings.oidc_client_secret
    return Provider(
        DEFAULT_PROVIDER,
        "Single sign-on",
        settings.oidc_issuer,
        settings.oidc_client_id,
        None if secret is None else secret.get_secret_value(),
        settings.oidc_audience,
    )
