"""What can go wrong inside the engine, by who can do something about it."""

from flowforge.kit.errors import ConflictError, InvariantError, StorageError


class UnknownEventError(StorageError):
    """A journal holds an event that this version does not know."""

    def __init__(self, event_type: str) -> None:
        super().__init__(
            f"The journal holds the event `{event_type}`, which this version of FlowForge does not know: use the version that wrote it."
        )


class JournalError(InvariantError):
    """A journal that no engine could have written."""


class StartRejectedError(ConflictError):
    """The workflow's concurrency limit is reached and its `when_full` is `reject`; nothing was stored."""

    def __init__(self, workflow: str, limit: int) -> None:
        super().__init__(
            f"The workflow {workflow} has {limit} open runs, its `concurrency.limit`, and rejects more: try again later."
        )
