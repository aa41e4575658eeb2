"""The one error tree, ordered by who can do something about it.

Every error has a stable `code` (the name of its HTTP status, or one of the codes listed in docs/errors.md) and may carry
details, each with a finer code and the place of the fault. An error's message is one sentence for a person.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Detail:
    """One fault inside an error: `field` is a dotted path (`steps[2].with.url`), or "" for the whole."""

    field: str
    message: str
    code: str
    line: int | None = None
    column: int | None = None
    suggestion: str | None = None


class FlowForgeError(Exception):
    """Root of all errors that FlowForge raises on purpose."""

    code: ClassVar[str] = "INTERNAL_ERROR"

    def __init__(self, message: str, details: Sequence[Detail] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.details = tuple(details)


class RequestError(FlowForgeError):
    """The caller asked for something that cannot be done as asked (4xx)."""

    code = "BAD_REQUEST"


class ValidationError(RequestError):
    """The input is well formed but not acceptable; the details name every fault."""

    code = "VALIDATION_ERROR"


class NotFoundError(RequestError):
    """The thing that was named does not exist, or the caller may not see it."""

    code = "NOT_FOUND"


class NotPermittedError(RequestError):
    """The caller may not do this."""

    code = "FORBIDDEN"


class ConflictError(RequestError):
    """The present state does not allow this."""

    code = "CONFLICT"


class AlreadyExistsError(ConflictError):
    """Something of that name is there already."""

    code = "ALREADY_EXISTS"


class NotInstalledError(ConflictError):
    """The workflow uses an operation that is not installed here."""

    code = "NOT_INSTALLED"


class DependencyError(FlowForgeError):
    """A third party failed; a retry may help."""

    code = "DEPENDENCY_FAILED"


class StorageError(DependencyError):
    """The database or the data folder cannot be used now."""

    code = "SERVICE_UNAVAILABLE"


class StorageFullError(StorageError):
    """The disk is full."""

    code = "STORAGE_FULL"


class InvariantError(FlowForgeError):
    """A promise of our own code is broken: our bug."""

    code = "INTERNAL_ERROR"
