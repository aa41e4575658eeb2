"""What the file operations share."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from pydantic import Field

from flowforge.kit.errors import StorageError, StorageFullError
from flowforge.kit.paths import PathError, PathFault
from flowforge.operations import ErrorCode, FatalError, RetryableError, StrictModel

FILE_MAX_BYTES: Final = 25 * 2**20
"""Largest file that a step reads or writes as a file value."""
INLINE_MAX_BYTES: Final = 10 * 2**20
"""Largest file whose content becomes a part of a step's output."""

Result = TypeVar("Result")

PATH_ERRORS: Final = (
    ErrorCode("path_denied", "The path leads out of its root, over a link, or to what this process may not use."),
    ErrorCode("root_unknown", "No root of that name is configured; FILE_ROOTS lists them."),
    ErrorCode("file_missing", "There is no such file or folder."),
    ErrorCode("file_kind", "A folder, pipe or device where a file was asked for, or a file where a folder was."),
    ErrorCode("file_too_large", "The file, or the list of files, is larger than a step may handle."),
    ErrorCode("file_failed", "The disk refused.", retryable=True),
)

_WORTH_ANOTHER_ATTEMPT: Final = frozenset({PathFault.FULL, PathFault.FAILED})
_NOT_BY_DEFAULT: Final = frozenset({PathFault.MISSING, PathFault.EXISTS})


class PlaceParameters(StrictModel):
    """Where a file is."""

    root: str = Field(default="work", description="The name of a root that FILE_ROOTS configures.")
    path: str = Field(description="The path below the root: names joined by `/`.", min_length=1)


def name_place(parameters: Mapping[str, Any]) -> str:
    """For the effects ledger."""
    return f"{parameters.get('root', 'work')}:{parameters.get('path', '')}"


async def run_blocking(work: Callable[[], Result]) -> Result:
    """Runs work on files in a thread.

    Raises:
        FatalError, RetryableError: for a PathError, with its code, or for a fault of the object store.
    """
    try:
        return await asyncio.to_thread(work)
    except StorageError as error:
        code = PathFault.FULL if isinstance(error, StorageFullError) else PathFault.FAILED
        raise RetryableError(error.message, code=code.value) from error
    except PathError as error:
        code = error.fault.value
        if error.fault in _WORTH_ANOTHER_ATTEMPT:
            raise RetryableError(error.message, code=code) from error
        if error.fault in _NOT_BY_DEFAULT:
            raise RetryableError(error.message, code=code, by_default=False) from error
        raise FatalError(error.message, code=code) from error
