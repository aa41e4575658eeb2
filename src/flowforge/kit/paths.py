"""Files that workflows may touch: everything below a few named folders, and nothing else."""

import contextlib
import errno
import fnmatch
import os
import secrets
import stat
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from flowforge.kit.errors import RequestError

DRAFT_PREFIX: Final = ".draft-"
_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_WRITE_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_MODE: Final = 0o666
_FOLDER_MODE: Final = 0o777


class PathFault(StrEnum):
    """Error codes of file access; a step's error carries the same."""

    DENIED = "path_denied"
    ROOT_UNKNOWN = "root_unknown"
    MISSING = "file_missing"
    EXISTS = "file_exists"
    KIND = "file_kind"
    TOO_LARGE = "file_too_large"
    FULL = "storage_full"
    FAILED = "file_failed"


class PathError(RequestError):
    """The file cannot be used as asked."""

    def __init__(self, fault: PathFault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder as a listing shows it. `path` is relative to the root, with `/`; `size_bytes` is 0 for a folder."""

    path: str
    is_folder: bool
    size_bytes: int
    modified_at_ms: int


class FileRoots:
    """The configured roots, by name. Methods block: call them from a thread.

    A path is relative, of plain names joined by `/`. It is walked from the root's descriptor, folder by folder, and no link is followed
    on the way or at its end: neither `..`, nor an absolute path, nor a link, nor one that is put there during the walk, leads out.
    """

    def __init__(self, roots: Iterable[tuple[str, Path]]) -> None:
        self._roots = dict(roots)

    def names(self) -> list[str]:
        return sorted(self._roots)

    def read(self, root: str, path: str, *, max_bytes: int) -> bytes:
        """The bytes of a regular file.

        Raises:
            PathError: `path_denied`, `root_unknown`, `file_missing`, `file_kind` (a folder, pipe, device), `file_too_large`.
        """
        *folders, name = _split(path)
        with ExitStack() as stack, _explain(path):
            folder = self._open_folder(stack, root, folders, path)
            _refuse_link(folder, name, path)
            descriptor = os.open(name, _READ_FLAGS, dir_fd=folder)
            with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, no path
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise PathError(PathFault.KIND, f"{path!r} is no regular file; only those can be read.")
                data = file.read(max_bytes + 1)
        if len(data) > max_bytes:
            raise PathError(
                PathFault.TOO_LARGE, f"{path!r} is larger than {max_bytes} bytes; read it as a file value, or split it."
            )
        return data

    def write(self, root: str, path: str, data: bytes, *, replaces: bool) -> None:
        """Puts the bytes there whole or not at all, also after a power cut; folders on the way are made.

        Raises:
            PathError: as `read`; `file_exists` if there is one and `replaces` is false; `storage_full`.
        """
        *folders, name = _split(path)
        if name.startswith(DRAFT_PREFIX):
            raise PathError(PathFault.DENIED, f"{path!r} has a name that is kept for drafts; choose another.")
        with ExitStack() as stack, _explain(path):
            folder = self._open_folder(stack, root, folders, path, makes_missing=True)
            _refuse_link(folder, name, path)
            draft = _write_draft(folder, data)
            try:
                _move(folder, draft, name, replaces=replaces)
            except OSError:
                with contextlib.suppress(OSError):  # the fault that is told must not be hidden by the cleaning up
                    os.unlink(draft, dir_fd=folder)
                raise
            os.fsync(folder)

    def list_entries(self, root: str, path: str, *, pattern: str, is_recursive: bool, limit: int) -> list[Entry]:
        """What a folder holds, sorted by path; links, pipes and drafts are left out. `pattern` (`*.csv`) is held against names of files.

        With `is_recursive` files in folders below are listed too, and folders are not.

        Raises:
            PathError: as `read`; `file_too_large` if there are more than `limit`.
        """
        found: list[Entry] = []
        with ExitStack() as stack, _explain(path or root):
            folder = self._open_folder(stack, root, _split(path) if path else [], path)
            for entry in _walk(folder, path.rstrip("/"), is_recursive=is_recursive):
                if not entry.is_folder and not fnmatch.fnmatchcase(entry.path.rpartition("/")[2], pattern):
                    continue
                found.append(entry)
                if len(found) > limit:
                    raise PathError(
                        PathFault.TOO_LARGE, f"{path or root!r} holds more than {limit} files; list a smaller folder or pattern."
                    )
        return sorted(found, key=lambda entry: entry.path)

    def _open_folder(self, stack: ExitStack, root: str, folders: list[str], path: str, *, makes_missing: bool = False) -> int:
        location = self._roots.get(root)
        if location is None:
            known = ", ".join(self.names()) or "none"
            raise PathError(PathFault.ROOT_UNKNOWN, f"There is no file root {root!r}; known are {known}. FILE_ROOTS lists them.")
        descriptor = os.open(location, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, descriptor)
        for folder in folders:
            if makes_missing:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(folder, _FOLDER_MODE, dir_fd=descriptor)
            _refuse_link(descriptor, folder, path)
            descriptor = os.open(folder, _FOLDER_FLAGS, dir_fd=descriptor)
            stack.callback(os.close, descriptor)
        return descriptor


def _split(path: str) -> list[str]:
    parts = path.removesuffix("/").split("/")
    if "\0" in path or "\\" in path or any(part in {"", ".", ".."} for part in parts):
        raise PathError(
            PathFault.DENIED,
            f"{path!r} is no path below the root; write names joined by /, without .., empty parts and a leading /.",
        )
    return parts


def _refuse_link(folder: int, name: str, path: str) -> None:
    try:
        facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISLNK(facts.st_mode):
        raise PathError(PathFault.DENIED, f"{path!r} leads over a link, which is not followed; name the file itself.")


@contextlib.contextmanager
def _explain(path: str) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise _explain_os_error(error, path) from error


def _explain_os_error(error: OSError, path: str) -> PathError:
    match error.errno:
        case errno.ENOENT:
            return PathError(PathFault.MISSING, f"There is no {path!r}.")
        case errno.EEXIST | errno.ENOTEMPTY:
            return PathError(PathFault.EXISTS, f"There is a {path!r} already; replace it, or choose another name.")
        case errno.ELOOP:
            return PathError(PathFault.DENIED, f"{path!r} leads over a link, which is not followed; name the file itself.")
        case errno.ENOTDIR | errno.EISDIR | errno.ENXIO:
            return PathError(
                PathFault.KIND, f"{path!r} is, or leads through, something of another kind than asked for (file or folder)."
            )
        case errno.ENAMETOOLONG | errno.EINVAL | errno.EILSEQ:
            return PathError(PathFault.DENIED, f"{path[:80]!r} is no name that this disk can hold.")
        case errno.ENOSPC | errno.EDQUOT:
            return PathError(PathFault.FULL, f"There is no room left on the disk for {path!r}; free some space.")
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return PathError(PathFault.DENIED, f"{path!r} may not be used by this process ({error.strerror}).")
        case _:
            return PathError(PathFault.FAILED, f"{path!r} cannot be used: {error.strerror}.")


def _write_draft(folder: int, data: bytes) -> str:
    draft = f"{DRAFT_PREFIX}{secrets.token_hex(8)}"
    descriptor = os.open(draft, _WRITE_FLAGS, _FILE_MODE, dir_fd=folder)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, no path
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except OSError:
        os.unlink(draft, dir_fd=folder)
        raise
    return draft


def _move(folder: int, draft: str, name: str, *, replaces: bool) -> None:
    if replaces:
        os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
    else:
        os.link(draft, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        os.unlink(draft, dir_fd=folder)


def _walk(folder: int, prefix: str, *, is_recursive: bool) -> Iterator[Entry]:
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda found: found.name):
            facts = entry.stat(follow_symlinks=False)
            path = f"{prefix}/{entry.name}" if prefix else entry.name
            modified_at_ms = facts.st_mtime_ns // 1_000_000
            if stat.S_ISDIR(facts.st_mode) and is_recursive:
                yield from _walk_below(folder, entry.name, path)
            elif stat.S_ISDIR(facts.st_mode):
                yield Entry(path, is_folder=True, size_bytes=0, modified_at_ms=modified_at_ms)
            elif stat.S_ISREG(facts.st_mode) and not entry.name.startswith(DRAFT_PREFIX):
                yield Entry(path, is_folder=False, size_bytes=facts.st_size, modified_at_ms=modified_at_ms)


def _walk_below(parent: int, name: str, path: str) -> Iterator[Entry]:
    descriptor = os.open(name, _FOLDER_FLAGS, dir_fd=parent)
    try:
        yield from _walk(descriptor, path, is_recursive=True)
    finally:
        os.close(descriptor)
