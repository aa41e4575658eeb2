"""What the engine asks of the floors above it, answered by the domains."""

from collections.abc import Mapping, Sequence

from flowforge.engine.events import PinnedVersion
from flowforge.entrypoints.wiring import Installation
from flowforge.kit.values import JsonObject


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


class VersionsPort:
    """`engine.ports.Versions`: names are looked up when a call starts."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    async def resolve(self, workspace_id: str, name: str, version: int | None) -> PinnedVersion:
        # As in the vault's port.
        from flowforge.workflows.service import resolve_version

        async with self._installation.database.read() as session:
            return await resolve_version(session, workspace_id, name, version)
