"""What the engine asks of the floors above it, as ports; wired in entrypoints."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from flowforge.engine.events import PinnedVersion
from flowforge.kit.values import JsonObject


class Versions(Protocol):
    """Names to pinned versions: implemented by the workflows domain."""

    async def resolve(self, workspace_id: str, name: str, version: int | None) -> PinnedVersion:
        """The version that a call runs: the published one if `version` is None.

        Its definition is in the store under the digest afterwards.

        Raises:
            NotFoundError: there is no such workflow or version.
            ConflictError: nothing is published, or the workflow is inactive or deprecated.
        """
        ...


class Vault(Protocol):
    """Secrets and variables of a workspace: implemented by the vault domain."""

    async def resolve_secrets(self, workspace_id: str, names: Sequence[str], target_host: str | None) -> Mapping[str, str]:
        """Values by name, for one attempt.

        Raises:
            VaultError: code `secret_missing`, `secret_unreadable` or `secret_host_mismatch`, naming the secret.
        """
        ...

    async def read_variables(self, workspace_id: str, names: Sequence[str]) -> JsonObject:
        """Values by name; a name that is not set is left out."""
        ...
