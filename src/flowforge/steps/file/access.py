"""What the file operations share."""

import asyncio
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from mimetypes import guess_type
from typing import Any, BinaryIO, Final, TypeVar

from pydantic import Field

from flowforge.kit.errors import StorageError
from flowforge.kit.paths import FileRoots, PathError, PathFault
from flowforge.kit.units import format_size
from flowforge.operations import ErrorCode, FatalError, OperationContext, RetryableError, StrictModel
from flowforge.steps.stored import explain_storage

FILE_MAX_BYTES: Final = 10 * 2**30
"""Largest file that a step reads or writes as a file value."""
INLINE_MAX_BYTES: Final = 10 * 2**20
"""Largest file whose content becomes a part of a step's output."""
PIECE_BYTES: Final = 2**20
"""What is in memory at once of a file that is passed on."""

Result = TypeVar("Result")

PATH_ERRORS: Final = (
    ErrorCode("path_denied", "The path leads out of its root, over a link, or to what this process may not use."),
    ErrorCode("root_unknown", "No root of that name is configured; FILE_ROOTS lists them."),
    ErrorCode("file_missing", "There is no such file or folder."),
    ErrorCode("file_kind", "A folder, pipe or device where a file was asked for, or a file where a folder was."),
    ErrorCode("file_too_large", "The file, or the list of files, is larger than a step may handle."),
    ErrorCode("file_failed", "The disk refused.", retryable=True),
)
WRITE_ERRORS: Final = (
    ErrorCode("file_exists", "There is such a file already, and the mode is `create`."),
    ErrorCode("storage_full", "There is no room left on the disk.", retryable=True),
)
TARGET_ERRORS: Final = (*(error for error in PATH_ERRORS if error.code != "file_missing"), *WRITE_ERRORS)
"""What can go wrong with a file that is made below a root."""
FILE_INVALID: Final = ErrorCode("file_invalid", "The parameter `file` is no file value, as a step gives one.")
PATH_INSIDE: Final = ErrorCode("path_inside", "A folder cannot go into itself, nor take the place of a folder that holds it.")

_WORTH_ANOTHER_ATTEMPT: Final = frozenset({PathFault.FULL, PathFault.FAILED})
_NOT_BY_DEFAULT: Final = frozenset({PathFault.MISSING, PathFault.EXISTS, PathFault.NOT_EMPTY})


class PlaceParameters(StrictModel):
    """Where a file is."""

    root: str = Field(default="work", description="The name of a root that FILE_ROOTS configures.")
    path: str = Field(description="The path below the root: names joined by `/`.", min_length=1)


def name_place(parameters: Mapping[str, Any]) -> str:
    """For the effects ledger."""
    return f"{parameters.get('root', 'work')}:{parameters.get('path', '')}"


@contextmanager
def explain_file_errors() -> Generator[None]:
    """Makes step errors of what goes wrong with files.

    Raises:
        FatalError, RetryableError: for a PathError, with its code, or for a fault of the object store or the disk.
    """
    try:
        yield
    except StorageError as error:
        raise explain_storage(error) from error
    except PathError as error:
        code = error.fault.value
        if error.fault in _WORTH_ANOTHER_ATTEMPT:
            raise RetryableError(error.message, code=code) from error
        if error.fault in _NOT_BY_DEFAULT:
            raise RetryableError(error.message, code=code, by_default=False) from error
        raise FatalError(error.message, code=code) from error
    except OSError as error:
        raise RetryableError(f"The disk refused: {error.strerror}.", code=PathFault.FAILED.value) from error


async def run_blocking(work: Callable[[], Result]) -> Result:
    """Runs work on files in a thread. Raises as `explain_file_errors`."""
    with explain_file_errors():
        return await asyncio.to_thread(work)


def read_pieces(file: BinaryIO, *, max_bytes: int = FILE_MAX_BYTES) -> Iterator[bytes]:
    """The content of a file, piece by piece.

    Raises:
        FatalError: `file_too_large`.
    """
    total_bytes = 0
    while piece := file.read(PIECE_BYTES):
        total_bytes += len(piece)
        if total_bytes > max_bytes:
            raise FatalError(f"The file is larger than {format_size(max_bytes)}; split it.", code=PathFault.TOO_LARGE.value)
        yield piece


def open_place(context: OperationContext, root: str, path: str) -> BinaryIO:
    """A file below a root, for reading. Raises PathError."""
    return context.service(FileRoots).open(root, path)


def guess_media_type(name: str) -> str:
    """By the ending of the name."""
    return guess_type(name)[0] or "application/octet-stream"
