"""Copying, moving and deleting below the roots, and files that are written piece by piece."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowforge.kit.paths import DRAFT_PREFIX, FileRoots, FolderMode, PathError, PathFault
from flowforge.kit.paths.entries import DEPTH_MAX

OTHER_DISK = Path("/dev/shm")  # a second file system that most machines have


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    (folder / "a" / "deep").mkdir(parents=True)
    (folder / "a" / "one.txt").write_text("1")
    (folder / "a" / "deep" / "two.txt").write_text("22")
    (tmp_path / "other").mkdir()
    (tmp_path / "canary").write_text("canary")
    return folder


@pytest.fixture
def roots(root: Path) -> FileRoots:
    return FileRoots([("work", root), ("other", root.parent / "other")])


def show(folder: Path) -> dict[str, str | None]:
    """Everything below a folder: text of files, None for folders."""
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_text() for path in folder.rglob("*") if path.exists()
    }


def list_names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


TREE: dict[str, str | None] = {"one.txt": "1", "deep": None, "deep/two.txt": "22"}


def fault_of(caught: pytest.ExceptionInfo[PathError]) -> PathFault:
    assert caught.value.message.endswith(".")
    return caught.value.fault


def test_a_file_written_in_pieces_is_there_at_the_commit(roots: FileRoots, root: Path):
    with roots.create("work", "new/x", replaces=False) as writer:
        writer.write(b"1")
        writer.write(b"2")
        assert not (root / "new" / "x").exists()
        writer.commit()
    assert writer.size_bytes == 2
    assert show(root / "new") == {"x": "12"}
    with roots.open("work", "new/x") as file:
        assert (file.read(1), file.read()) == (b"1", b"2")


def test_a_file_without_commit_leaves_nothing(roots: FileRoots, root: Path):
    with roots.create("work", "a/one.txt", replaces=True) as writer:
        writer.write(b"half")
    with pytest.raises(RuntimeError), roots.create("work", "a/new", replaces=True) as writer:
        raise RuntimeError
    assert show(root / "a") == TREE


def test_creating_tells_at_once_what_is_in_the_way(roots: FileRoots):
    for path, replaces, fault in (("a/one.txt", False, PathFault.EXISTS), ("a", True, PathFault.KIND)):
        with pytest.raises(PathError) as caught:
            roots.create("work", path, replaces=replaces)
        assert fault_of(caught) is fault


def test_creating_refuses_what_came_meanwhile(roots: FileRoots, root: Path):
    with roots.create("work", "x", replaces=False) as writer:
        (root / "x").write_text("first")
        with pytest.raises(PathError) as caught:
            writer.commit()
    assert fault_of(caught) is PathFault.EXISTS
    assert list_names(root) == ["a", "x"]
    assert (root / "x").read_text() == "first"


def test_no_descriptor_stays_open(roots: FileRoots):
    before = len(list(Path("/proc/self/fd").iterdir()))
    roots.write("work", "b/c", b"x", replaces=True)
    roots.copy(("work", "a"), ("other", "b"), replaces=True)
    roots.move(("work", "a"), ("other", "c"), replaces=True)
    roots.delete("other", "b", is_recursive=True)
    for path in ("b", "b/c/d", "../x"):
        with pytest.raises(PathError):
            roots.open("work", path)
        with pytest.raises(PathError):
            roots.create("work", path, replaces=False)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("is_move", [False, True])
def test_a_folder_goes_to_another_root(is_move: bool, roots: FileRoots, root: Path):
    (root / "a" / "one.txt").chmod(0o750)
    go = roots.move if is_move else roots.copy
    count = go(("work", "a"), ("other", "x/y"), replaces=False)
    assert (count.files, count.folders, count.size_bytes) == (2, 2, 3)
    assert show(root.parent / "other" / "x" / "y") == TREE
    assert (root.parent / "other" / "x" / "y" / "one.txt").stat().st_mode & 0o777 == 0o750
    assert (root / "a").exists() is not is_move


@pytest.mark.parametrize("is_move", [False, True])
@pytest.mark.parametrize("path", ["a", "a/one.txt"])
def test_what_is_there_is_replaced_or_refused(path: str, is_move: bool, roots: FileRoots, root: Path):
    there = root.parent / "other" / "there"
    if path == "a":
        there.mkdir()
        (there / "old").write_text("old")
    else:
        there.write_text("old")
    go = roots.move if is_move else roots.copy
    with pytest.raises(PathError) as caught:
        go(("work", path), ("other", "there"), replaces=False)
    assert fault_of(caught) is PathFault.EXISTS
    assert "old" in show(there.parent) or "there/old" in show(there.parent) or there.read_text() == "old"
    go(("work", path), ("other", "there"), replaces=True)
    assert (show(there) if path == "a" else there.read_text()) == (TREE if path == "a" else "1")
    assert list_names(there.parent) == ["there"]


@pytest.mark.parametrize("is_move", [False, True])
def test_a_folder_goes_neither_into_itself_nor_over_another_kind(is_move: bool, roots: FileRoots, root: Path):
    go = roots.move if is_move else roots.copy
    before = show(root)
    for source, target, fault in (
        ("a", "a/deep/x/y", PathFault.INSIDE),
        ("a", "a/one.txt", PathFault.INSIDE),
        ("a/deep", "a/one.txt", PathFault.KIND),
        ("a/one.txt", "a/deep", PathFault.KIND),
        ("none", "x", PathFault.MISSING),
        ("a", "../x", PathFault.DENIED),
        ("a", "/x", PathFault.DENIED),
    ):
        with pytest.raises(PathError) as caught:
            go(("work", source), ("work", target), replaces=True)
        assert fault_of(caught) is fault
    assert show(root) == before


def test_onto_itself_nothing_changes(roots: FileRoots, root: Path):
    before = show(root)
    roots.move(("work", "a"), ("work", "a"), replaces=False)
    roots.copy(("work", "a/one.txt"), ("work", "a/one.txt"), replaces=True)
    with pytest.raises(PathError) as caught:
        roots.copy(("work", "a"), ("work", "a"), replaces=True)
    assert fault_of(caught) is PathFault.INSIDE
    assert show(root) == before


def test_a_folder_does_not_replace_one_that_holds_it(roots: FileRoots, root: Path):
    before = show(root)
    for go in (roots.copy, roots.move):
        with pytest.raises(PathError) as caught:
            go(("work", "a/deep"), ("work", "a"), replaces=True)
        assert fault_of(caught) is PathFault.INSIDE
    assert show(root) == before


def test_a08_links_are_not_followed_when_copied_moved_or_deleted(roots: FileRoots, root: Path):
    (root / "a" / "out").symlink_to(root.parent / "canary")
    (root / "a" / "folder-out").symlink_to(root.parent)
    roots.copy(("work", "a"), ("work", "b"), replaces=False)
    assert show(root / "b") == TREE
    for path in ("a/out", "a/folder-out", "a/folder-out/canary"):
        for use in (
            lambda path=path: roots.delete("work", path, is_recursive=True),
            lambda path=path: roots.copy(("work", path), ("work", "c"), replaces=True),
            lambda path=path: roots.move(("work", path), ("work", "c"), replaces=True),
            lambda path=path: roots.copy(("work", "b/one.txt"), ("work", path), replaces=True),
            lambda path=path: roots.find("work", path),
            lambda path=path: roots.create_folder("work", path),
        ):
            with pytest.raises(PathError) as caught:
                use()
            assert fault_of(caught) is PathFault.DENIED
    count = roots.delete("work", "a", is_recursive=True)
    assert (count.files, count.folders) == (2, 2)
    assert (root.parent / "canary").read_text() == "canary"
    assert list_names(root) == ["b"]


@pytest.fixture
def far(root: Path) -> Iterator[FileRoots]:
    """Roots on two disks."""
    if not OTHER_DISK.is_dir() or OTHER_DISK.stat().st_dev == root.stat().st_dev:
        pytest.skip("this machine has one file system only")
    with tempfile.TemporaryDirectory(dir=OTHER_DISK) as folder:
        yield FileRoots([("work", root), ("far", Path(folder))])


def test_what_moves_to_another_disk_is_copied_and_then_gone(far: FileRoots, root: Path):
    far.move(("work", "a/one.txt"), ("far", "one"), replaces=False)
    assert far.read("far", "one", max_bytes=9) == b"1"
    count = far.move(("work", "a"), ("far", "b"), replaces=False)
    assert (count.files, count.folders) == (1, 2)
    assert far.read("far", "b/deep/two.txt", max_bytes=9) == b"22"
    assert list_names(root) == []


def test_a_link_does_not_get_lost_on_the_way_to_another_disk(far: FileRoots, root: Path):
    (root / "a" / "out").symlink_to("one.txt")
    with pytest.raises(PathError) as caught:
        far.move(("work", "a"), ("far", "b"), replaces=False)
    assert fault_of(caught) is PathFault.KIND
    assert (root / "a" / "one.txt").exists()
    assert far.list_entries("far", "", pattern="*", is_recursive=True, limit=9, shows_folders=True) == []


def test_deleting_asks_for_recursion(roots: FileRoots, root: Path):
    with pytest.raises(PathError) as caught:
        roots.delete("work", "a", is_recursive=False)
    assert fault_of(caught) is PathFault.NOT_EMPTY
    count = roots.delete("work", "a/one.txt", is_recursive=False)
    assert (count.files, count.folders, count.size_bytes) == (1, 0, 1)
    assert roots.create_folder("work", "empty")
    assert not roots.create_folder("work", "empty")
    assert roots.delete("work", "empty", is_recursive=False).folders == 1
    with pytest.raises(PathError) as caught:
        roots.delete("work", "empty", is_recursive=True)
    assert fault_of(caught) is PathFault.MISSING
    assert list_names(root) == ["a"]


def test_what_is_there_is_found(roots: FileRoots, root: Path):
    os.mkfifo(root / "pipe")
    found = roots.find("work", "a/one.txt")
    assert found is not None
    assert (found.path, found.is_folder, found.size_bytes) == ("a/one.txt", False, 1)
    folder = roots.find("work", "a/")
    assert folder is not None
    assert folder.is_folder
    assert [roots.find("work", path) for path in ("none", "none/x", "a/one.txt/x")] == [None, None, None]
    for path, fault in (("pipe", PathFault.KIND), ("../x", PathFault.DENIED)):
        with pytest.raises(PathError) as caught:
            roots.find("work", path)
        assert fault_of(caught) is fault


def test_a_tree_that_is_too_deep_is_refused_and_not_half_copied(roots: FileRoots, root: Path):
    (root / "a" / Path(*["x"] * (DEPTH_MAX + 2))).mkdir(parents=True)
    for use in (
        lambda: roots.copy(("work", "a"), ("other", "b"), replaces=False),
        lambda: roots.delete("work", "a", is_recursive=True),
        lambda: roots.list_entries("work", "", pattern="*", is_recursive=True, limit=9_999),
    ):
        with pytest.raises(PathError) as caught:
            use()
        assert fault_of(caught) is PathFault.TOO_LARGE
    assert list_names(root.parent / "other") == []
    assert (root / "a" / "one.txt").exists()


def test_drafts_are_out_of_reach(roots: FileRoots, root: Path):
    (root / f"{DRAFT_PREFIX}folder").mkdir()
    (root / f"{DRAFT_PREFIX}folder" / "x").write_text("half")
    assert [
        entry.path for entry in roots.list_entries("work", "", pattern="x", is_recursive=True, limit=9, shows_folders=True)
    ] == [
        "a",
        "a/deep",
    ]
    with pytest.raises(PathError) as caught:
        roots.open("work", f"{DRAFT_PREFIX}folder/x")
    assert fault_of(caught) is PathFault.DENIED


def fill(roots: FileRoots, path: str, mode: FolderMode, files: dict[str, bytes]) -> None:
    with roots.fill_folder("work", path, mode=mode) as writer:
        for name, data in files.items():
            with writer.create(name) as file:
                file.write(data)
                file.commit()
        writer.make_folder("empty/folder")
        writer.commit()


def test_a_folder_comes_into_its_place_as_a_whole(roots: FileRoots, root: Path):
    fill(roots, "new/b", FolderMode.CREATE, {"x/y": b"1", "z": b"2"})
    assert show(root / "new") == {"b": None, "b/x": None, "b/x/y": "1", "b/z": "2", "b/empty": None, "b/empty/folder": None}
    with pytest.raises(PathError) as caught:
        roots.fill_folder("work", "new/b", mode=FolderMode.CREATE)
    assert fault_of(caught) is PathFault.EXISTS
    fill(roots, "new/b", FolderMode.REPLACE, {"z": b"3"})
    assert show(root / "new" / "b") == {"z": "3", "empty": None, "empty/folder": None}


def test_files_are_merged_into_a_folder_or_none_is(roots: FileRoots, root: Path):
    fill(roots, "a", FolderMode.MERGE, {"deep/two.txt": b"new", "deep/three.txt": b"3"})
    tree = {**TREE, "deep/two.txt": "new", "deep/three.txt": "3", "empty": None, "empty/folder": None}
    assert show(root / "a") == tree
    for name in ("deep", "one.txt/x"):
        with pytest.raises(PathError) as caught:
            fill(roots, "a", FolderMode.MERGE, {"a-first": b"", name: b""})
        assert fault_of(caught) is PathFault.KIND
    (root / "a" / "out").symlink_to(root.parent)
    with pytest.raises(PathError) as caught:
        fill(roots, "a", FolderMode.MERGE, {"a-first": b"", "out/x": b""})
    assert fault_of(caught) is PathFault.DENIED
    assert show(root / "a").items() >= tree.items()
    assert list_names(root / "a") == ["deep", "empty", "one.txt", "out"]
    assert list_names(root) == ["a"]


def test_a_folder_without_commit_leaves_nothing(roots: FileRoots, root: Path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    with roots.fill_folder("work", "b", mode=FolderMode.CREATE) as writer:
        writer.make_folder("x")
    for path in ("../x", "/x", "x/../../y"):
        with pytest.raises(PathError), roots.fill_folder("work", "b", mode=FolderMode.CREATE) as writer:
            writer.create(path)
    assert list_names(root) == ["a"]
    assert len(list(Path("/proc/self/fd").iterdir())) == before
