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
    draft = _write_draft(staging or path.parent, data)
    try:
        draft.replace(path)
    except OSError:
        _remove_draft(draft)
        raise
    sync_folder(path.parent)


def create_atomic(path: Path, data: bytes) -> bool:
    """As `write_atomic`, unless `path` exists: then False, and nothing is changed. Of several processes exactly one gets True."""
    draft = _write_draft(path.parent, data)
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        return False
    finally:
        _remove_draft(draft)
    sync_folder(path.parent)
    return True


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_draft(folder: Path, data: bytes) -> Path:
    draft = folder / f".draft-{secrets.token_hex(8)}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 (a descriptor, no path)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except OSError:
        _remove_draft(draft)
        raise
    return draft


def _remove_draft(draft: Path) -> None:
    # A draft that stays is swept later; the fault that is being told must not be hidden by it.
    with contextlib.suppress(OSError):
        draft.unlink()
