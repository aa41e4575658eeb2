"""The object store: files that steps hand on by reference, kept in a folder, never in the journal."""

import hashlib
import os
import re
import unicodedata
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Self

from flowforge.kit.atomic import DraftFile, write_atomic
from flowforge.kit.errors import Detail, InvariantError, NotFoundError, ValidationError
from flowforge.kit.folder import explain_os_error
from flowforge.kit.ids import IdSource, is_id, parse_id
from flowforge.kit.values import JsonObject, JsonValue

FILE_KEY: Final = "$file"
_PREFIX: Final = "file"
_VALUE_PREFIX: Final = "value"
_STAGING: Final = ".staging"
_NAME_MAX_BYTES: Final = 200
_MEDIA_TYPE: Final = re.compile(r"[a-z0-9!#$&^_.+-]{1,64}/[a-z0-9!#$&^_.+-]{1,64}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class ObjectMissingError(NotFoundError):
    """There are no bytes under this id."""

    def __init__(self, file_id: str) -> None:
        message = f"The file {file_id} is not in the object store any more."
        super().__init__(message, [Detail(field="", message=message, code="file_missing")])


@dataclass(frozen=True, slots=True)
class FileValue:
    """A file as a value in a workflow: everything about it but the bytes."""

    id: str
    name: str
    media_type: str
    size_bytes: int
    sha256: str

    def to_json(self) -> JsonObject:
        """The form in which steps see it: `{"$file": {"id", "name", "media_type", "size", "sha256"}}`."""
        return {
            FILE_KEY: {
                "id": self.id,
                "name": self.name,
                "media_type": self.media_type,
                "size": self.size_bytes,
                "sha256": self.sha256,
            }
        }


def parse_file(value: JsonValue) -> FileValue:
    """The file that a JSON value is.

    Raises:
        ValidationError: the value is no file; code `file_invalid`. Nothing is said about whether its bytes exist.
    """
    facts = value.get(FILE_KEY) if isinstance(value, dict) and len(value) == 1 else None
    if isinstance(facts, dict):
        match facts:
            case {"id": str(id_), "name": str(name), "media_type": str(media_type), "size": int(size), "sha256": str(sha256)} if (
                len(facts) == 5 and is_id(id_, _PREFIX) and size >= 0 and _SHA256.fullmatch(sha256)
            ):
                return FileValue(id_, clean_name(name), clean_media_type(media_type), size, sha256)
            case _:
                pass
    message = 'This value is no file; a file is {"$file": {"id", "name", "media_type", "size", "sha256"}} as a step gave it.'
    raise ValidationError(message, [Detail(field="", message=message, code="file_invalid")])


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What the folder itself knows of a file."""

    id: str
    size_bytes: int
    stored_at_ms: int


class ObjectStore:
    """Files in a folder, under random ids; a file never changes once it is there.

    Bytes first: `put` returns only when they survive a power cut, so a journal that names a file never names a missing one. What
    nothing names (a crash in between) is found by age with `list_objects`. Methods block: call them from a thread where that matters.
    """

    def __init__(self, folder: Path, ids: IdSource) -> None:
        self._folder = folder
        self._ids = ids

    def create(self, *, name: str, media_type: str) -> "ObjectWriter":
        """A new file that is written piece by piece; use it as a context manager, see there."""
        return ObjectWriter(self._folder, self._ids.make_id(_PREFIX), name, media_type)

    def put_value(self, data: bytes) -> FileValue:
        """Keep a value of a journal, as JSON; its id (`value_…`) can stand in no file that a step hands on. Raises as `put`."""
        return self._put(self._ids.make_id(_VALUE_PREFIX), data, name="value.json", media_type="application/json")

    def put(self, data: bytes, *, name: str, media_type: str) -> FileValue:
        """Keep bytes under a new id. `name` loses folders and characters that no file system likes; it is for people only.

        Raises:
            StorageFullError: there is no room on the disk; nothing is kept.
            StorageError: the folder cannot be written to.
        """
        return self._put(self._ids.make_id(_PREFIX), data, name=name, media_type=media_type)

    def _put(self, file_id: str, data: bytes, *, name: str, media_type: str) -> FileValue:
        path = self._locate(file_id)
        staging = self._folder / _STAGING
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            staging.mkdir(mode=0o700, exist_ok=True)
            write_atomic(path, data, staging=staging)
        except OSError as fault:
            raise explain_os_error(fault, self._folder) from fault
        return FileValue(file_id, clean_name(name), clean_media_type(media_type), len(data), hashlib.sha256(data).hexdigest())

    def read(self, file_id: str) -> bytes:
        """All the bytes.

        Raises:
            InvalidIdError: the text is no id of a file.
            ObjectMissingError: there is none.
        """
        with self.open(file_id) as file:
            return file.read()

    def open(self, file_id: str) -> BinaryIO:
        """The bytes as a stream for reading, which the caller closes. Raises as `read`."""
        path = self._locate(file_id)
        try:
            return path.open("rb")
        except FileNotFoundError:
            raise ObjectMissingError(file_id) from None
        except OSError as fault:
            raise explain_os_error(fault, path) from fault

    def delete(self, file_id: str) -> None:
        """Remove the bytes; that they are gone already is fine.

        Raises:
            InvalidIdError: the text is no id of a file.
        """
        path = self._locate(file_id)
        try:
            path.unlink(missing_ok=True)
        except OSError as fault:
            raise explain_os_error(fault, path) from fault

    def list_values(self, *, stored_before_ms: int) -> Iterator[StoredObject]:
        """Values of journals that are older than a time; as `list_objects`."""
        return self._list(_VALUE_PREFIX, stored_before_ms)

    def list_objects(self, *, stored_before_ms: int | None = None) -> Iterator[StoredObject]:
        """Every file, or those that are older than a time, in no order. Times are the file system's.

        Raises:
            StorageError: the folder cannot be read.
        """
        return self._list(_PREFIX, stored_before_ms)

    def _list(self, prefix: str, stored_before_ms: int | None) -> Iterator[StoredObject]:
        try:
            yield from self._scan(prefix, stored_before_ms)
        except OSError as fault:
            raise explain_os_error(fault, self._folder) from fault

    def _scan(self, prefix: str, stored_before_ms: int | None) -> Iterator[StoredObject]:
        for shard in self._folder.glob("[0-9a-z][0-9a-z]"):
            for entry in os.scandir(shard):
                if not is_id(entry.name, prefix):
                    continue
                try:
                    facts = entry.stat()
                except FileNotFoundError:
                    continue  # another process has just deleted it
                stored_at_ms = facts.st_mtime_ns // 1_000_000
                if stored_before_ms is None or stored_at_ms < stored_before_ms:
                    yield StoredObject(entry.name, facts.st_size, stored_at_ms)

    def sweep_staging(self, *, stored_before_ms: int) -> int:
        """Remove what writes that were cut short left behind before a time; returns how many. Younger ones may still be written."""
        removed = 0
        for draft in (self._folder / _STAGING).glob(".draft-*"):
            # A write that ends just now takes its draft away.
            with suppress(FileNotFoundError):
                if draft.stat().st_mtime_ns // 1_000_000 < stored_before_ms:
                    draft.unlink()
                    removed += 1
        return removed

    def _locate(self, file_id: str) -> Path:
        parse_id(file_id, _VALUE_PREFIX if file_id.startswith(f"{_VALUE_PREFIX}_") else _PREFIX)
        return _locate(self._folder, file_id)


class ObjectWriter:
    """A file on its way into the store. It is there when `commit` returns; left without, the block takes away what was written.

    Methods block, and raise StorageFullError or StorageError.
    """

    def __init__(self, folder: Path, file_id: str, name: str, media_type: str) -> None:
        self._path = _locate(folder, file_id)
        self._staging = folder / _STAGING
        self._facts = (file_id, clean_name(name), clean_media_type(media_type))
        self._size_bytes = 0
        self._digest = hashlib.sha256()
        self._file: DraftFile | None = None

    def __enter__(self) -> Self:
        with self._explain():
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._staging.mkdir(mode=0o700, exist_ok=True)
            self._file = DraftFile(self._staging)
        return self

    def write(self, data: bytes | bytearray | memoryview) -> None:
        with self._explain():
            self._open_file.write(data)
        self._size_bytes += len(data)
        self._digest.update(data)

    @property
    def size_bytes(self) -> int:
        """What was written so far."""
        return self._size_bytes

    def commit(self) -> FileValue:
        """The file; it survives a power cut."""
        with self._explain():
            self._open_file.move_to(self._path)
        file_id, name, media_type = self._facts
        return FileValue(file_id, name, media_type, self._size_bytes, self._digest.hexdigest())

    def __exit__(self, *_error: object) -> None:
        self._open_file.discard()

    @property
    def _open_file(self) -> DraftFile:
        if self._file is None:
            raise InvariantError("A file is written inside its `with` block only.")
        return self._file

    @contextmanager
    def _explain(self) -> Generator[None]:
        try:
            yield
        except OSError as fault:
            raise explain_os_error(fault, self._staging.parent) from fault


def _locate(folder: Path, file_id: str) -> Path:
    # The last two characters are random, the first ones are time: folders fill evenly.
    return folder / file_id[-2:] / file_id


def clean_name(name: str) -> str:
    """A file name for people: the last part of a path, without control, format and reserved characters, at most 200 bytes."""
    last = re.split(r"[/\\]", name)[-1][:1_000]
    kept = "".join(
        char for char in unicodedata.normalize("NFC", last) if unicodedata.category(char)[0] != "C" and char not in '<>:"|?*'
    )
    kept = kept.strip(" .")
    while len(kept.encode()) > _NAME_MAX_BYTES:
        kept = kept[:-1]
    return kept or "file"


def clean_media_type(media_type: str) -> str:
    """`type/subtype` in lower case without parameters; `application/octet-stream` where it is none."""
    bare = media_type.partition(";")[0].strip().lower()
    return bare if _MEDIA_TYPE.fullmatch(bare) else "application/octet-stream"
