"""What the engine asks of the floors above it, answered by the domains."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from flowforge.engine.events import PinnedVersion
from flowforge.entrypoints.wiring import Installation
from flowforge.kit.values import JsonObject

if TYPE_CHECKING:
    from flowforge.kit.signing import SigningKeys


class VaultPort:
    """`engine.ports.Vault`: a session of its own for each question. Runs that need neither secrets nor variables open no session."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    async def resolve_secrets(self, workspace_id: str, names: Sequence[str], target_host: str | None) -> Mapping[str, str]:
        if not names:
            return {}
        # The vault stands on SQLAlchemy, which most runs never need.
        from flowforge.vault.service import check_host, resolve_secrets

        async with self._installation.database.read() as session:
            found = await resolve_secrets(session, self._installation.keyring, workspace_id, names)
        for secret in found.values():
            check_host(secret, target_host)
        return {name: secret.value for name, secret in found.items()}

    async def read_variables(self, workspace_id: str, names: Sequence[str]) -> JsonObject:
        if not names:
            return {}
        # As above.
        from flowforge.vault.service import read_variables

        async with self._installation.database.read() as session:
            return await read_variables(session, workspace_id, names)


class LinkPort:
    """`engine.ports.LinkRun`: signed like all links that let a run go on."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    def __call__(self, workspace_id: str, run_id: str) -> str:
        # Few definitions read a link; signing brings the cryptography with it.
        from flowforge.runs.resuming import make_run_token, make_url

        return make_url(self._installation.settings.public_url, make_run_token(self._signing, workspace_id, run_id))

    @cached_property
    def _signing(self) -> "SigningKeys":
        # As above.
        from flowforge.kit.signing import open_signing

        return open_signing(self._installation.settings, self._installation.folder)


class VersionsPort:
    """`engine.ports.Versions`: names are looked up when a call starts."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    async def resolve(self, workspace_id: str, name: str, version: int | None) -> PinnedVersion:
        # As in the vault's port.
        from flowforge.workflows.service import resolve_version

        async with self._installation.database.read() as session:
            return await resolve_version(session, workspace_id, name, version)
