"""Putting files and folders in another place, between folders that are open."""

import contextlib
import errno
import os
import stat
from contextlib import ExitStack
from dataclasses import dataclass

from flowforge.kit.paths.entries import Inode, refuse_link
from flowforge.kit.paths.faults import PathError, PathFault, explain_os_error
from flowforge.kit.paths.trees import TreeCount, copy_file, copy_tree, make_folder, remove_tree
from flowforge.kit.paths.writing import make_draft_name, open_below


@dataclass(frozen=True, slots=True)
class Place:
    """A name in an open folder. `above` are the folders on the way, from the root on."""

    folder: int
    name: str
    path: str
    above: tuple[Inode, ...]


def identify(facts: os.stat_result) -> Inode:
    return facts.st_dev, facts.st_ino


def require(place: Place) -> os.stat_result:
    """The facts of a file or folder.

    Raises:
        PathError: `file_missing`, `path_denied` (a link), `file_kind` (a pipe, socket, device).
    """
    facts = refuse_link(place.folder, place.name, place.path)
    if facts is None:
        raise PathError(PathFault.MISSING, f"There is no {place.path!r}.")
    if not stat.S_ISDIR(facts.st_mode) and not stat.S_ISREG(facts.st_mode):
        raise PathError(PathFault.KIND, f"{place.path!r} is neither a file nor a folder.")
    return facts


def check_goal(origin: Place, source: os.stat_result, goal: Place, *, replaces: bool) -> None:
    if identify(source) in goal.above:
        raise refuse_inside(goal.path)
    there = refuse_link(goal.folder, goal.name, goal.path)
    if there is None:
        return
    if not replaces:
        raise explain_os_error(FileExistsError(errno.EEXIST, "exists"), goal.path)
    if stat.S_ISDIR(there.st_mode) != stat.S_ISDIR(source.st_mode):
        raise PathError(
            PathFault.KIND, f"{goal.path!r} is of another kind than what should take its place (file or folder); delete it first."
        )
    if stat.S_ISDIR(there.st_mode) and identify(there) in (*origin.above, identify(source)):
        raise PathError(PathFault.INSIDE, f"{goal.path!r} is, or holds, the folder that should go there; choose another place.")


def refuse_inside(path: str) -> PathError:
    return PathError(PathFault.INSIDE, f"{path!r} lies inside the folder that should go there; choose a place outside.")


def copy_folder(stack: ExitStack, origin: Place, goal: Place, *, replaces: bool, refuses_others: bool) -> TreeCount:
    inner = open_below(stack, origin.folder, origin.name, origin.path, makes_missing=False)
    draft = make_draft_name()
    made = make_folder(goal.folder, draft)
    try:
        count = copy_tree(inner, made, goal.path, refuses_others=refuses_others)
        os.fchmod(made, stat.S_IMODE(os.fstat(inner).st_mode) & 0o777)
        rename(Place(goal.folder, draft, goal.path, goal.above), goal, is_folder=True, replaces=replaces)
    except (OSError, PathError):
        with contextlib.suppress(OSError):  # the fault that is told must not be hidden by the cleaning up
            remove_tree(goal.folder, draft)
        raise
    finally:
        os.close(made)
    os.fsync(goal.folder)
    return count


def move_by_copying(stack: ExitStack, origin: Place, goal: Place, facts: os.stat_result, *, replaces: bool) -> TreeCount:
    if not stat.S_ISDIR(facts.st_mode):
        size_bytes = copy_file(origin.folder, origin.name, goal.folder, goal.name, goal.path, replaces=replaces)
        os.unlink(origin.name, dir_fd=origin.folder)
        return TreeCount(files=1, size_bytes=size_bytes)
    count = copy_folder(stack, origin, goal, replaces=replaces, refuses_others=True)
    remove_folder(origin)
    return count


def rename(origin: Place, goal: Place, *, is_folder: bool, replaces: bool) -> None:
    names = (origin.name, goal.name)
    if not is_folder and not replaces:
        os.link(*names, src_dir_fd=origin.folder, dst_dir_fd=goal.folder, follow_symlinks=False)
        os.unlink(origin.name, dir_fd=origin.folder)
    elif not is_folder:
        os.rename(*names, src_dir_fd=origin.folder, dst_dir_fd=goal.folder)
    else:
        rename_folder(origin, goal, replaces=replaces)


def rename_folder(origin: Place, goal: Place, *, replaces: bool) -> None:
    """A folder can take the place of an empty folder only: an old one steps aside, or an empty one, made here, holds the place."""
    aside = make_draft_name()
    try:
        os.mkdir(goal.name, dir_fd=goal.folder)
    except FileExistsError:
        if not replaces:
            raise
        os.rename(goal.name, aside, src_dir_fd=goal.folder, dst_dir_fd=goal.folder)
    try:
        os.rename(origin.name, goal.name, src_dir_fd=origin.folder, dst_dir_fd=goal.folder)
    except OSError:
        with contextlib.suppress(OSError):  # an empty folder was made, or an old one stepped aside
            os.rmdir(goal.name, dir_fd=goal.folder)
        with contextlib.suppress(OSError):
            os.rename(aside, goal.name, src_dir_fd=goal.folder, dst_dir_fd=goal.folder)
        raise
    with contextlib.suppress(FileNotFoundError):  # nothing stepped aside
        remove_tree(goal.folder, aside)


def remove_folder(place: Place) -> None:
    aside = make_draft_name()
    os.rename(place.name, aside, src_dir_fd=place.folder, dst_dir_fd=place.folder)
    remove_tree(place.folder, aside)


def remove_empty(place: Place) -> None:
    try:
        os.rmdir(place.name, dir_fd=place.folder)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
        raise PathError(PathFault.NOT_EMPTY, f"The folder {place.path!r} is not empty; set `recursive` to delete it.") from error
