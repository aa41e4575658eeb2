"""The configured roots, and all that can be done below them."""

import errno
import fnmatch
import os
import stat
from collections.abc import Generator, Iterable
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from flowforge.kit.paths.entries import Entry, make_entry, open_regular, refuse_link, split_path, walk_folder
from flowforge.kit.paths.faults import PathError, PathFault, explain_os_errors
from flowforge.kit.paths.folders import FolderMode, FolderWriter, open_folder_writer
from flowforge.kit.paths.moving import (
    Place,
    check_goal,
    copy_folder,
    identify,
    move_by_copying,
    refuse_inside,
    remove_empty,
    remove_folder,
    rename,
    require,
)
from flowforge.kit.paths.trees import TreeCount, copy_file, count_tree, open_binary
from flowforge.kit.paths.writing import RootWriter, open_below, open_writer


class FileRoots:
    """The configured roots, by name. Methods block: call them from a thread.

    A path is relative, of plain names joined by `/`. It is walked from the root's descriptor, folder by folder, and no link is followed
    on the way or at its end: neither `..`, nor an absolute path, nor a link, nor one that is put there during the walk, leads out.

    Every method raises PathError: `path_denied`, `root_unknown`, `file_missing`, `file_kind`, `file_failed`; what more is told there.
    """

    def __init__(self, roots: Iterable[tuple[str, Path]]) -> None:
        self._roots = dict(roots)

    def names(self) -> list[str]:
        return sorted(self._roots)

    def open(self, root: str, path: str) -> BinaryIO:
        """A regular file as a stream for reading, which the caller closes. Reading itself may raise OSError."""
        with ExitStack() as stack, explain_os_errors(path):
            place = self._walk_to(stack, root, path)
            return open_binary(open_regular(place.folder, place.name, path))

    def create(self, root: str, path: str, *, replaces: bool) -> RootWriter:
        """A writer for a file that is there whole or not at all, also after a power cut; folders on the way are made, and stay.

        Raises:
            PathError: `file_exists` if there is one and `replaces` is false; `file_kind` if there is a folder.
        """
        with ExitStack() as stack, explain_os_errors(path):
            place = self._walk_to(stack, root, path, makes_missing=True)
            writer = open_writer(place.folder, place.name, path, replaces=replaces)
            writer.keep_open(stack.pop_all())
        return writer

    def read(self, root: str, path: str, *, max_bytes: int) -> bytes:
        """The bytes of a regular file.

        Raises:
            PathError: `file_too_large`.
        """
        with self.open(root, path) as file, explain_os_errors(path):
            data = file.read(max_bytes + 1)
        if len(data) > max_bytes:
            raise PathError(
                PathFault.TOO_LARGE, f"{path!r} is larger than {max_bytes} bytes; read it as a file value, or split it."
            )
        return data

    def write(self, root: str, path: str, data: bytes, *, replaces: bool) -> None:
        """Puts the bytes there whole or not at all. Raises as `create`, and PathError with `storage_full`."""
        with self.create(root, path, replaces=replaces) as writer:
            writer.write(data)
            writer.commit()

    def find(self, root: str, path: str) -> Entry | None:
        """What is known of a file or folder; None where there is none, or no folder that could hold it.

        Raises:
            PathError: `file_kind` for a pipe, socket or device.
        """
        with ExitStack() as stack, explain_os_errors(path):
            try:
                place = self._walk_to(stack, root, path)
            except (FileNotFoundError, NotADirectoryError):
                self._open_root(stack, root)
                return None
            facts = refuse_link(place.folder, place.name, path)
        if facts is None:
            return None
        entry = make_entry(path.rstrip("/"), facts)
        if entry is None:
            raise PathError(PathFault.KIND, f"{path!r} is neither a file nor a folder.")
        return entry

    @contextmanager
    def hold_folder(self, root: str, path: str, *, makes_missing: bool = False) -> Generator[tuple[int, str]]:
        """The descriptor of the folder that a file is or will be in, and the file's name, for a library that opens files itself.

        The descriptor is open inside the block. Whether the name is a link is for the caller to look at.
        """
        with ExitStack() as stack, explain_os_errors(path):
            place = self._walk_to(stack, root, path, makes_missing=makes_missing)
            yield place.folder, place.name

    def list_entries(
        self, root: str, path: str, *, pattern: str, is_recursive: bool, limit: int, shows_folders: bool | None = None
    ) -> list[Entry]:
        """What a folder holds, sorted by path; links, pipes and drafts are left out. `pattern` (`*.csv`) is held against names of files.

        With `is_recursive` files in folders below are listed too, and folders are not, unless `shows_folders` says so.

        Raises:
            PathError: `file_too_large` if there are more than `limit`, or folders nest too deep.
        """
        found: list[Entry] = []
        shows = not is_recursive if shows_folders is None else shows_folders
        with ExitStack() as stack, explain_os_errors(path or root):
            folder = self._open_root(stack, root)
            for name in split_path(path) if path else []:
                folder = open_below(stack, folder, name, path, makes_missing=False)
            for entry in walk_folder(folder, path.rstrip("/"), is_recursive=is_recursive, shows_folders=shows):
                if not entry.is_folder and not fnmatch.fnmatchcase(entry.path.rpartition("/")[2], pattern):
                    continue
                found.append(entry)
                if len(found) > limit:
                    raise PathError(
                        PathFault.TOO_LARGE, f"{path or root!r} holds more than {limit} files; list a smaller folder or pattern."
                    )
        return sorted(found, key=lambda entry: entry.path)

    def create_folder(self, root: str, path: str) -> bool:
        """Makes a folder, and those on the way; whether it was not there before."""
        with ExitStack() as stack, explain_os_errors(path):
            place = self._walk_to(stack, root, path, makes_missing=True)
            is_new = refuse_link(place.folder, place.name, path) is None
            open_below(stack, place.folder, place.name, path, makes_missing=True)
            os.fsync(place.folder)
        return is_new

    def fill_folder(self, root: str, path: str, *, mode: FolderMode) -> FolderWriter:
        """A writer for a folder that comes into its place as a whole; folders on the way are made, and stay. Raises as `copy`."""
        with ExitStack() as stack, explain_os_errors(path):
            place = self._walk_to(stack, root, path, makes_missing=True)
            writer = open_folder_writer(place, mode)
            writer.keep_open(stack.pop_all())
        return writer

    def delete(self, root: str, path: str, *, is_recursive: bool) -> TreeCount:
        """Removes a file, or a folder: an empty one, or with `is_recursive` any.

        Links in the folder are removed, and not followed. The folder goes out of sight at once; what it holds is removed after that.

        Raises:
            PathError: `folder_not_empty`.
        """
        with ExitStack() as stack, explain_os_errors(path):
            place = self._walk_to(stack, root, path)
            facts = require(place)
            if not stat.S_ISDIR(facts.st_mode):
                os.unlink(place.name, dir_fd=place.folder)
                count = TreeCount(files=1, size_bytes=facts.st_size)
            elif is_recursive:
                inner = open_below(stack, place.folder, place.name, path, makes_missing=False)
                count = count_tree(inner, path)
                remove_folder(place)
            else:
                count = TreeCount(folders=1)
                remove_empty(place)
            os.fsync(place.folder)
        return count

    def copy(self, source: tuple[str, str], target: tuple[str, str], *, replaces: bool) -> TreeCount:
        """Copies a file or a folder, each given as (root, path), whole or not at all; folders on the way are made.

        Links, pipes and devices in the folder are left out. With `replaces` a file takes the place of a file and a folder that of a
        folder, whose old content is gone.

        Raises:
            PathError: `file_exists`, `path_inside` (a folder into itself), `storage_full`, `file_too_large` (nested too deep).
        """
        with ExitStack() as stack, explain_os_errors(target[1]):
            origin, goal = self._open_both(stack, source, target)
            facts = require(origin)
            if not stat.S_ISDIR(facts.st_mode):
                size_bytes = copy_file(origin.folder, origin.name, goal.folder, goal.name, goal.path, replaces=replaces)
                return TreeCount(files=1, size_bytes=size_bytes)
            check_goal(origin, facts, goal, replaces=replaces)
            return copy_folder(stack, origin, goal, replaces=replaces, refuses_others=False)

    def move(self, source: tuple[str, str], target: tuple[str, str], *, replaces: bool) -> TreeCount:
        """Moves a file or a folder, each given as (root, path); folders on the way are made. On one disk it is a change of name.

        To another disk it is copied first, and deleted then. With `replaces` as `copy`.

        Raises:
            PathError: as `copy`; `file_kind` if a folder with links in it should go to another disk.
        """
        with ExitStack() as stack, explain_os_errors(target[1]):
            origin, goal = self._open_both(stack, source, target)
            facts = require(origin)
            if (origin.above[-1], origin.name) == (goal.above[-1], goal.name):
                return self._count(stack, origin, facts)
            check_goal(origin, facts, goal, replaces=replaces)
            count = self._count(stack, origin, facts)
            try:
                rename(origin, goal, is_folder=stat.S_ISDIR(facts.st_mode), replaces=replaces)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                count = move_by_copying(stack, origin, goal, facts, replaces=replaces)
            os.fsync(goal.folder)
            os.fsync(origin.folder)
        return count

    def _open_both(self, stack: ExitStack, source: tuple[str, str], target: tuple[str, str]) -> tuple[Place, Place]:
        with explain_os_errors(source[1]):
            origin = self._walk_to(stack, *source)
            facts = require(origin)
        if stat.S_ISDIR(facts.st_mode) and source[0] == target[0] and target[1].startswith(f"{source[1].rstrip('/')}/"):
            raise refuse_inside(target[1])  # before folders on the way are made in it
        return origin, self._walk_to(stack, *target, makes_missing=True)

    def _count(self, stack: ExitStack, place: Place, facts: os.stat_result) -> TreeCount:
        if not stat.S_ISDIR(facts.st_mode):
            return TreeCount(files=1, size_bytes=facts.st_size)
        return count_tree(open_below(stack, place.folder, place.name, place.path, makes_missing=False), place.path)

    def _walk_to(self, stack: ExitStack, root: str, path: str, *, makes_missing: bool = False) -> Place:
        *folders, name = split_path(path)
        descriptor = self._open_root(stack, root)
        above = [identify(os.fstat(descriptor))]
        for folder in folders:
            descriptor = open_below(stack, descriptor, folder, path, makes_missing=makes_missing)
            above.append(identify(os.fstat(descriptor)))
        return Place(descriptor, name, path, tuple(above))

    def _open_root(self, stack: ExitStack, root: str) -> int:
        location = self._roots.get(root)
        if location is None:
            known = ", ".join(self.names()) or "none"
            raise PathError(PathFault.ROOT_UNKNOWN, f"There is no file root {root!r}; known are {known}. FILE_ROOTS lists them.")
        descriptor = os.open(location, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, descriptor)
        return descriptor
