"""Cases A08: files below the roots, and no way out."""

import os
import threading
from pathlib import Path

import pytest

from flowforge.kit.paths import DRAFT_PREFIX, FileRoots, PathError, PathFault


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The root `work`, beside a canary that nothing may reach."""
    (tmp_path / "canary").write_text("canary")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "canary").write_text("canary")
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def roots(root: Path) -> FileRoots:
    return FileRoots([("work", root), ("gone", root / "no-such-folder")])


def read(roots: FileRoots, path: str, max_bytes: int = 1_000) -> bytes:
    return roots.read("work", path, max_bytes=max_bytes)


def write(roots: FileRoots, path: str, data: bytes = b"new", *, replaces: bool = True) -> None:
    roots.write("work", path, data, replaces=replaces)


def list_paths(
    roots: FileRoots, path: str = "", pattern: str = "*", *, is_recursive: bool = False, limit: int = 100
) -> list[str]:
    return [entry.path for entry in roots.list_entries("work", path, pattern=pattern, is_recursive=is_recursive, limit=limit)]


def list_names(folder: Path) -> list[str]:
    """What is really there, drafts included."""
    return sorted(entry.name for entry in folder.iterdir())


ESCAPES = [
    "../canary",
    "..",
    ".",
    "./x",
    "a/../../canary",
    "a/..",
    "/etc/passwd",
    "//etc/passwd",
    "a//b",
    "",
    "/",
    "..\\canary",
    "a\\b",
    "C:\\x",
    "x\0.png",
    "../work/../canary",
]


@pytest.mark.parametrize("path", ESCAPES)
def test_a08_a_path_that_leads_out_is_denied(path: str, roots: FileRoots, root: Path):
    (root / "a").mkdir()
    for use in (read, write, list_paths):
        if use is list_paths and path == "":
            continue  # the root itself
        with pytest.raises(PathError) as caught:
            use(roots, path)
        assert caught.value.fault is PathFault.DENIED
    assert list_names(root.parent) == ["canary", "outside", "work"]
    assert (root.parent / "canary").read_text() == "canary"


def test_a08_a_link_is_not_followed_wherever_it_stands(roots: FileRoots, root: Path):
    (root / "file-out").symlink_to(root.parent / "canary")
    (root / "folder-out").symlink_to(root.parent / "outside")
    (root / "dangling").symlink_to(root.parent / "made-by-link")
    (root / "real").mkdir()
    (root / "inside").symlink_to(root / "real")
    for path in ("file-out", "folder-out/canary", "dangling", "inside/x", "folder-out"):
        for use in (read, write):
            with pytest.raises(PathError) as caught:
                use(roots, path)
            assert caught.value.fault is PathFault.DENIED, path
    with pytest.raises(PathError) as caught:
        list_paths(roots, "folder-out")
    assert caught.value.fault is PathFault.DENIED
    assert list_paths(roots, is_recursive=True) == []
    assert not (root.parent / "made-by-link").exists()
    assert (root.parent / "canary").read_text() == "canary"
    assert list_names(root.parent / "outside") == ["canary"]


def test_a08_a_folder_that_turns_into_a_link_during_the_walk_leads_nowhere(roots: FileRoots, root: Path):
    (root / "door").mkdir()
    (root / "door" / "canary").write_text("inside")
    (root / "away").symlink_to(root.parent / "outside")
    is_done = threading.Event()

    def swap() -> None:
        while not is_done.is_set():
            (root / "door").rename(root / "aside")
            (root / "away").rename(root / "door")
            (root / "door").rename(root / "away")
            (root / "aside").rename(root / "door")

    swapper = threading.Thread(target=swap)
    swapper.start()
    seen: set[bytes | PathFault] = set()
    try:
        for _ in range(2_000):
            try:
                seen.add(read(roots, "door/canary"))
            except PathError as error:
                seen.add(error.fault)
    finally:
        is_done.set()
        swapper.join()
    assert seen <= {b"inside", PathFault.DENIED, PathFault.KIND, PathFault.MISSING}


def test_a_file_is_written_whole_with_its_folders(roots: FileRoots, root: Path):
    write(roots, "a/b/c.txt", b"1")
    write(roots, "a/b/c.txt", b"22")
    assert read(roots, "a/b/c.txt") == b"22"
    assert list_names(root / "a" / "b") == ["c.txt"]


def test_creating_refuses_what_is_there(roots: FileRoots, root: Path):
    write(roots, "x", b"1", replaces=False)
    with pytest.raises(PathError) as caught:
        write(roots, "x", b"2", replaces=False)
    assert caught.value.fault is PathFault.EXISTS
    assert read(roots, "x") == b"1"
    assert list_names(root) == ["x"]


def test_a_failed_write_leaves_nothing_behind(roots: FileRoots, root: Path):
    (root / "folder").mkdir()
    with pytest.raises(PathError) as caught:
        write(roots, "folder")
    assert caught.value.fault is PathFault.KIND
    assert list_names(root) == ["folder"]


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("none", PathFault.MISSING),
        ("none/x", PathFault.MISSING),
        ("folder", PathFault.KIND),
        ("file/x", PathFault.KIND),
        ("pipe", PathFault.KIND),
        ("large", PathFault.TOO_LARGE),
        ("n" * 300, PathFault.DENIED),
    ],
)
def test_what_cannot_be_read_is_told(path: str, fault: PathFault, roots: FileRoots, root: Path):
    (root / "folder").mkdir()
    (root / "file").write_text("x")
    (root / "large").write_bytes(b"x" * 11)
    os.mkfifo(root / "pipe")
    with pytest.raises(PathError) as caught:
        read(roots, path, max_bytes=10)
    assert caught.value.fault is fault
    assert caught.value.message.endswith(".")


def test_a_file_of_just_the_limit_is_read(roots: FileRoots, root: Path):
    (root / "x").write_bytes(b"x" * 10)
    assert len(read(roots, "x", max_bytes=10)) == 10


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may do everything")
def test_a_file_without_rights_is_denied(roots: FileRoots, root: Path):
    (root / "x").write_text("x")
    (root / "x").chmod(0)
    with pytest.raises(PathError) as caught:
        read(roots, "x")
    assert caught.value.fault is PathFault.DENIED


def test_an_unknown_root_names_those_that_are_known(roots: FileRoots):
    with pytest.raises(PathError, match="gone, work") as caught:
        roots.read("other", "x", max_bytes=1)
    assert caught.value.fault is PathFault.ROOT_UNKNOWN
    with pytest.raises(PathError) as gone:
        roots.read("gone", "x", max_bytes=1)
    assert gone.value.fault is PathFault.MISSING


def test_drafts_are_neither_shown_nor_written(roots: FileRoots, root: Path):
    (root / f"{DRAFT_PREFIX}1").write_text("half")
    assert list_paths(roots) == []
    with pytest.raises(PathError):
        write(roots, f"{DRAFT_PREFIX}2")


def test_files_are_listed_in_order_and_by_pattern(roots: FileRoots, root: Path):
    for path in ("b.csv", "a.csv", "c.txt", "deep/er/d.csv", "deep/e.csv"):
        write(roots, path)
    os.mkfifo(root / "pipe")
    assert list_paths(roots) == ["a.csv", "b.csv", "c.txt", "deep"]
    assert list_paths(roots, pattern="*.csv") == ["a.csv", "b.csv", "deep"]
    assert list_paths(roots, pattern="*.csv", is_recursive=True) == ["a.csv", "b.csv", "deep/e.csv", "deep/er/d.csv"]
    assert list_paths(roots, "deep/", "?.csv") == ["deep/e.csv", "deep/er"]
    entry = roots.list_entries("work", "", pattern="a*", is_recursive=True, limit=9)[0]
    assert (entry.size_bytes, entry.is_folder) == (3, False)


def test_a_list_longer_than_asked_for_is_refused(roots: FileRoots):
    for name in "abc":
        write(roots, name)
    assert len(list_paths(roots, limit=3)) == 3
    with pytest.raises(PathError) as caught:
        list_paths(roots, limit=2)
    assert caught.value.fault is PathFault.TOO_LARGE
