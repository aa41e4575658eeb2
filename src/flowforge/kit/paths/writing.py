"""Files that are put below a root whole or not at all."""

import contextlib
import errno
import os
import secrets
import stat
from contextlib import ExitStack
from types import TracebackType
from typing import BinaryIO, Final, Self

from flowforge.kit.paths.entries import DRAFT_PREFIX, FOLDER_FLAGS, refuse_link
from flowforge.kit.paths.faults import PathError, PathFault, explain_os_error, explain_os_errors

_WRITE_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_MODE: Final = 0o666
FOLDER_MODE: Final = 0o777


def make_draft_name() -> str:
    return f"{DRAFT_PREFIX}{secrets.token_hex(8)}"


class RootWriter:
    """A file that is being written beside its place. Leaving the `with` block without `commit` removes it.

    Methods block, and raise PathError: `storage_full`, `file_failed`, and for `commit` also `file_exists` and `file_kind`.
    """

    def __init__(self, folder: int, name: str, path: str, *, replaces: bool) -> None:
        self._stack = ExitStack()
        self._folder = folder
        self._name = name
        self._path = path
        self._replaces = replaces
        self._draft = make_draft_name()
        self._file: BinaryIO = open(  # noqa: SIM115, PTH123 - a descriptor, no path, closed with the writer
            os.open(self._draft, _WRITE_FLAGS, _FILE_MODE, dir_fd=folder), "wb"
        )
        self._is_committed = False
        self.size_bytes = 0

    def keep_open(self, stack: ExitStack) -> None:
        """What is closed with the writer: the folders on the way."""
        self._stack = stack

    def write(self, data: bytes) -> None:
        with explain_os_errors(self._path):
            self._file.write(data)
        self.size_bytes += len(data)

    def set_mode(self, mode: int) -> None:
        """Gives the file the permissions of another; bits above rwxrwxrwx are left out."""
        with explain_os_errors(self._path):
            os.fchmod(self._file.fileno(), stat.S_IMODE(mode) & 0o777)

    def commit(self) -> None:
        """Puts the file in its place; when this returns, it survives a power cut."""
        with explain_os_errors(self._path):
            self._file.flush()
            os.fsync(self._file.fileno())
            if self._replaces:
                os.rename(self._draft, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            else:
                os.link(self._draft, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder, follow_symlinks=False)
                os.unlink(self._draft, dir_fd=self._folder)
            self._is_committed = True
            os.fsync(self._folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        # The fault that is told must not be hidden by the cleaning up; closing writes what is buffered, which may find the disk full.
        with self._stack, contextlib.suppress(OSError):
            try:
                self._file.close()
            finally:
                if not self._is_committed:
                    os.unlink(self._draft, dir_fd=self._folder)


def open_writer(folder: int, name: str, path: str, *, replaces: bool) -> RootWriter:
    """A writer for a name in the open folder, which must stay open as long.

    Raises:
        PathError: `path_denied`, `file_exists`, `file_kind` are told here already, before anything is written.
        OSError: the draft cannot be made.
    """
    facts = refuse_link(folder, name, path)
    if facts is not None and not replaces:
        raise explain_os_error(FileExistsError(errno.EEXIST, "exists"), path)
    if facts is not None and stat.S_ISDIR(facts.st_mode):
        raise PathError(PathFault.KIND, f"{path!r} is a folder; a file cannot take its place.")
    return RootWriter(folder, name, path, replaces=replaces)


def open_below(stack: ExitStack, parent: int, name: str, path: str, *, makes_missing: bool) -> int:
    """The folder of that name in an open one, kept open by the stack.

    Raises:
        PathError: `path_denied`, it is a link.
        OSError: it cannot be opened.
    """
    if makes_missing:
        with contextlib.suppress(FileExistsError):  # the one that is there will do
            os.mkdir(name, FOLDER_MODE, dir_fd=parent)
    refuse_link(parent, name, path)
    descriptor = os.open(name, FOLDER_FLAGS, dir_fd=parent)
    stack.callback(os.close, descriptor)
    return descriptor
