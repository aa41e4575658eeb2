"""What can go wrong inside the engine, by who can do something about it."""

from flowforge.kit.errors import ConflictError, InvariantError, StorageError


class UnknownEventError(StorageError):
    """A journal holds an event that this version does not know."""

    def __init__(self, event_type: str) -> None:
        super().__init__(
            f"The journal holds the event `{event_type}`, which this version of FlowForge does not know: use the version that wrote it."
        )


class OverloadedError(StorageError):
    """So many turns wait for the database that nothing more is taken on; `retry_after_s` says when to come again."""

    def __init__(self, backlog: int, retry_after_s: int) -> None:
        super().__init__(f"{backlog} turns wait for the database, which is too slow for them: try again in {retry_after_s} s.")
        self.retry_after_s = retry_after_s


class JournalError(InvariantError):
    """A journal that no engine could have written."""


class StartRejectedError(ConflictError):
    """The workflow's concurrency limit is reached and its `when_full` is `reject`; nothing was stored."""

    def __init__(self, workflow: str, limit: int) -> None:
        super().__init__(
            f"The workflow {workflow} has {limit} open runs, its `concurrency.limit`, and rejects more: try again later."
        )
