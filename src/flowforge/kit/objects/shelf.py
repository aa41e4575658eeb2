"""Where the bytes of the object store lie: the port that a folder and a bucket fill."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What the folder or the bucket itself knows of a file."""

    id: str
    size_bytes: int
    stored_at_ms: int


class Draft(Protocol):
    """Bytes on their way. Methods block, and raise StorageError."""

    def write(self, data: bytes | bytearray | memoryview) -> None: ...

    def commit(self) -> None:
        """The bytes are there under their id, and survive a power cut."""
        ...

    def discard(self) -> None:
        """Lets go of everything; what was not committed is not there. Raises nothing, and may be called at any time."""
        ...


class Shelf(Protocol):
    """Bytes under ids that the object store makes; they never change. Methods block, may be called from any thread, and raise StorageError.

    All processes of an installation see the same bytes as soon as `put` or `commit` has returned.
    """

    def put(self, file_id: str, data: bytes) -> None:
        """Keeps bytes; on return they survive a power cut."""
        ...

    def begin(self, file_id: str) -> Draft:
        """Bytes that come piece by piece."""
        ...

    def open(self, file_id: str) -> BinaryIO:
        """A stream for reading, in which can be sought.

        Raises:
            ObjectMissingError: there is nothing under the id.
        """
        ...

    def delete(self, file_id: str) -> None:
        """Removes the bytes; that they are gone already is fine."""
        ...

    def scan(self, prefix: str) -> Iterator[StoredObject]:
        """Everything whose id has the prefix, in no order. Times are those of the shelf's own clock."""
        ...

    def sweep(self, *, stored_before_ms: int) -> int:
        """Removes what writes that were cut short left behind before a time; returns how many. Younger ones may still be written."""
        ...


def place_of(file_id: str) -> tuple[str, str]:
    """Subfolder and name of a file, the same in a folder and in a bucket, so that one can be copied to the other.

    The last two characters are random, the first ones are time: subfolders fill evenly.
    """
    return file_id[-2:], file_id
