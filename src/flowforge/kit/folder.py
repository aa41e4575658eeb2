"""The data folder: everything that one machine keeps, in one place that only its owner can read."""

import errno
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flowforge.kit.atomic import create_atomic
from flowforge.kit.errors import Detail, StorageError, StorageFullError

FOLDER_VERSION: Final = 1
"""Raised when the folder changes so that an older FlowForge would harm it; the database has migrations of its own."""

_SUBFOLDERS: Final = ("keys", "files", "vectors", "mail", "logs", "backups", "plugins", "run", "work")
_KNOWN: Final = frozenset(
    {*_SUBFOLDERS, "VERSION", "config.toml", "flowforge.db", "flowforge.db-wal", "flowforge.db-shm", "flowforge.db-journal"}
)
_FOLDER_MODE: Final = 0o700


class DataFolderInvalidError(StorageError):
    """The path is no folder, or a folder of something else."""


class DataFolderNewerError(StorageError):
    """The folder was written by a newer FlowForge."""


class DataFolderReadOnlyError(StorageError):
    """This process may not write there."""


@dataclass(frozen=True, slots=True)
class DataFolder:
    """The places in a data folder that `open_data_folder` has made sure of."""

    root: Path

    @property
    def database(self) -> Path:
        return self.root / "flowforge.db"

    @property
    def keyring(self) -> Path:
        return self.root / "keys" / "keyring.json"

    @property
    def files(self) -> Path:
        """The object store."""
        return self.root / "files"

    @property
    def work(self) -> Path:
        """The folder that workflows may use where FILE_ROOTS is not set."""
        return self.root / "work"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def mail(self) -> Path:
        """The outbox of mails while no mail server is set."""
        return self.root / "mail"

    @property
    def backups(self) -> Path:
        return self.root / "backups"

    @property
    def run(self) -> Path:
        """What lives no longer than a process: locks, addresses."""
        return self.root / "run"

    @property
    def config(self) -> Path:
        return self.root / "config.toml"


def open_data_folder(path: Path) -> DataFolder:
    """The data folder at `path`, made with mode 0700 where there is none. Several processes may do this at once.

    Raises:
        DataFolderInvalidError: the path is a file, or a folder with other things in it.
        DataFolderNewerError: its VERSION is above `FOLDER_VERSION`; nothing was changed.
        DataFolderReadOnlyError: it cannot be written to.
        StorageFullError: there is no room on the disk.
    """
    root = path.expanduser().absolute()
    try:
        _make_root(root)
        if not (root / "VERSION").exists():
            _adopt(root)
        _check_version(root)
        for name in _SUBFOLDERS:
            (root / name).mkdir(mode=_FOLDER_MODE, exist_ok=True)
        _try_to_write(root / "run")
    except OSError as fault:
        raise explain_os_error(fault, root) from fault
    return DataFolder(root)


def _make_root(root: Path) -> None:
    if root.exists() and not root.is_dir():
        raise _refuse(
            DataFolderInvalidError,
            f"{root} is a file, not a folder; name another data folder with --data.",
            "data_folder_invalid",
        )
    root.parent.mkdir(parents=True, exist_ok=True)
    root.mkdir(mode=_FOLDER_MODE, exist_ok=True)


def _adopt(root: Path) -> None:
    strangers = [entry.name for entry in root.iterdir() if entry.name not in _KNOWN and not entry.name.startswith(".draft-")]
    if strangers and not (root / "VERSION").exists():
        message = f"{root} holds other things ({min(strangers)}) and is no data folder; name an empty or new folder with --data."
        raise _refuse(DataFolderInvalidError, message, "data_folder_invalid")
    root.chmod(_FOLDER_MODE)
    create_atomic(root / "VERSION", f"{FOLDER_VERSION}\n".encode())


def _check_version(root: Path) -> None:
    text = (root / "VERSION").read_text("utf-8", errors="replace").strip()
    if not text.isascii() or not text.isdigit():
        message = f"The file VERSION in {root} holds {text[:20]!r} instead of a number; restore the folder from a backup."
        raise _refuse(DataFolderInvalidError, message, "data_folder_invalid")
    if int(text) > FOLDER_VERSION:
        message = (
            f"The data folder {root} was written by a newer FlowForge (folder version {text}, this one knows {FOLDER_VERSION}); "
            "install that version, or name another folder with --data."
        )
        raise _refuse(DataFolderNewerError, message, "data_folder_newer")


def _try_to_write(folder: Path) -> None:
    # Permission bits do not tell it all: the file system may be mounted read-only.
    probe = folder / f".draft-{secrets.token_hex(8)}"
    os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    probe.unlink()


def explain_os_error(fault: OSError, path: Path) -> StorageError:
    """The sentence for a fault of the file system at or below `path`, as the error that says who can mend it."""
    match fault.errno:
        case errno.ENOSPC | errno.EDQUOT:
            message = f"There is no room left on the disk of {path}; free some space and start again, nothing is lost."
            return _refuse(StorageFullError, message, "storage_full")
        case errno.EROFS | errno.EACCES | errno.EPERM:
            message = (
                f"{path} cannot be written to ({fault.strerror}); give its user the right, or name another folder with --data."
            )
            return _refuse(DataFolderReadOnlyError, message, "data_folder_read_only")
        case errno.ENOTDIR | errno.EEXIST:
            message = f"A part of the path {path} is a file, not a folder; name another data folder with --data."
            return _refuse(DataFolderInvalidError, message, "data_folder_invalid")
        case _:
            message = f"{path} cannot be used: {fault.strerror or fault}; check the disk."
            return _refuse(StorageError, message, "storage_failed")


def _refuse(kind: type[StorageError], message: str, code: str) -> StorageError:
    return kind(message, [Detail(field="", message=message, code=code)])
