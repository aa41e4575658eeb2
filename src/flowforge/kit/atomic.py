"""Files that are there whole or not at all, also after a power cut."""

import contextlib
import os
import secrets
from pathlib import Path
from typing import Final

_FILE_MODE: Final = 0o600


def write_atomic(path: Path, data: bytes, *, staging: Path | None = None) -> None:
    """Write `data` to a new file and move it to `path`, replacing what is there; on return it survives a power cut.

    `staging` is the folder of the new file, on the same file system (default: the folder of `path`). The mode is 0600.

    Raises:
        OSError: the disk is full, the folder read-only, or the like; `path` is as it was.
    """
    draft = DraftFile(staging or path.parent)
    try:
        draft.write(data)
        draft.move_to(path)
    finally:
        draft.discard()


def create_atomic(path: Path, data: bytes) -> bool:
    """As `write_atomic`, unless `path` exists: then False, and nothing is changed. Of several processes exactly one gets True."""
    draft = DraftFile(path.parent)
    try:
        draft.write(data)
        draft.sync()
        path.hardlink_to(draft.path)
    except FileExistsError:
        return False
    finally:
        draft.discard()
    sync_folder(path.parent)
    return True


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class DraftFile:
    """A new file in a folder, of mode 0600, that is written and then moved to its place. Methods raise OSError."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / f".draft-{secrets.token_hex(8)}"
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
        self._file = open(descriptor, "wb")  # noqa: PTH123, SIM115 (a descriptor, no path; closed by `discard`)
        self._is_moved = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._file.write(data)

    def sync(self) -> None:
        """What was written survives a power cut."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def move_to(self, path: Path) -> None:
        """Take the place of what is at `path`, which is on the same file system; on return that survives a power cut."""
        self.sync()
        self.path.replace(path)
        self._is_moved = True
        sync_folder(path.parent)

    def discard(self) -> None:
        """Close the file, and remove it where it was not moved."""
        # A draft that stays is swept later; the fault that is being told must not be hidden by it.
        with contextlib.suppress(OSError):
            self._file.close()
        if not self._is_moved:
            with contextlib.suppress(OSError):
                self.path.unlink()
