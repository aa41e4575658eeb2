"""Files of the object store, as operations read and write them. Everything here blocks."""

from typing import BinaryIO, Final

from flowforge.kit.errors import FlowForgeError, StorageError, StorageFullError
from flowforge.kit.objects import FileValue, ObjectMissingError, ObjectStore, ObjectWriter, parse_file
from flowforge.kit.units import format_size
from flowforge.kit.values import JsonObject
from flowforge.operations import ErrorCode, FatalError, OperationContext, RetryableError

STORED_ERRORS: Final = (
    ErrorCode("file_invalid", "The value is no file, as a step gives one."),
    ErrorCode("file_missing", "The bytes of the file are not in the object store any more."),
)
_AGAIN_MS: Final = 5_000
FILE_TOO_LARGE: Final = ErrorCode("file_too_large", "The file is larger than the operation takes.")


def find_stored(value: JsonObject, field: str = "file") -> FileValue:
    """What a file value says of its file. Raises FatalError (`file_invalid`), which names the field."""
    try:
        return parse_file(value)
    except FlowForgeError as error:
        raise FatalError(f"{field}: {error.message}", code="file_invalid") from error


def open_stored(context: OperationContext, value: JsonObject, field: str = "file") -> BinaryIO:
    """The bytes of a file value as a stream, which the caller closes.

    Raises:
        FatalError: `file_invalid` or `file_missing`, which names the field.
        RetryableError: `storage_unavailable`: the object store cannot be used now, which is no fault of the step and not counted.
    """
    file = find_stored(value, field)
    try:
        return context.service(ObjectStore).open(file.id)
    except ObjectMissingError as error:
        raise FatalError(f"{field}: {error.message}", code="file_missing") from error
    except StorageError as error:
        raise RetryableError(error.message, code="storage_unavailable", after_ms=_AGAIN_MS, postpones=True) from error


def read_stored(context: OperationContext, value: JsonObject, field: str = "file", *, max_bytes: int) -> bytes:
    """All the bytes of a file value. Raises as `open_stored`, and FatalError (`file_too_large`)."""
    with open_stored(context, value, field) as stream:
        data = stream.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise FatalError(f"{field}: the file is larger than {format_size(max_bytes)}; split it.", code=FILE_TOO_LARGE.code)
    return data


def explain_storage(error: StorageError, *, postpones: bool = False) -> RetryableError:
    """The step's error (`storage_full`, `file_failed`) where the object store could not keep a file.

    With `postpones` it is not counted: the operation has done nothing that another attempt would do twice.
    """
    code = "storage_full" if isinstance(error, StorageFullError) else "file_failed"
    return RetryableError(error.message, code=code, after_ms=_AGAIN_MS if postpones else None, postpones=postpones)


def create_stored(context: OperationContext, *, name: str, media_type: str) -> ObjectWriter:
    """A new file in the object store, to be written inside a `with` block and then committed."""
    return context.service(ObjectStore).create(name=name, media_type=media_type)
