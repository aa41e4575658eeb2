"""What the engine asks of the vault while runs are at work: its port `Vault`, on a database."""

from collections.abc import Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from flowforge.kit.keyring import Keyring
from flowforge.kit.masking import Masker
from flowforge.kit.values import JsonObject
from flowforge.vault import service


class VaultReader:
    """Opens secrets for one attempt at a time. Each value is made known to the masker before anybody else sees it."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession], keyring: Keyring, masker: Masker) -> None:
        self._sessions = sessions
        self._keyring = keyring
        self._masker = masker

    async def resolve_secrets(self, workspace_id: str, names: Sequence[str], target_host: str | None) -> Mapping[str, str]:
        """Values by name, for one attempt that calls `target_host` (`host` or `host:port`; None: no host).

        Raises:
            SecretMissingError: some are not set; names them all.
            SecretUnreadableError: one does not open.
            SecretHostMismatchError: one is bound to other hosts; none is given then.
        """
        async with self._sessions() as session:
            secrets = await service.resolve_secrets(session, self._keyring, workspace_id, names)
        for secret in secrets.values():
            self._masker.add(secret.value)
            service.check_host(secret, target_host)
        return {name: secret.value for name, secret in secrets.items()}

    async def read_variables(self, workspace_id: str, names: Sequence[str]) -> JsonObject:
        """Values by name; a name that is not set is left out."""
        async with self._sessions() as session:
            return await service.read_variables(session, workspace_id, names)
