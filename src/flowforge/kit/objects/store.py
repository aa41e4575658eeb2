"""The object store: files that steps hand on by reference, kept outside of the journal."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Self

from flowforge.kit.errors import InvariantError
from flowforge.kit.ids import IdSource, parse_id
from flowforge.kit.objects.folder import FolderShelf
from flowforge.kit.objects.shelf import Draft, Shelf, StoredObject
from flowforge.kit.objects.values import FILE_PREFIX, VALUE_PREFIX, FileValue, clean_media_type, clean_name


class ObjectStore:
    """Files under random ids, on a shelf (a folder's path stands for the shelf in it); a file never changes once it is there.

    Bytes first: `put` returns only when they survive a power cut, so a journal that names a file never names a missing one. What
    nothing names (a crash in between) is found by age with `list_objects`. Methods block: call them from a thread where that matters.
    """

    def __init__(self, shelf: Shelf | Path, ids: IdSource) -> None:
        self._shelf = FolderShelf(shelf) if isinstance(shelf, Path) else shelf
        self._ids = ids

    def create(self, *, name: str, media_type: str) -> "ObjectWriter":
        """A new file that is written piece by piece; use it as a context manager, see there."""
        return ObjectWriter(self._shelf, self._ids.make_id(FILE_PREFIX), name, media_type)

    def put_value(self, data: bytes) -> FileValue:
        """Keep a value of a journal, as JSON; its id (`value_…`) can stand in no file that a step hands on. Raises as `put`."""
        return self._put(self._ids.make_id(VALUE_PREFIX), data, name="value.json", media_type="application/json")

    def put(self, data: bytes, *, name: str, media_type: str) -> FileValue:
        """Keep bytes under a new id. `name` loses folders and characters that no file system likes; it is for people only.

        Raises:
            StorageFullError: there is no room on the disk; nothing is kept.
            StorageError: the folder cannot be written to, or the bucket cannot be reached. Nothing names what may be there all the same.
        """
        return self._put(self._ids.make_id(FILE_PREFIX), data, name=name, media_type=media_type)

    def _put(self, file_id: str, data: bytes, *, name: str, media_type: str) -> FileValue:
        self._shelf.put(file_id, data)
        return FileValue(file_id, clean_name(name), clean_media_type(media_type), len(data), hashlib.sha256(data).hexdigest())

    def read(self, file_id: str) -> bytes:
        """All the bytes.

        Raises:
            InvalidIdError: the text is no id of a file.
            ObjectMissingError: there is none.
            StorageError: the folder or the bucket cannot be read now.
        """
        with self.open(file_id) as file:
            return file.read()

    def open(self, file_id: str) -> BinaryIO:
        """The bytes as a stream for reading, which the caller closes. Raises as `read`, reading from it too."""
        _check(file_id)
        return self._shelf.open(file_id)

    def delete(self, file_id: str) -> None:
        """Remove the bytes; that they are gone already is fine.

        Raises:
            InvalidIdError: the text is no id of a file.
            StorageError: the folder or the bucket cannot be used now.
        """
        _check(file_id)
        self._shelf.delete(file_id)

    def list_values(self, *, stored_before_ms: int) -> Iterator[StoredObject]:
        """Values of journals that are older than a time; as `list_objects`."""
        return self._list(VALUE_PREFIX, stored_before_ms)

    def list_objects(self, *, stored_before_ms: int | None = None) -> Iterator[StoredObject]:
        """Every file, or those that are older than a time, in no order. Times are the file system's or the bucket's.

        Raises:
            StorageError: the folder or the bucket cannot be read.
        """
        return self._list(FILE_PREFIX, stored_before_ms)

    def _list(self, prefix: str, stored_before_ms: int | None) -> Iterator[StoredObject]:
        for found in self._shelf.scan(prefix):
            if stored_before_ms is None or found.stored_at_ms < stored_before_ms:
                yield found

    def sweep_staging(self, *, stored_before_ms: int) -> int:
        """Remove what writes that were cut short left behind before a time; returns how many. Younger ones may still be written."""
        return self._shelf.sweep(stored_before_ms=stored_before_ms)


class ObjectWriter:
    """A file on its way into the store. It is there when `commit` returns; left without, the block takes away what was written.

    Methods block, and raise StorageFullError or StorageError.
    """

    def __init__(self, shelf: Shelf, file_id: str, name: str, media_type: str) -> None:
        self._shelf = shelf
        self._facts = (file_id, clean_name(name), clean_media_type(media_type))
        self._size_bytes = 0
        self._digest = hashlib.sha256()
        self._draft: Draft | None = None

    def __enter__(self) -> Self:
        self._draft = self._shelf.begin(self._facts[0])
        return self

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._open_draft.write(data)
        self._size_bytes += len(data)
        self._digest.update(data)

    @property
    def size_bytes(self) -> int:
        """What was written so far."""
        return self._size_bytes

    def commit(self) -> FileValue:
        """The file; it survives a power cut."""
        self._open_draft.commit()
        file_id, name, media_type = self._facts
        return FileValue(file_id, name, media_type, self._size_bytes, self._digest.hexdigest())

    def __exit__(self, *_error: object) -> None:
        self._open_draft.discard()

    @property
    def _open_draft(self) -> Draft:
        if self._draft is None:
            raise InvariantError("A file is written inside its `with` block only.")
        return self._draft


def _check(file_id: str) -> None:
    parse_id(file_id, VALUE_PREFIX if file_id.startswith(f"{VALUE_PREFIX}_") else FILE_PREFIX)
