"""`file.copy`, `move`, `delete`, `stat`, `checksum`, `create_folder`, and large files. What roots do is in tests/kit/test_paths_trees.py."""

import hashlib
import os
import tracemalloc
from pathlib import Path

import pytest
from tests.support.attempts import Attempts, call, refuse

from flowforge.kit.values import JsonObject
from flowforge.operations import FatalError, Operation, RetryableError
from flowforge.operations.calling import InvalidParametersError, find_target, validate_parameters
from flowforge.steps.file.checksum import checksum
from flowforge.steps.file.copy import copy
from flowforge.steps.file.create_folder import create_folder
from flowforge.steps.file.delete import delete
from flowforge.steps.file.gzip import gzip
from flowforge.steps.file.move import move
from flowforge.steps.file.read import read
from flowforge.steps.file.stat import look
from flowforge.steps.file.write import write


@pytest.fixture
def work(tmp_path: Path, attempts: Attempts) -> Path:
    del attempts
    (tmp_path / "work" / "a").mkdir()
    (tmp_path / "work" / "a" / "x").write_text("1")
    (tmp_path / "canary").write_text("canary")
    return tmp_path / "work"


def list_names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


async def test_a_folder_is_copied_and_moved_to_another_root(attempts: Attempts, work: Path):
    assert await call(attempts, copy, path="a", to="b") == {
        "root": "work",
        "path": "b",
        "file_count": 1,
        "folder_count": 1,
        "size": 1,
    }
    await call(attempts, move, path="a", to="deep/a", to_root="other")
    assert (work.parent / "other" / "deep" / "a" / "x").read_text() == "1"
    assert list_names(work) == ["b"]


@pytest.mark.parametrize("operation", [copy, move])
async def test_what_is_there_is_not_replaced_unless_asked(operation: Operation, attempts: Attempts, work: Path):
    (work / "y").write_text("old")
    error = await refuse(attempts, operation, path="a/x", to="y")
    assert isinstance(error, RetryableError)
    assert (error.code, error.by_default) == ("file_exists", False)
    await call(attempts, operation, path="a/x", to="y", mode="replace")
    assert (work / "y").read_text() == "1"
    assert (await refuse(attempts, operation, path="a", to="a/b")).code == "path_inside"
    assert (await refuse(attempts, operation, path="none", to="b")).code == "file_missing"


@pytest.mark.parametrize(
    ("operation", "more"),
    [
        (copy, {"to": "b"}),
        (move, {"to": "b"}),
        (delete, {"recursive": True}),
        (look, {}),
        (checksum, {}),
        (create_folder, {}),
        (gzip, {}),
    ],
)
async def test_a08_a_path_that_leads_out_fails_the_step(
    operation: Operation, more: JsonObject, attempts: Attempts, work: Path, tmp_path: Path
):
    (work / "link").symlink_to(tmp_path)
    for path in ("../canary", str(tmp_path / "canary"), "link", "link/canary"):
        error = await refuse(attempts, operation, path=path, **more)
        assert (error.code, type(error)) == ("path_denied", FatalError)
    for path in ("../b", "link/b", "/b") if more == {"to": "b"} else ():
        error = await refuse(attempts, operation, path="a/x", to=path)
        assert error.code == "path_denied"
    assert (tmp_path / "canary").read_text() == "canary"
    assert not (tmp_path / "b").exists()


async def test_deleting_tells_what_is_gone(attempts: Attempts, work: Path):
    assert (await refuse(attempts, delete, path="a")).code == "folder_not_empty"
    assert await call(attempts, delete, path="a", recursive=True) == {
        "is_deleted": True,
        "kind": "folder",
        "file_count": 1,
        "folder_count": 1,
        "size": 1,
    }
    assert (await refuse(attempts, delete, path="a")).code == "file_missing"
    for path in ("a", "a/b/c"):
        assert (await call(attempts, delete, path=path, missing="skip"))["is_deleted"] is False
    assert (await refuse(attempts, delete, path="a", root="none", missing="skip")).code == "root_unknown"
    assert list_names(work) == []


async def test_looking_at_what_is_not_there_is_no_error(attempts: Attempts, work: Path):
    found = await call(attempts, look, path="a/x")
    assert (found["exists"], found["kind"], found["size"]) == (True, "file", 1)
    assert (await call(attempts, look, path="a"))["kind"] == "folder"
    assert (await call(attempts, look, path="b/c"))["exists"] is False
    os.mkfifo(work / "pipe")
    assert (await refuse(attempts, look, path="pipe")).code == "file_kind"


async def test_a_folder_is_made_once(attempts: Attempts, work: Path):
    assert (await call(attempts, create_folder, path="b/c"))["is_new"] is True
    assert (await call(attempts, create_folder, path="b/c"))["is_new"] is False
    assert (work / "b" / "c").is_dir()
    assert (await refuse(attempts, create_folder, path="a/x")).code == "file_kind"


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        # FIPS 180-4, RFC 1321 A.5, RFC 7693 Appendix A, and the check value of CRC-32 catalogues.
        ("sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ("sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        ("md5", "900150983cd24fb0d6963f7d28e17f72"),
        (
            "sha512",
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
        (
            "blake2b",
            "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
            "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923",
        ),
        ("crc32", "352441c2"),
    ],
)
async def test_checksums_are_those_of_the_standards(algorithm: str, expected: str, attempts: Attempts, work: Path):
    (work / "x").write_text("abc")
    value = (await call(attempts, read, path="x", **{"as": "file"}))["content"]
    for source in ({"path": "x"}, {"file": value}):
        found = await call(attempts, checksum, algorithm=algorithm, expected=f" {expected.upper()} ", **source)
        assert found == {"algorithm": algorithm, "checksum": expected, "size": 3}
    error = await refuse(attempts, checksum, path="x", algorithm=algorithm, expected="0")
    assert (error.code, type(error)) == ("checksum_mismatch", FatalError)


def test_a_checksum_is_of_one_file():
    wrong: list[JsonObject] = [{}, {"path": "x", "file": {}}]
    for parameters in wrong:
        with pytest.raises(InvalidParametersError, match="exactly one"):
            validate_parameters(checksum, parameters)


def test_effects_name_where_they_go():
    assert find_target(copy, {"path": "a", "to": "b", "to_root": "other"}) == "work:a -> other:b"
    assert find_target(move, {"root": "x", "path": "a", "to": "b"}) == "x:a -> x:b"
    assert find_target(gzip, {"path": "a", "to": "b"}) == "work:b"
    assert find_target(gzip, {"path": "a"}) == "work:a"
    assert find_target(gzip, {"file": {}}) == "file value"


async def test_a_large_file_passes_through_with_little_memory(attempts: Attempts, work: Path):
    digest = hashlib.sha256()
    with (work / "large").open("wb") as file:
        for number in range(64):
            piece = bytes([number]) * 2**20
            file.write(piece)
            digest.update(piece)
    tracemalloc.start()
    try:
        stored = await call(attempts, read, path="large", **{"as": "file"})
        written = await call(attempts, write, path="again", file=stored["content"])
        await call(attempts, copy, path="again", to="third")
        found = await call(attempts, checksum, path="third")
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 8 * 2**20
    assert stored["size"] == written["size"] == found["size"] == 2**26
    assert written["sha256"] == found["checksum"] == digest.hexdigest()


async def test_a_content_that_is_too_large_to_be_inline_says_so(attempts: Attempts, work: Path):
    with (work / "large").open("wb") as file:
        file.truncate(10 * 2**20 + 1)
    error = await refuse(attempts, read, path="large")
    assert error.code == "file_too_large"
    assert "file value" in error.message
