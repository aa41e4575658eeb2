"""What the vault asks of the floors above it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.keyring import Keyring


@dataclass(frozen=True, slots=True)
class Use:
    """A workflow that names a secret or a variable. `version`: None for its draft."""

    workflow_id: str
    workflow: str
    version: int | None


class FindUses(Protocol):
    """Wired under this class: looks through the current versions and the drafts of a workspace."""

    async def __call__(
        self, session: AsyncSession, workspace_id: str, root: Literal["secrets", "vars"], name: str
    ) -> Sequence[Use]: ...


class ReencryptMore(Protocol):
    """Wired under this class: writes with the current key what the floors above have sealed; how many those were. The caller commits."""

    async def __call__(self, session: AsyncSession, keyring: Keyring) -> int: ...
