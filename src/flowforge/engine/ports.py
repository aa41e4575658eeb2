"""What the engine asks of the floors above it, as ports; wired in entrypoints."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from flowforge.engine.events import PinnedVersion
from flowforge.kit.values import JsonObject

RUN_QUEUE: Final = "default"
"""The queue of runs; all others are of jobs."""
HEAVY_QUEUE: Final = "heavy"
"""Where the jobs of heavy operations go whose step names no other queue."""


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


LinkRun = Callable[[str, str], str]
"""Makes the link by which anybody who has it lets a run go on, from the ids of its workspace and its own (`run.resume_url`)."""


class Doorbell(Protocol):
    """Tells the workers of other processes to look. Never blocks and never fails: what nobody is told is found by looking, later."""

    def ring(self, queue: str, run_no: int, epoch: int) -> None:
        """There may be something to do in `queue` (`default`: runs; others: jobs); run and epoch are hints, for people who look on."""
        ...


class Silence:
    """The doorbell of an engine that is alone."""

    def ring(self, queue: str, run_no: int, epoch: int) -> None:
        """Nobody hears it."""


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
