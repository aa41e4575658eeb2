"""What identity asks of the domains above it, and of the network."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from flowforge.configuration.ports import PresentSettings
from flowforge.configuration.types import OidcProvider
from flowforge.entrypoints.wiring import Installation
from flowforge.identity.oidc import ProviderAccessTokens
from flowforge.identity.oidc_calls import ProviderCalls
from flowforge.identity.oidc_providers import Providers
from flowforge.identity.oidc_settings import Provider
from flowforge.identity.places import ProjectPlaces
from flowforge.kit.egress.client import EgressClient
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.kit.telemetry.logs import get_logger
from flowforge.vault.errors import VaultError
from flowforge.vault.service import check_host, resolve_secrets
from flowforge.workflows.projects.places import ProjectPlacing

_SECRETS_WORKSPACE: Final = DEFAULT_WORKSPACE_ID

logger = get_logger("server")


@dataclass(frozen=True, slots=True)
class SetProviders:
    """`identity.oidc_settings.RuntimeProviders` on the settings of run time. Client secrets are secrets of the default workspace."""

    installation: Installation
    present: PresentSettings

    async def list_providers(self) -> Sequence[Provider]:
        settings = await self.present.read()
        return [await self._read(provider) for provider in settings.oidc_providers]

    async def find_default_role(self) -> str:
        return (await self.present.read()).default_role

    async def _read(self, provider: OidcProvider) -> Provider:
        secret = None if provider.client_secret_name is None else await self._find_secret(provider, provider.client_secret_name)
        issuer = provider.issuer.rstrip("/")
        return Provider(provider.name, provider.title, issuer, provider.client_id, secret)

    async def _find_secret(self, provider: OidcProvider, name: str) -> str | None:
        """None where it cannot be had: the provider then refuses us, and the other providers go on."""
        try:
            async with self.installation.database.read() as session:
                found = await resolve_secrets(session, self.installation.keyring, _SECRETS_WORKSPACE, [name])
            check_host(found[name], urlsplit(provider.issuer).netloc)
        except VaultError as fault:
            logger.warning("A sign-in provider lacks its client secret.", provider=provider.name, cause=fault.message)
            return None
        return found[name].value


def make_providers(installation: Installation, egress: EgressClient, present: PresentSettings) -> Providers:
    """The providers by which people sign in: one object a process."""
    runtime = SetProviders(installation, present)
    return Providers(installation.settings, ProviderCalls(egress), installation.clock, runtime)


def make_provider_tokens(installation: Installation, providers: Providers) -> ProviderAccessTokens | None:
    """What the gate asks about access tokens of providers; None where OIDC_AUDIENCE is not set."""
    if installation.settings.oidc_audience is None:
        return None
    return ProviderAccessTokens(providers, installation.database, installation.clock)


def list_identity_ports(providers: Providers) -> dict[type, object]:
    """What the endpoints of identity ask for, beside what its accounts bring along."""
    return {Providers: providers, ProjectPlaces: ProjectPlacing()}
