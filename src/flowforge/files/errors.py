"""What can go wrong with files."""

from typing import ClassVar

from flowforge.kit.errors import ConflictError, Detail, NotFoundError, RequestError, ValidationError


class FileNotFoundHereError(NotFoundError):
    """There is no such file in the workspace."""

    def __init__(self, file_id: str) -> None:
        message = f"There is no file {file_id[:80]!r} here."
        super().__init__(message, [Detail("", message, "file_unknown")])


class UploadNotFoundError(NotFoundError):
    """There is no such upload, or its time is over."""

    def __init__(self, upload_id: str) -> None:
        message = f"There is no upload {upload_id[:80]!r} here; uploads that are not completed end after a day."
        super().__init__(message, [Detail("", message, "upload_unknown")])


class UploadOffsetError(ConflictError):
    """A piece does not begin where the last one ended."""

    def __init__(self, expected: int) -> None:
        message = f"The next piece begins at byte {expected}; send it with `Upload-Offset: {expected}`."
        super().__init__(message, [Detail("Upload-Offset", message, "upload_offset")])
        self.expected = expected


class UploadIncompleteError(ConflictError):
    """It is completed before all bytes are there, or pieces pass the size."""

    def __init__(self, received: int, size: int) -> None:
        message = f"The file has {size} bytes, of which {received} have arrived."
        super().__init__(message, [Detail("", message, "upload_incomplete")])


class DigestMismatchError(ValidationError):
    """The bytes are not those that were announced."""

    def __init__(self) -> None:
        message = "The file's SHA-256 is not the one that was announced; send the file again."
        super().__init__(message, [Detail("sha256", message, "sha256_mismatch")])


class LinkLifeError(ValidationError):
    """A link cannot be good for so long, or for so short a time."""

    def __init__(self) -> None:
        message = "How long the link is good is written like 1h: from 1m to 7d."
        super().__init__(message, [Detail("expires_in", message, "expires_in")])


class RangeError(RequestError):
    """A range outside of the file, or more than one."""

    code: ClassVar[str] = "REQUESTED_RANGE_NOT_SATISFIABLE"

    def __init__(self, size: int) -> None:
        message = f"The file has {size} bytes; ask for one range inside of it."
        super().__init__(message, [Detail("Range", message, "range")])
        self.size = size
