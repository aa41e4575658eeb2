"""Names, links and listings below an open folder."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from flowforge.kit.paths.faults import PathError, PathFault, refuse_over_link

DRAFT_PREFIX: Final = ".draft-"
"""Files and folders whose names begin so are being written; no listing shows them, and no path names them."""
DEPTH_MAX: Final = 100
"""Folders inside folders; each level keeps a descriptor open while a tree is walked."""
FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK

Inode = tuple[int, int]
"""Device and number: what a file or folder is, whatever it is called."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder as a listing shows it. `path` is relative to the root, with `/`; `size_bytes` is 0 for a folder."""

    path: str
    is_folder: bool
    size_bytes: int
    modified_at_ms: int


def split_path(path: str) -> list[str]:
    """The names that a path is made of.

    Raises:
        PathError: `path_denied` where it is no relative path of plain names.
    """
    parts = path.removesuffix("/").split("/")
    if "\0" in path or "\\" in path or any(part in {"", ".", ".."} for part in parts):
        raise PathError(
            PathFault.DENIED,
            f"{path!r} is no path below the root; write names joined by /, without .., empty parts and a leading /.",
        )
    if any(part.startswith(DRAFT_PREFIX) for part in parts):
        raise PathError(PathFault.DENIED, f"{path!r} has a name that is kept for drafts; choose another.")
    return parts


def find_facts(folder: int, name: str) -> os.stat_result | None:
    """What is known of a name in the folder, of a link itself; None where there is none."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def refuse_link(folder: int, name: str, path: str) -> os.stat_result | None:
    """As `find_facts`.

    Raises:
        PathError: `path_denied`, the name is a link.
    """
    facts = find_facts(folder, name)
    if facts is not None and stat.S_ISLNK(facts.st_mode):
        raise refuse_over_link(path)
    return facts


def open_regular(folder: int, name: str, path: str) -> int:
    """A descriptor for reading a regular file.

    Raises:
        PathError: `path_denied` (a link), `file_kind` (a folder, pipe, device).
        OSError: it cannot be opened.
    """
    refuse_link(folder, name, path)
    descriptor = os.open(name, _READ_FLAGS, dir_fd=folder)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise PathError(PathFault.KIND, f"{path!r} is no regular file; only those can be read.")


def make_entry(path: str, facts: os.stat_result) -> Entry | None:
    """The entry of a file or folder; None for a link, pipe, socket or device."""
    modified_at_ms = facts.st_mtime_ns // 1_000_000
    if stat.S_ISDIR(facts.st_mode):
        return Entry(path, is_folder=True, size_bytes=0, modified_at_ms=modified_at_ms)
    if stat.S_ISREG(facts.st_mode):
        return Entry(path, is_folder=False, size_bytes=facts.st_size, modified_at_ms=modified_at_ms)
    return None


def walk_folder(folder: int, prefix: str, *, is_recursive: bool, shows_folders: bool, depth: int = 0) -> Iterator[Entry]:
    """Files and folders in an open folder, by name; links, pipes, devices and drafts are left out.

    Raises:
        PathError: `file_too_large`, folders are nested deeper than DEPTH_MAX.
        OSError: the folder cannot be read.
    """
    refuse_depth(depth, prefix)
    with os.scandir(folder) as found:
        scanned = sorted(found, key=lambda one: one.name)
    for one in scanned:
        facts = find_facts(folder, one.name)
        path = f"{prefix}/{one.name}" if prefix else one.name
        entry = make_entry(path, facts) if facts is not None and not one.name.startswith(DRAFT_PREFIX) else None
        if entry is None:
            continue
        if shows_folders or not entry.is_folder:
            yield entry
        if entry.is_folder and is_recursive:
            yield from _walk_below(folder, one.name, path, shows_folders=shows_folders, depth=depth + 1)


def _walk_below(parent: int, name: str, path: str, *, shows_folders: bool, depth: int) -> Iterator[Entry]:
    descriptor = os.open(name, FOLDER_FLAGS, dir_fd=parent)
    try:
        yield from walk_folder(descriptor, path, is_recursive=True, shows_folders=shows_folders, depth=depth)
    finally:
        os.close(descriptor)


def refuse_depth(depth: int, path: str) -> None:
    if depth > DEPTH_MAX:
        raise PathError(PathFault.TOO_LARGE, f"{path[:200]!r} lies more than {DEPTH_MAX} folders deep; name a folder below.")
