"""What the toolbox asks of the floor above it."""

from typing import Protocol

from flowforge.kit.values import JsonValue
from flowforge.operations.definition import Operation


class CallOperation(Protocol):
    """Wired under this class: calls an operation here and now, with the services and secrets of the workspace."""

    async def __call__(
        self, operation: Operation, value: JsonValue, *, workspace_id: str, may_use_secrets: bool, key: str | None
    ) -> JsonValue:
        """The operation's output. `key`: its idempotency key; None makes a new one.

        Raises:
            FatalError, RetryableError: it failed, or the parameters do not fit.
            NotPermittedError: the parameters name a secret, and the caller may use none.
            FlowForgeError: a secret is missing, or may not go where it would.
        """
        ...
