"""Folders that are filled out of sight, and put in their place as a whole."""

import contextlib
import errno
import os
import stat
from contextlib import ExitStack
from enum import StrEnum
from typing import Self

from flowforge.kit.paths.entries import refuse_link, split_path
from flowforge.kit.paths.faults import PathError, PathFault, explain_os_error, explain_os_errors
from flowforge.kit.paths.moving import Place, rename_folder
from flowforge.kit.paths.trees import make_folder, remove_tree
from flowforge.kit.paths.writing import RootWriter, make_draft_name, open_below, open_writer


class FolderMode(StrEnum):
    """What becomes of a folder that is in the place already."""

    CREATE = "create"
    """It is an error."""
    REPLACE = "replace"
    """The new one takes its place, and all that it held is gone."""
    MERGE = "merge"
    """The new files are put into it, over those of the same name."""


class FolderWriter:
    """A folder that is being filled beside its place. Leaving the `with` block without `commit` removes it with all that it holds.

    Methods block, and raise PathError.
    """

    def __init__(self, place: Place, mode: FolderMode) -> None:
        self._stack = ExitStack()
        self._place = place
        self._mode = mode
        self._draft = make_draft_name()
        self._folder = make_folder(place.folder, self._draft)
        self._is_committed = False

    def keep_open(self, stack: ExitStack) -> None:
        """What is closed with the writer: the folders on the way."""
        self._stack = stack

    def create(self, path: str) -> RootWriter:
        """A writer for a file in the folder; folders on the way are made.

        Raises:
            PathError: `path_denied`, `file_exists`, `file_kind`.
        """
        *folders, name = split_path(path)
        with ExitStack() as stack, explain_os_errors(path):
            writer = open_writer(self._walk(stack, folders, path), name, path, replaces=False)
            writer.keep_open(stack.pop_all())
        return writer

    def make_folder(self, path: str) -> None:
        """Makes a folder in the folder, with those on the way; it may be there already."""
        with ExitStack() as stack, explain_os_errors(path):
            self._walk(stack, split_path(path), path)

    def commit(self) -> None:
        """Puts the folder in its place. What could stand in the way is looked at before the first file goes.

        Raises:
            PathError: `file_exists`, `file_kind`, `path_denied` (a link in the way).
        """
        place = self._place
        with explain_os_errors(place.path):
            there = refuse_link(place.folder, place.name, place.path)
            if there is not None and not stat.S_ISDIR(there.st_mode):
                raise PathError(PathFault.KIND, f"{place.path!r} is a file; a folder cannot take its place.")
            if there is None or self._mode is not FolderMode.MERGE:
                draft = Place(place.folder, self._draft, place.path, place.above)
                rename_folder(draft, place, replaces=self._mode is FolderMode.REPLACE)
                self._is_committed = True
            else:
                self._merge()
            os.fsync(place.folder)

    def _merge(self) -> None:
        with ExitStack() as stack:
            target = open_below(stack, self._place.folder, self._place.name, self._place.path, makes_missing=False)
            _check_merge(self._folder, target, self._place.path)
            _merge_folders(self._folder, target, self._place.path)

    def _walk(self, stack: ExitStack, folders: list[str], path: str) -> int:
        descriptor = self._folder
        for folder in folders:
            descriptor = open_below(stack, descriptor, folder, path, makes_missing=True)
        return descriptor

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        with self._stack:
            os.close(self._folder)
            if not self._is_committed:
                with contextlib.suppress(OSError):  # the fault that is told must not be hidden by the cleaning up
                    remove_tree(self._place.folder, self._draft)


def open_folder_writer(place: Place, mode: FolderMode) -> FolderWriter:
    """A writer for the place, whose folder must stay open as long.

    Raises:
        PathError: `file_exists`, `file_kind`, `path_denied` are told here already, before anything is written.
        OSError: the draft cannot be made.
    """
    there = refuse_link(place.folder, place.name, place.path)
    if there is not None and mode is FolderMode.CREATE:
        raise explain_os_error(FileExistsError(errno.EEXIST, "exists"), place.path)
    if there is not None and not stat.S_ISDIR(there.st_mode):
        raise PathError(PathFault.KIND, f"{place.path!r} is a file; a folder cannot take its place.")
    return FolderWriter(place, mode)


def _check_merge(source: int, target: int, path: str) -> None:
    for name in sorted(os.listdir(source)):
        below = f"{path}/{name}"
        there = refuse_link(target, name, below)
        if there is None:
            continue
        is_folder = stat.S_ISDIR(os.stat(name, dir_fd=source, follow_symlinks=False).st_mode)
        if stat.S_ISDIR(there.st_mode) != is_folder:
            raise PathError(PathFault.KIND, f"{below!r} is of another kind than what should go there (file or folder).")
        if is_folder:
            with ExitStack() as stack:
                inner = open_below(stack, source, name, below, makes_missing=False)
                _check_merge(inner, open_below(stack, target, name, below, makes_missing=False), below)


def _merge_folders(source: int, target: int, path: str) -> None:
    for name in sorted(os.listdir(source)):
        below = f"{path}/{name}"
        there = refuse_link(target, name, below)
        if there is not None and stat.S_ISDIR(there.st_mode):
            with ExitStack() as stack:
                inner = open_below(stack, source, name, below, makes_missing=False)
                _merge_folders(inner, open_below(stack, target, name, below, makes_missing=False), below)
        else:
            os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)
    os.fsync(target)
