import hashlib
import os
from pathlib import Path

import pytest
from tests.support.clock import ManualClock

from flowforge.kit.errors import InvariantError, ValidationError
from flowforge.kit.folder import DataFolderInvalidError, open_data_folder
from flowforge.kit.ids import IdSource, InvalidIdError
from flowforge.kit.objects import ObjectMissingError, ObjectStore, clean_media_type, clean_name, parse_file
from flowforge.kit.values import JsonValue

FILE_ID = "file_" + "0" * 26


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return open_data_folder(tmp_path / "data").files


@pytest.fixture
def store(folder: Path) -> ObjectStore:
    return ObjectStore(folder, IdSource(ManualClock()))


def test_bytes_are_kept_and_described(store: ObjectStore):
    file = store.put(b"hello", name="a/b/greeting.txt", media_type="Text/Plain; charset=utf-8")
    assert (file.name, file.media_type, file.size_bytes) == ("greeting.txt", "text/plain", 5)
    assert file.sha256 == hashlib.sha256(b"hello").hexdigest()
    assert store.read(file.id) == b"hello"
    with store.open(file.id) as stream:
        assert stream.read(2) == b"he"


def test_file_is_written_piece_by_piece(store: ObjectStore):
    with store.create(name="big.txt", media_type="text/plain") as stored:
        stored.write(b"hel")
        stored.write(bytearray(b"lo"))
        assert stored.size_bytes == 5
        file = stored.commit()
    assert store.read(file.id) == b"hello"
    assert (file.name, file.size_bytes, file.sha256) == ("big.txt", 5, hashlib.sha256(b"hello").hexdigest())


def test_file_that_is_not_finished_leaves_nothing(store: ObjectStore, folder: Path):
    with store.create(name="x", media_type="a/b") as stored:
        stored.write(b"half")
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_file_is_written_inside_its_block_only(store: ObjectStore):
    with pytest.raises(InvariantError):
        store.create(name="x", media_type="a/b").write(b"1")


def test_file_travels_as_a_json_value(store: ObjectStore):
    file = store.put(b"x", name="x", media_type="a/b")
    assert file.to_json() == {"$file": {"id": file.id, "name": "x", "media_type": "a/b", "size": 1, "sha256": file.sha256}}
    assert parse_file(file.to_json()) == file


@pytest.mark.parametrize(
    "change",
    [
        {"id": "../../etc/passwd"},
        {"id": FILE_ID + "/.."},
        {"size": -1},
        {"size": "1"},
        {"sha256": "x"},
        {"name": None},
        {"path": "/etc/passwd"},
    ],
)
def test_value_that_is_no_file_is_refused(change: dict[str, JsonValue]):
    facts: dict[str, JsonValue] = {"id": FILE_ID, "name": "x", "media_type": "a/b", "size": 1, "sha256": "0" * 64}
    assert parse_file({"$file": {**facts}}).id == FILE_ID
    with pytest.raises(ValidationError) as caught:
        parse_file({"$file": {**facts, **change}})
    assert caught.value.details[0].code == "file_invalid"


@pytest.mark.parametrize("value", [None, "x", [], {}, {"$file": "x"}, {"$file": {}, "other": 1}])
def test_value_of_another_shape_is_no_file(value: JsonValue):
    with pytest.raises(ValidationError):
        parse_file(value)


@pytest.mark.parametrize(
    "file_id", ["", "..", "../x", "/etc/passwd", "file_../../../../../etc/passwd00", FILE_ID + "\0", FILE_ID.upper()]
)
def test_id_cannot_name_another_file(store: ObjectStore, file_id: str):
    for act in (store.read, store.open, store.delete):
        with pytest.raises(InvalidIdError):
            act(file_id)


def test_deleted_file_is_missing(store: ObjectStore):
    file = store.put(b"x", name="x", media_type="a/b")
    store.delete(file.id)
    store.delete(file.id)
    with pytest.raises(ObjectMissingError) as caught:
        store.read(file.id)
    assert caught.value.details[0].code == "file_missing"


def test_files_are_listed_by_age(store: ObjectStore, folder: Path):
    old = store.put(b"old", name="x", media_type="a/b")
    young = store.put(b"young", name="x", media_type="a/b")
    os.utime(folder / old.id[-2:] / old.id, (1_000, 1_000))
    (folder / old.id[-2:] / "stranger").write_text("")
    assert {entry.id: entry.size_bytes for entry in store.list_objects()} == {old.id: 3, young.id: 5}
    assert [(entry.id, entry.stored_at_ms) for entry in store.list_objects(stored_before_ms=1_000_001)] == [(old.id, 1_000_000)]


def test_values_of_journals_are_no_files(store: ObjectStore, folder: Path):
    value = store.put_value(b"{}")
    file = store.put(b"file", name="x", media_type="a/b")
    for each in (value, file):
        os.utime(folder / each.id[-2:] / each.id, (1_000, 1_000))
    assert store.read(value.id) == b"{}"
    assert [entry.id for entry in store.list_values(stored_before_ms=1_000_001)] == [value.id]
    assert list(store.list_values(stored_before_ms=1_000_000)) == []
    assert [entry.id for entry in store.list_objects()] == [file.id]
    with pytest.raises(ValidationError):
        parse_file(value.to_json())
    store.delete(value.id)
    assert list(store.list_values(stored_before_ms=2_000_000)) == []


def test_what_a_crash_left_behind_is_swept_when_it_is_old(store: ObjectStore, folder: Path):
    store.put(b"x", name="x", media_type="a/b")
    draft = folder / ".staging" / ".draft-1"
    draft.write_text("half")
    os.utime(draft, (1_000, 1_000))
    assert store.sweep_staging(stored_before_ms=1_000_000) == 0
    assert store.sweep_staging(stored_before_ms=1_000_001) == 1
    assert len(list(store.list_objects())) == 1


def test_folder_that_cannot_be_used_gives_a_sentence(tmp_path: Path):
    (tmp_path / "files").write_text("")
    with pytest.raises(DataFolderInvalidError, match="is a file, not a folder"):
        ObjectStore(tmp_path / "files", IdSource(ManualClock())).put(b"x", name="x", media_type="a/b")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\x.txt", "x.txt"),
        ("a\0b\nc", "abc"),
        ("evil\u202etxt.exe", "eviltxt.exe"),
        ("..", "file"),
        ("", "file"),
        ('a<b>:"c|?*', "abc"),
        ("e\u0301.txt", "é.txt"),
        ("\ud800x", "x"),
        ("ü" * 300, "ü" * 100),
    ],
)
def test_name_is_made_safe(name: str, expected: str):
    assert clean_name(name) == expected


@pytest.mark.parametrize(
    ("given", "expected"), [("", "application/octet-stream"), ("x", "application/octet-stream"), ("A/B;c", "a/b")]
)
def test_media_type_is_made_safe(given: str, expected: str):
    assert clean_media_type(given) == expected
