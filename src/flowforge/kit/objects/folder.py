"""The object store's bytes in a folder, on this machine's disk or on one that all machines share."""

import errno
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from flowforge.kit.atomic import DraftFile, write_atomic
from flowforge.kit.errors import Detail, StorageError, StorageFullError
from flowforge.kit.folder import explain_os_error
from flowforge.kit.ids import is_id
from flowforge.kit.objects.shelf import StoredObject, place_of
from flowforge.kit.objects.values import ObjectMissingError

_STAGING: Final = ".staging"


class FolderShelf:
    """Files named by their ids, in subfolders. With `is_shared` the operator makes the folder: one that is not there is not mounted."""

    def __init__(self, folder: Path, *, is_shared: bool = False) -> None:
        self._folder = folder
        self._is_shared = is_shared

    def put(self, file_id: str, data: bytes) -> None:
        with self.explain():
            write_atomic(self._make_place(file_id), data, staging=self._folder / _STAGING)

    def begin(self, file_id: str) -> "_FolderDraft":
        with self.explain():
            return _FolderDraft(self, self._make_place(file_id), DraftFile(self._folder / _STAGING))

    def open(self, file_id: str) -> BinaryIO:
        with self.explain():
            self._look_for_mount()
            try:
                return self._find_place(file_id).open("rb")
            except FileNotFoundError:
                raise ObjectMissingError(file_id) from None

    def delete(self, file_id: str) -> None:
        with self.explain():
            self._look_for_mount()
            self._find_place(file_id).unlink(missing_ok=True)

    def scan(self, prefix: str) -> Iterator[StoredObject]:
        with self.explain():
            self._look_for_mount()
            for shard in self._folder.glob("[0-9a-z][0-9a-z]"):
                yield from _scan_shard(shard, prefix)

    def sweep(self, *, stored_before_ms: int) -> int:
        with self.explain():
            drafts = (self._folder / _STAGING).glob(".draft-*")
            return sum(_remove_older(draft, stored_before_ms) for draft in drafts)

    def _find_place(self, file_id: str) -> Path:
        return self._folder.joinpath(*place_of(file_id))

    def _make_place(self, file_id: str) -> Path:
        self._look_for_mount()
        path = self._find_place(file_id)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._folder / _STAGING).mkdir(mode=0o700, exist_ok=True)
        return path

    def _look_for_mount(self) -> None:
        if self._is_shared and not self._folder.is_dir():
            raise OSError(errno.ENOENT, "there is no such folder")

    @contextmanager
    def explain(self) -> Generator[None]:
        """Raises StorageError or StorageFullError for an OSError in the block."""
        try:
            yield
        except OSError as fault:
            raise self._describe(fault) from fault

    def _describe(self, fault: OSError) -> StorageError:
        said = explain_os_error(fault, self._folder)
        if not self._is_shared or isinstance(said, StorageFullError):
            return said
        message = (
            f"The shared folder of files {self._folder} cannot be used ({fault.strerror or fault}); look whether it is mounted here, and "
            "whether FlowForge's user may write there."
        )
        return StorageError(message, [Detail(field="OBJECT_STORE_URL", message=message, code="storage_failed")])


class _FolderDraft:
    def __init__(self, shelf: FolderShelf, path: Path, file: DraftFile) -> None:
        self._shelf = shelf
        self._path = path
        self._file = file

    def write(self, data: bytes | bytearray | memoryview) -> None:
        with self._shelf.explain():
            self._file.write(data)

    def commit(self) -> None:
        with self._shelf.explain():
            self._file.move_to(self._path)

    def discard(self) -> None:
        self._file.discard()


def _scan_shard(shard: Path, prefix: str) -> Iterator[StoredObject]:
    for entry in os.scandir(shard):
        if not is_id(entry.name, prefix):
            continue
        try:
            facts = entry.stat()
        except FileNotFoundError:
            continue  # another process has just deleted it
        yield StoredObject(entry.name, facts.st_size, facts.st_mtime_ns // 1_000_000)


def _remove_older(draft: Path, stored_before_ms: int) -> bool:
    # A write that ends just now takes its draft away.
    with suppress(FileNotFoundError):
        if draft.stat().st_mtime_ns // 1_000_000 < stored_before_ms:
            draft.unlink()
            return True
    return False
