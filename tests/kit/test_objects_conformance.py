"""What every object store does, whether its bytes lie in a folder or in a bucket."""

import hashlib
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from tests.support.objects import KINDS, open_objects

from flowforge.kit.errors import InvariantError, ValidationError
from flowforge.kit.ids import InvalidIdError
from flowforge.kit.objects import ObjectMissingError, ObjectStore, parse_file

FILE_ID = "file_" + "0" * 26
LARGE = bytes(range(256)) * 4096 * 20
"""20 MiB: more than two pieces of an upload."""
FOREVER_MS = 4_000_000_000_000


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[ObjectStore]:
    with open_objects(request.param, tmp_path / "files") as opened:
        yield opened


@pytest.mark.parametrize("data", [b"", b"hello", LARGE], ids=["empty", "small", "large"])
def test_bytes_come_back_as_they_went_in(store: ObjectStore, data: bytes):
    file = store.put(data, name="a/b/x.bin", media_type="Text/Plain; charset=utf-8")
    assert (file.name, file.media_type, file.size_bytes) == ("x.bin", "text/plain", len(data))
    assert file.sha256 == hashlib.sha256(data).hexdigest()
    assert store.read(file.id) == data
    assert parse_file(file.to_json()) == file


@pytest.mark.parametrize("piece", [7, 1_000_003, len(LARGE)])
def test_file_is_written_piece_by_piece(store: ObjectStore, piece: int):
    data = LARGE if piece > 7 else LARGE[:100]
    buffer = bytearray(piece)
    with store.create(name="big.bin", media_type="a/b") as stored:
        for start in range(0, len(data), piece):
            taken = data[start : start + piece]
            buffer[: len(taken)] = taken  # the same buffer again and again, as readers have it
            stored.write(memoryview(buffer)[: len(taken)])
        assert stored.size_bytes == len(data)
        assert list(store.list_objects()) == []
        file = stored.commit()
    assert (file.size_bytes, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert store.read(file.id) == data


def test_empty_file_is_written_piece_by_piece(store: ObjectStore):
    with store.create(name="x", media_type="a/b") as stored:
        file = stored.commit()
    assert (file.size_bytes, store.read(file.id)) == (0, b"")


@pytest.mark.parametrize("size", [0, 100, len(LARGE)])
def test_file_that_is_not_finished_leaves_nothing(store: ObjectStore, size: int):
    with suppress(KeyError), store.create(name="x", media_type="a/b") as stored:
        stored.write(LARGE[:size])
        raise KeyError
    assert list(store.list_objects()) == []


def test_file_is_written_inside_its_block_only(store: ObjectStore):
    with pytest.raises(InvariantError):
        store.create(name="x", media_type="a/b").write(b"1")


def test_stream_is_read_in_any_order(store: ObjectStore):
    file = store.put(LARGE, name="x", media_type="a/b")
    with store.open(file.id) as stream:
        assert stream.read(3) == LARGE[:3]
        assert stream.seek(-10, 2) == len(LARGE) - 10
        assert stream.read() == LARGE[-10:]
        assert stream.read(1) == b""
        assert stream.seek(9_000_000) == stream.tell() == 9_000_000
        assert stream.read(9_000_000) == LARGE[9_000_000:18_000_000]
        stream.seek(0)
        digest = hashlib.sha256()
        while piece := stream.read(1_000_000):
            digest.update(piece)
        assert digest.hexdigest() == file.sha256


def test_deleted_file_is_missing(store: ObjectStore):
    file = store.put(b"x", name="x", media_type="a/b")
    store.delete(file.id)
    store.delete(file.id)
    for act in (store.read, store.open):
        with pytest.raises(ObjectMissingError) as caught:
            act(file.id)
        assert caught.value.details[0].code == "file_missing"


@pytest.mark.parametrize("file_id", ["", "..", "../x", "/etc/passwd", "file_../../etc/passwd", FILE_ID + "\0", FILE_ID.upper()])
def test_id_cannot_name_another_file(store: ObjectStore, file_id: str):
    acts: tuple[Callable[[str], object], ...] = (store.read, store.open, store.delete)
    for act in acts:
        with pytest.raises(InvalidIdError):
            act(file_id)


def test_files_and_values_are_listed_apart_and_by_age(store: ObjectStore):
    before_ms = time.time_ns() // 1_000_000 - 60_000
    value = store.put_value(b"{}")
    file = store.put(b"file", name="x", media_type="a/b")
    assert [(entry.id, entry.size_bytes) for entry in store.list_objects()] == [(file.id, 4)]
    assert [(entry.id, entry.size_bytes) for entry in store.list_values(stored_before_ms=FOREVER_MS)] == [(value.id, 2)]
    (entry,) = store.list_objects()
    assert before_ms < entry.stored_at_ms < before_ms + 120_000
    assert list(store.list_objects(stored_before_ms=entry.stored_at_ms)) == []
    assert list(store.list_values(stored_before_ms=before_ms)) == []
    with pytest.raises(ValidationError):
        parse_file(value.to_json())
    assert store.sweep_staging(stored_before_ms=before_ms) == 0


def test_list_goes_on_past_a_page(store: ObjectStore):
    with ThreadPoolExecutor(8) as pool:
        made = {file.id for file in pool.map(store.put_value, [b"1"] * 1_050)}
    assert {entry.id for entry in store.list_values(stored_before_ms=FOREVER_MS)} == made
