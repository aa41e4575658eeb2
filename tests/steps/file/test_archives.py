"""Packing and unpacking: what goes in comes out."""

import contextlib
import io
import os
import tempfile
import zipfile
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.attempts import Attempts, call, make_services, refuse

from flowforge.kit.archives import ArchiveError, check_names, fold_path
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import Operation
from flowforge.operations.calling import InvalidParametersError, validate_parameters
from flowforge.steps.file.checksum import checksum
from flowforge.steps.file.gunzip import gunzip
from flowforge.steps.file.gzip import gzip
from flowforge.steps.file.read import read
from flowforge.steps.file.unzip import unpack
from flowforge.steps.file.zip import pack

NAMES = st.text(st.characters(exclude_characters="/\\\0", exclude_categories=("Cc", "Cs")), min_size=1, max_size=12).filter(
    lambda name: name not in {".", ".."} and not (len(name) > 1 and name[1] == ":") and not name.startswith(".draft-")
)
TREES = st.dictionaries(st.lists(NAMES, min_size=1, max_size=3).map("/".join), st.binary(max_size=300), min_size=1, max_size=6)


@pytest.fixture
def work(tmp_path: Path, attempts: Attempts) -> Path:
    del attempts
    return tmp_path / "work"


async def code_of(attempts: Attempts, operation: Operation, **parameters: JsonValue) -> str:
    return (await refuse(attempts, operation, **parameters)).code


