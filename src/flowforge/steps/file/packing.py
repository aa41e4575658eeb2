"""What the operations on archives share."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final, Literal

from pydantic import Field

from flowforge.operations import ErrorCode, FatalError, StrictModel
from flowforge.steps.file.access import FILE_INVALID, PATH_ERRORS, WRITE_ERRORS, explain_file_errors

PACK_ERRORS: Final = (*PATH_ERRORS, *WRITE_ERRORS, FILE_INVALID)
GROWTH_ERRORS: Final = (
    ErrorCode("file_empty", "The file holds nothing."),
    ErrorCode("zip_unsupported", "The file is of another form, encrypted, or packed by a method that is not read here."),
    ErrorCode("zip_corrupt", "The file is damaged or cut short, or says two different things about itself."),
    ErrorCode("zip_total", "Unpacked it is larger than LIMIT_ZIP_TOTAL."),
    ErrorCode("zip_ratio", "Unpacked it is larger than LIMIT_ZIP_RATIO times its size, and than 1 MiB."),
)


class TargetParameters(StrictModel):
    """Where the result goes."""

    to: str | None = Field(
        default=None, description="The path of the new file below `to_root`; without it the result is a file value.", min_length=1
    )
    to_root: str | None = Field(default=None, description="The root of the new file; without it the same as `root`.")
    mode: Literal["create", "replace"] = Field(
        default="replace", description="Whether a file that is at the new path is replaced or is an error."
    )


@contextmanager
def explain_packing() -> Generator[None]:
    """Makes step errors of what goes wrong with archives and files.

    Raises:
        FatalError: an ArchiveError, with its code.
        FatalError, RetryableError: as `explain_file_errors`.
    """
    # Start-up cost: the archive libraries take 10 ms to import.
    from flowforge.kit.archives import ArchiveError

    try:
        with explain_file_errors():
            yield
    except ArchiveError as error:
        raise FatalError(error.message, code=error.fault.value) from error
