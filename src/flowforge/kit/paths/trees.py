"""Whole folders: copying, and removing."""

import os
import shutil
import stat
from contextlib import ExitStack
from dataclasses import dataclass
from typing import BinaryIO, Final

from flowforge.kit.paths.entries import DRAFT_PREFIX, FOLDER_FLAGS, find_facts, open_regular, refuse_depth
from flowforge.kit.paths.faults import PathError, PathFault
from flowforge.kit.paths.writing import FOLDER_MODE, open_below, open_writer

_PIECE_BYTES: Final = 2**20


@dataclass(slots=True)
class TreeCount:
    """How much was copied, moved or deleted. `folders` counts the named folder itself; `size_bytes` is that of the files."""

    files: int = 0
    folders: int = 0
    size_bytes: int = 0


def copy_file(source: int, source_name: str, target: int, target_name: str, path: str, *, replaces: bool) -> int:
    """Copies a regular file, its permissions with it, from one open folder to another; its size in bytes.

    Raises:
        PathError: see `open_regular` and `open_writer`.
        OSError: the disk refuses.
    """
    with (
        open_binary(open_regular(source, source_name, path)) as file,
        open_writer(target, target_name, path, replaces=replaces) as writer,
    ):
        writer.set_mode(os.fstat(file.fileno()).st_mode)
        while piece := file.read(_PIECE_BYTES):
            writer.write(piece)
        writer.commit()
    return writer.size_bytes


def copy_tree(source: int, target: int, path: str, *, refuses_others: bool, depth: int = 0) -> TreeCount:
    """Copies what one open folder holds into another, empty one. Links, pipes, devices and drafts are left out.

    Raises:
        PathError: `file_kind` with `refuses_others`, where something would be left out; `file_too_large`, too deep; `storage_full`.
        OSError: the disk refuses.
    """
    refuse_depth(depth, path)
    count = TreeCount(folders=1)
    for name in sorted(os.listdir(source)):
        facts = find_facts(source, name)
        below = f"{path}/{name}"
        if facts is None or name.startswith(DRAFT_PREFIX):
            continue
        if stat.S_ISREG(facts.st_mode):
            count.size_bytes += copy_file(source, name, target, name, below, replaces=False)
            count.files += 1
        elif stat.S_ISDIR(facts.st_mode):
            with ExitStack() as stack:
                inner = open_below(stack, source, name, below, makes_missing=False)
                made = open_below(stack, target, name, below, makes_missing=True)
                _add(count, copy_tree(inner, made, below, refuses_others=refuses_others, depth=depth + 1))
        elif refuses_others:
            raise PathError(
                PathFault.KIND, f"{below!r} is a link, pipe or device, which cannot go to another disk; remove it first."
            )
    os.fsync(target)
    return count


def count_tree(folder: int, path: str, depth: int = 0) -> TreeCount:
    """What an open folder holds."""
    refuse_depth(depth, path)
    count = TreeCount(folders=1)
    for name in os.listdir(folder):
        facts = find_facts(folder, name)
        if facts is None:
            continue
        if stat.S_ISDIR(facts.st_mode):
            with ExitStack() as stack:
                inner = open_below(stack, folder, name, path, makes_missing=False)
                _add(count, count_tree(inner, f"{path}/{name}", depth + 1))
        elif stat.S_ISREG(facts.st_mode):
            count.files += 1
            count.size_bytes += facts.st_size
    return count


def remove_tree(parent: int, name: str) -> None:
    """Removes a folder with all that it holds. A link in it is removed, and not what it leads to.

    Raises:
        OSError: something could not be removed.
    """
    # Safe against links put there meanwhile, since the interpreter has descriptor-relative calls here.
    shutil.rmtree(name, dir_fd=parent)


def make_folder(parent: int, name: str) -> int:
    """A new folder in an open one, opened.

    Raises:
        OSError: there is something of that name, or the disk refuses.
    """
    os.mkdir(name, FOLDER_MODE, dir_fd=parent)
    return os.open(name, FOLDER_FLAGS, dir_fd=parent)


def open_binary(descriptor: int) -> BinaryIO:
    """A stream that closes the descriptor with itself."""
    return open(descriptor, "rb")


def _add(count: TreeCount, more: TreeCount) -> None:
    count.files += more.files
    count.folders += more.folders
    count.size_bytes += more.size_bytes