@contextlib.contextmanager
def open_room() -> Generator[tuple[Attempts, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        attempts = Attempts(make_services(Path(folder)))
        yield attempts, Path(folder) / "work"


def write_tree(folder: Path, tree: dict[str, bytes]) -> None:
    for path, data in tree.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


def read_tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def is_sound(tree: dict[str, bytes]) -> bool:
    try:
        check_names((path, False) for path in tree)
    except ArchiveError:
        return False
    return all(len(part.encode()) <= 255 for path in tree for part in path.split("/"))


@given(tree=TREES.filter(is_sound), compression=st.sampled_from(["deflate", "store"]), level=st.integers(1, 9))
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
async def test_a_tree_that_was_packed_comes_out_as_it_was(tree: dict[str, bytes], compression: str, level: int):
    with open_room() as (attempts, work):
        write_tree(work / "a", tree)
        made = await call(attempts, pack, paths=["a"], include_folder=False, to="x.zip", compression=compression, level=level)
        assert made["file_count"] == len(tree)
        await call(attempts, unpack, path="x.zip", to="b")
        assert read_tree(work / "b") == tree
        unpacked = (await call(attempts, unpack, path="x.zip"))["files"]
        assert isinstance(unpacked, list)
        again = await call(
            attempts,
            pack,
            to="y.zip",
            compression=compression,
            level=level,
            files=[{"file": one["file"], "name": one["path"]} for one in unpacked if isinstance(one, dict)],
        )
        assert again["size"] == made["size"]
        assert (work / "y.zip").read_bytes() == (work / "x.zip").read_bytes()


@given(data=st.binary(max_size=5_000), level=st.integers(1, 9))
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
async def test_what_gzip_packed_gunzip_gives_back(data: bytes, level: int):
    with open_room() as (attempts, work):
        (work / "x").write_bytes(data)
        packed = (await call(attempts, gzip, path="x", level=level))["file"]
        made = await call(attempts, gunzip, file=packed, to="y")
        assert made["size"] == len(data)
        assert (work / "y").read_bytes() == data


@given(path=st.lists(NAMES, min_size=1, max_size=3).map("/".join))
def test_folding_a_path_twice_changes_nothing(path: str):
    assert fold_path(fold_path(path)) == fold_path(path)


async def test_the_same_files_give_the_same_bytes(attempts: Attempts, work: Path):
    tree = {"b/2": b"two" * 99, "a": b"one", "b/1": b""}
    write_tree(work / "in", tree)
    first = await call(attempts, pack, paths=["in"], to="1.zip")
    os.utime(work / "in" / "a", (1, 1))
    (work / "in" / "a").chmod(0o700)
    second = await call(attempts, pack, paths=["in"], to="2.zip")
    assert first["size"] == second["size"]
    assert (work / "1.zip").read_bytes() == (work / "2.zip").read_bytes()
    with zipfile.ZipFile(work / "1.zip") as archive:
        assert archive.namelist() == ["in/a", "in/b/1", "in/b/2"]
        assert archive.testzip() is None
    assert first == {"file": None, "root": "work", "path": "1.zip", "size": (work / "1.zip").stat().st_size, "file_count": 3}


async def test_empty_folders_are_kept_and_links_left_out(attempts: Attempts, work: Path):
    write_tree(work / "in", {"x/1": b"1"})
    (work / "in" / "empty" / "deep").mkdir(parents=True)
    (work / "in" / "link").symlink_to("x/1")
    await call(attempts, pack, paths=["in"], to="a.zip")
    await call(attempts, unpack, path="a.zip", to="out")
    assert sorted(str(path.relative_to(work / "out")) for path in (work / "out").rglob("*")) == [
        "in",
        "in/empty",
        "in/empty/deep",
        "in/x",
        "in/x/1",
    ]


async def test_files_are_chosen_by_pattern(attempts: Attempts, work: Path):
    write_tree(work / "in", {"a.csv": b"1", "b.txt": b"2", "deep/c.csv": b"3", "deep/d.txt": b"4"})
    await call(attempts, pack, paths=["in"], pattern="*.csv", to="a.zip")
    with zipfile.ZipFile(work / "a.zip") as archive:
        assert archive.namelist() == ["in/a.csv", "in/deep/c.csv"]
    await call(attempts, pack, paths=["in", "in/b.txt"], to="b.zip")
    result = await call(attempts, unpack, path="b.zip", to="out", pattern="in/deep/*")
    assert sorted(read_tree(work / "out")) == ["in/deep/c.csv", "in/deep/d.txt"]
    assert result["size"] == 2


async def test_files_are_put_where_and_how_was_asked(attempts: Attempts, work: Path):
    write_tree(work, {"in/a": b"new", "out/a": b"old", "out/b": b"stays"})
    await call(attempts, pack, paths=["in/a"], to="a.zip", mode="create")
    assert await code_of(attempts, pack, paths=["in/a"], to="a.zip", mode="create") == "file_exists"
    assert await code_of(attempts, unpack, path="a.zip", to="out") == "file_exists"
    assert read_tree(work / "out") == {"a": b"old", "b": b"stays"}
    await call(attempts, unpack, path="a.zip", to="out", mode="merge")
    assert read_tree(work / "out") == {"a": b"new", "b": b"stays"}
    await call(attempts, unpack, path="a.zip", to="out", mode="replace")
    assert read_tree(work / "out") == {"a": b"new"}
    await call(attempts, unpack, path="a.zip", to="x/y", to_root="other")
    assert read_tree(work.parent / "other") == {"x/y/a": b"new"}


async def test_what_cannot_be_packed_is_told(attempts: Attempts, work: Path):
    write_tree(work, {"a/x": b"1", "b/x": b"2", "c/odd\\name": b"3"})
    assert await code_of(attempts, pack, paths=["a/x", "b/x"], to="a.zip") == "zip_duplicate"
    assert await code_of(attempts, pack, paths=["none"], to="a.zip") == "file_missing"
    assert await code_of(attempts, pack, paths=["../x"], to="a.zip") == "path_denied"
    assert await code_of(attempts, pack, paths=["c"], to="a.zip") == "zip_path"
    value = (await call(attempts, read, path="a/x", **{"as": "file"}))["content"]
    assert await code_of(attempts, pack, files=[{"file": value, "name": "../x"}], to="a.zip") == "zip_path"
    assert await code_of(attempts, pack, files=[{"file": {"$file": 1}}], to="a.zip") == "file_invalid"
    attempts.limits = Limits(zip_entries=1)
    assert await code_of(attempts, pack, paths=["a", "b"], to="a.zip") == "zip_entries"
    assert not (work / "a.zip").exists()


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [(pack, {}), (unpack, {}), (unpack, {"path": "x", "file": {}}), (gzip, {}), (gunzip, {"path": "x", "file": {}})],
)
def test_there_is_something_to_pack_or_unpack(operation: Operation, parameters: JsonObject):
    with pytest.raises(InvalidParametersError, match="give"):
        validate_parameters(operation, parameters)


async def test_names_of_old_archives_are_read_in_the_encoding_given(attempts: Attempts, work: Path):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("aXX.txt", b"1")
    (work / "x.zip").write_bytes(data.getvalue().replace(b"aXX", "a日".encode("shift_jis")))
    await call(attempts, unpack, path="x.zip", to="out", encoding="shift_jis")
    assert list(read_tree(work / "out")) == ["a日.txt"]


async def test_archives_in_the_large_form_are_read(attempts: Attempts, work: Path, monkeypatch: pytest.MonkeyPatch):
    tree = {f"{number}": b"x" * 500 for number in range(5)}
    write_tree(work / "in", tree)
    with monkeypatch.context() as patched:
        patched.setattr(zipfile, "ZIP64_LIMIT", 100)
        patched.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
        await call(attempts, pack, paths=["in"], include_folder=False, to="x.zip")
        with zipfile.ZipFile(work / "y.zip", "w") as archive:
            for path, data in tree.items():
                archive.writestr(path, data)
    for name in ("x.zip", "y.zip"):
        assert b"PK\6\6" in (work / name).read_bytes()
        await call(attempts, unpack, path=name, to="out", mode="replace")
        assert read_tree(work / "out") == tree
    attempts.limits = Limits(zip_entries=4)
    assert await code_of(attempts, unpack, path="x.zip", to="out2") == "zip_entries"


async def test_gzip_names_its_result_after_the_file(attempts: Attempts, work: Path):
    write_tree(work, {"a.csv": b"x", "b.tgz": b""})
    packed = (await call(attempts, gzip, path="a.csv"))["file"]
    assert isinstance(packed, dict)
    facts = packed["$file"]
    assert isinstance(facts, dict)
    assert (facts["name"], facts["media_type"]) == ("a.csv.gz", "application/gzip")
    bare = (await call(attempts, gunzip, file=packed))["file"]
    assert isinstance(bare, dict)
    facts = bare["$file"]
    assert isinstance(facts, dict)
    assert (facts["name"], facts["media_type"], facts["size"]) == ("a.csv", "text/csv", 1)
    await call(attempts, gzip, path="a.csv", to="b.tgz")
    named = (await call(attempts, gunzip, path="b.tgz"))["file"]
    assert isinstance(named, dict)
    assert isinstance(named["$file"], dict)
    assert named["$file"]["name"] == "b.tar"


async def test_an_archive_is_packed_and_unpacked_with_little_memory(attempts: Attempts, work: Path):
    import tracemalloc

    with (work / "large").open("wb") as file:
        for number in range(64):
            file.write(os.urandom(2**19) + bytes([number]) * 2**19)
    tracemalloc.start()
    try:
        made = await call(attempts, pack, paths=["large"], level=1)
        await call(attempts, unpack, file=made["file"], to="out")
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 8 * 2**20
    first, second = [await call(attempts, checksum, path=path) for path in ("large", "out/large")]
    assert first == second


async def test_result_goes_to_the_root_of_the_source_unless_another_is_named(tmp_path: Path, attempts: Attempts):
    (tmp_path / "other" / "a.txt").write_text("hello")
    packed = await call(attempts, gzip, root="other", path="a.txt", to="a.gz")
    zipped = await call(attempts, pack, root="other", paths=["a.txt"], to="a.zip")
    assert (packed["root"], zipped["root"]) == ("other", "other")
    assert (await call(attempts, gunzip, root="other", path="a.gz", to="b.txt", to_root="work"))["root"] == "work"
    assert (await call(attempts, unpack, root="other", path="a.zip", to="unpacked"))["root"] == "other"
    assert (tmp_path / "other" / "unpacked" / "a.txt").read_text() == "hello"
    assert (tmp_path / "work" / "b.txt").read_text() == "hello"
