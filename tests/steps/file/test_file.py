from pathlib import Path

import pytest
from tests.support.attempts import Attempts, call, refuse

from flowforge.kit.values import JsonObject
from flowforge.operations import FatalError, RetryableError
from flowforge.operations.calling import InvalidParametersError, validate_parameters
from flowforge.steps.file.list import list_files
from flowforge.steps.file.read import read
from flowforge.steps.file.write import write


async def test_what_was_written_is_read(attempts: Attempts):
    await call(attempts, write, path="a/b.json", json={"x": [1, "ä"]})
    text = '{"x":[1,"ä"]}'
    assert await call(attempts, read, path="a/b.json") == {"content": text, "size": len(text.encode())}
    assert (await call(attempts, read, path="a/b.json", **{"as": "json"}))["content"] == {"x": [1, "ä"]}
    assert (await call(attempts, read, path="a/b.json", **{"as": "base64"}))["content"] == "eyJ4IjpbMSwiw6QiXX0="


async def test_roots_are_apart(attempts: Attempts, tmp_path: Path):
    await call(attempts, write, path="x", text="1", root="other")
    assert (tmp_path / "other" / "x").read_text() == "1"
    assert (await refuse(attempts, read, path="x")).code == "file_missing"
    assert (await refuse(attempts, read, path="x", root="third")).code == "root_unknown"


async def test_a_file_value_goes_in_and_out(attempts: Attempts, tmp_path: Path):
    (tmp_path / "work" / "photo.png").write_bytes(b"\x89PNG\0")
    stored = (await call(attempts, read, path="photo.png", **{"as": "file"}))["content"]
    assert isinstance(stored, dict)
    facts = stored["$file"]
    assert isinstance(facts, dict)
    assert (facts["name"], facts["media_type"], facts["size"]) == ("photo.png", "image/png", 5)
    await call(attempts, write, path="copy.png", file=stored)
    assert (tmp_path / "work" / "copy.png").read_bytes() == b"\x89PNG\0"


@pytest.mark.parametrize(
    "value",
    [
        {"path": "/etc/passwd"},
        {"$file": {"id": "../../canary"}},
        {
            "$file": {
                "id": "file_" + "0" * 26,
                "name": "x",
                "media_type": "text/plain",
                "size": 1,
                "sha256": "0" * 64,
                "path": "/etc/passwd",
            }
        },
        {"$file": {"id": "file_" + "0" * 26, "name": "x", "media_type": "text/plain", "size": 1, "sha256": "0" * 64}},
        {"$ref": "blob"},
    ],
)
async def test_a07_a_forged_file_value_opens_nothing(value: JsonObject, attempts: Attempts, tmp_path: Path):
    assert (await refuse(attempts, write, path="out", file=value)).code in {"file_invalid", "file_missing"}
    assert list((tmp_path / "work").iterdir()) == []


async def test_a08_a_path_that_leads_out_fails_the_step(attempts: Attempts, tmp_path: Path):
    (tmp_path / "canary").write_text("canary")
    (tmp_path / "work" / "link").symlink_to(tmp_path / "canary")
    for path in ("../canary", str(tmp_path / "canary"), "link"):
        for operation, more in ((read, {}), (write, {"text": "x"}), (list_files, {})):
            error = await refuse(attempts, operation, path=path, **more)
            assert (error.code, type(error)) == ("path_denied", FatalError)
    assert (tmp_path / "canary").read_text() == "canary"


async def test_a_missing_or_present_file_is_retried_only_where_the_step_says_so(attempts: Attempts):
    missing = await refuse(attempts, read, path="none")
    await call(attempts, write, path="x", text="1", mode="create")
    present = await refuse(attempts, write, path="x", text="2", mode="create")
    for error, code in ((missing, "file_missing"), (present, "file_exists")):
        assert isinstance(error, RetryableError)
        assert (error.code, error.by_default) == (code, False)


async def test_text_in_another_encoding_is_read_when_asked_for(attempts: Attempts, tmp_path: Path):
    (tmp_path / "work" / "latin").write_bytes("ä".encode("latin-1"))
    (tmp_path / "work" / "marked").write_bytes(b"\xef\xbb\xbfhello")
    assert (await call(attempts, read, path="latin", encoding="latin-1"))["content"] == "ä"
    assert (await call(attempts, read, path="marked"))["content"] == "hello"
    error = await refuse(attempts, read, path="latin")
    assert error.code == "encoding"
    assert "byte 0" in error.message


async def test_broken_json_is_told_with_its_place(attempts: Attempts, tmp_path: Path):
    (tmp_path / "work" / "x.json").write_text('{\n"a": ,}')
    error = await refuse(attempts, read, path="x.json", **{"as": "json"})
    assert error.code == "json_invalid"
    assert "line 2" in error.message


@pytest.mark.parametrize("more", [{}, {"text": "x", "json": 1}, {"base64": "eA==", "file": {}}])
def test_there_is_exactly_one_content(more: JsonObject):
    with pytest.raises(InvalidParametersError, match="exactly one"):
        validate_parameters(write, {"path": "x", **more})


async def test_bytes_are_written_from_base64(attempts: Attempts, tmp_path: Path):
    await call(attempts, write, path="x", base64="AP8=\n")
    assert (tmp_path / "work" / "x").read_bytes() == b"\0\xff"
    assert (await refuse(attempts, write, path="x", base64="A")).code == "base64_invalid"


async def test_files_are_listed(attempts: Attempts, tmp_path: Path):
    await call(attempts, write, path="b/1.csv", text="x")
    await call(attempts, write, path="a.csv", text="xy")
    entries = (await call(attempts, list_files))["entries"]
    assert isinstance(entries, list)
    assert [(entry["path"], entry["kind"], entry["size"]) for entry in entries if isinstance(entry, dict)] == [
        ("a.csv", "file", 2),
        ("b", "folder", 0),
    ]
    below = (await call(attempts, list_files, recursive=True, pattern="*.csv"))["entries"]
    assert isinstance(below, list)
    assert [entry["name"] for entry in below if isinstance(entry, dict)] == ["a.csv", "1.csv"]


async def test_without_a_service_the_step_says_so():
    error = await refuse(Attempts({}), read, path="x")
    assert error.code == "service_missing"
