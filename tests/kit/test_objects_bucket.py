"""A bucket that is away, refuses, is full or breaks off: one sentence each, without a key in it, and never half a file."""

import re
from collections.abc import Callable
from urllib.request import Request, urlopen

import pytest
from tests.support.objects import make_bucket_url
from tests.support.s3 import BUCKET, serve_s3
from tests.support.servers import Reply, serve_in_thread
from tests.support.tcp_proxy import open_tcp_proxy

from flowforge.kit.clock import SystemClock
from flowforge.kit.errors import StorageError, StorageFullError
from flowforge.kit.ids import IdSource
from flowforge.kit.objects import ObjectStore, open_shelf

FILE_ID = "file_" + "0" * 26
FILE_PATH = f"/{BUCKET}/some/prefix/00/{FILE_ID}"
LARGE = bytes(20 * 1024 * 1024)


def open_at(port: int, bucket: str = BUCKET) -> ObjectStore:
    return ObjectStore(open_shelf(make_bucket_url(port, bucket)), IdSource(SystemClock()))


def fail(act: Callable[[], object]) -> str:
    """The sentence of an act that fails."""
    with pytest.raises(StorageError) as caught:
        act()
    message = caught.value.message
    assert message.startswith("The object store s3://")
    assert message.endswith(".")
    assert "secret-key-1" not in message + repr(caught.value.__cause__)
    return message


def list_uploads(port: int) -> list[str]:
    """The keys of uploads that were begun and neither ended nor given up."""
    with urlopen(Request(f"http://127.0.0.1:{port}/{BUCKET}?uploads"), timeout=20) as answer:
        return re.findall(r"<Key>([^<]+)</Key>", answer.read().decode())


def test_bucket_that_is_not_there_is_told_apart_from_a_file_that_is_not():
    with serve_s3() as port:
        store = open_at(port, "elsewhere")
        acts: list[Callable[[], object]] = [
            lambda: store.put(b"x", name="x", media_type="a/b"),
            lambda: store.read(FILE_ID),
            lambda: store.delete(FILE_ID),
            lambda: list(store.list_objects()),
        ]
        for act in acts:
            assert "there is no such bucket" in fail(act)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>", "it answered 403 SignatureDoesNotMatch; look at its keys"),
        (400, b"<Error><Code>InvalidRequest</Code></Error>", "it answered 400 InvalidRequest; look at the server's own log"),
        (507, b"<Error><Code>XMinioStorageFull</Code></Error>", "there is no room left"),
    ],
)
def test_answer_that_is_no_yes_is_told(status: int, body: bytes, said: str):
    with serve_in_thread() as server:
        server.on(FILE_PATH, Reply(status, (("Content-Type", "application/xml"),), body))
        assert said in fail(lambda: open_at(server.port).read(FILE_ID))


def test_discarded_upload_gives_its_parts_up():
    with serve_s3() as port:
        store = open_at(port)
        with store.create(name="x", media_type="a/b") as stored:
            stored.write(LARGE)
            assert len(list_uploads(port)) == 1
        assert list_uploads(port) == []
        assert list(store.list_objects()) == []


def test_f60_bucket_that_is_away_gives_a_sentence_and_is_used_again_when_it_is_back():
    with serve_s3() as port, open_tcp_proxy(port) as proxy:
        store = open_at(proxy.port)
        kept = store.put(LARGE, name="x", media_type="a/b")
        stream = store.open(kept.id)
        proxy.cut()
        assert "it cannot be reached" in fail(lambda: store.put(b"x", name="x", media_type="a/b"))
        assert "it cannot be reached" in fail(lambda: store.read(kept.id))
        assert "it cannot be reached" in fail(stream.read)
        proxy.heal()
        stream.seek(0)
        assert stream.read() == LARGE
        assert store.read(store.put(b"x", name="x", media_type="a/b").id) == b"x"


def test_f60_upload_that_is_cut_in_the_middle_leaves_no_file():
    with serve_s3() as port, open_tcp_proxy(port) as proxy:
        store = open_at(proxy.port)

        def write() -> None:
            with store.create(name="x", media_type="a/b") as stored:
                stored.write(LARGE)
                proxy.cut()
                stored.commit()

        assert "it cannot be reached" in fail(write)
        proxy.heal()
        assert list(store.list_objects()) == []


def test_f60_put_whose_answer_is_lost_is_put_once():
    with serve_s3() as port, open_tcp_proxy(port) as proxy:
        store = open_at(proxy.port)
        proxy.lose_answer(b"PUT ")
        kept = store.put_value(b"{}")
        assert proxy.connections == 2
        assert store.read(kept.id) == b"{}"
        assert [entry.id for entry in store.list_values(stored_before_ms=4_000_000_000_000)] == [kept.id]


def test_full_bucket_is_a_full_disk():
    with serve_in_thread() as server:
        server.on(FILE_PATH, Reply(507, (), b"<Error><Code>XMinioStorageFull</Code></Error>"))
        with pytest.raises(StorageFullError):
            open_at(server.port).read(FILE_ID)
