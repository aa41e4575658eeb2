"""`object.*` against a store in this process: what goes in comes out, and what goes wrong is told."""

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

import pytest
from tests.support.network import PUBLIC_ADDRESS
from tests.support.s3 import BUCKET, HOST, Bucket, open_bucket
from tests.support.servers import Reply, serve_http

from flowforge.kit.limits import Limits
from flowforge.kit.objects import ObjectStore
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import FatalError, Operation, RetryableError
from flowforge.operations.calling import InvalidParametersError, find_target, validate_parameters
from flowforge.steps.file.read import read
from flowforge.steps.object.copy import copy
from flowforge.steps.object.delete import delete
from flowforge.steps.object.get import get
from flowforge.steps.object.list import list_objects
from flowforge.steps.object.places import read_store
from flowforge.steps.object.presign import presign
from flowforge.steps.object.put import put
from flowforge.steps.object.stat import look


@pytest.fixture
async def bucket(tmp_path: Path) -> AsyncGenerator[Bucket]:
    async with open_bucket(tmp_path) as opened:
        yield opened


async def call(bucket: Bucket, operation: Operation, **parameters: JsonValue) -> JsonObject:
    output = await bucket.attempts.call(operation, {"store": bucket.store(), **parameters})
    assert isinstance(output, dict)
    return output


async def refuse(bucket: Bucket, operation: Operation, **parameters: JsonValue) -> FatalError | RetryableError:
    with pytest.raises((FatalError, RetryableError)) as caught:
        await bucket.attempts.call(operation, {"store": bucket.store(), **parameters})
    assert caught.value.message.endswith(".")
    assert "secret-key-1" not in caught.value.message
    return caught.value


async def list_keys(bucket: Bucket, **parameters: JsonValue) -> list[JsonValue]:
    objects = (await call(bucket, list_objects, **parameters))["objects"]
    assert isinstance(objects, list)
    return [item["key"] for item in objects if isinstance(item, dict)]


async def test_a_text_comes_back_with_what_was_said_about_it(bucket: Bucket):
    made = await call(
        bucket, put, key="a/b.csv", data="x;ä", metadata={"Run": "42"}, cache_control="no-store", content_disposition="attachment"
    )
    assert (made["key"], made["size"], made["etag"]) == ("a/b.csv", 4, hashlib.md5("x;ä".encode()).hexdigest())
    got = await call(bucket, get, key="a/b.csv", **{"as": "text"})
    assert (got["content"], got["media_type"], got["metadata"], got["size"]) == ("x;ä", "text/csv", {"run": "42"}, 4)
    seen = await call(bucket, look, key="a/b.csv")
    assert (seen["exists"], seen["size"], seen["media_type"], seen["metadata"]) == (True, 4, "text/csv", {"run": "42"})


async def test_a_file_value_goes_in_and_out(bucket: Bucket, tmp_path: Path):
    (tmp_path / "work" / "photo.png").write_bytes(b"\x89PNG\0")
    value = await bucket.attempts.call(read, {"path": "photo.png", "as": "file"})
    assert isinstance(value, dict)
    await call(bucket, put, key="1", file=value["content"])
    content = (await call(bucket, get, key="1"))["content"]
    assert isinstance(content, dict)
    facts = content["$file"]
    assert isinstance(facts, dict)
    assert (facts["name"], facts["media_type"], facts["size"]) == ("1", "image/png", 5)
    got = await call(bucket, get, key="1", path="deep/copy.png")
    assert (got["content"], got["root"], got["path"]) == (None, "work", "deep/copy.png")
    assert (tmp_path / "work" / "deep" / "copy.png").read_bytes() == b"\x89PNG\0"
    await call(bucket, put, key="2.txt", path="deep/copy.png", media_type="image/x-own")
    assert (await call(bucket, look, key="2.txt"))["media_type"] == "image/x-own"


async def test_an_empty_object_is_one_too(bucket: Bucket, tmp_path: Path):
    (tmp_path / "work" / "empty").write_bytes(b"")
    for key, source in (("a", {"data": ""}), ("b", {"path": "empty"})):
        assert (await call(bucket, put, key=key, **source))["size"] == 0
        assert (await call(bucket, get, key=key, **{"as": "text"}))["content"] == ""


@pytest.mark.parametrize(
    "key", ["a b", "ä€/日", "a%20b", "a#b?c", "a+b&c=d", "..x", "[x]{y}*~", "q\"'", "a\\b", "e\u0301", "x" * 900]
)
async def test_a_key_is_taken_as_it_is(key: str, bucket: Bucket):
    await call(bucket, put, key=key, data=key)
    await call(bucket, copy, key=key, to=f"copy/{key}")
    assert (await call(bucket, get, key=f"copy/{key}", **{"as": "text"}))["content"] == key
    assert sorted(map(str, await list_keys(bucket))) == sorted([key, f"copy/{key}"])
    await call(bucket, delete, keys=[key, f"copy/{key}"])
    assert await list_keys(bucket) == []


@pytest.mark.parametrize("key", ["", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "a\nb", "a\0", "ä" * 513])
@pytest.mark.parametrize("operation", [get, put, delete, look, presign])
def test_a_key_that_would_become_another_is_refused(operation: Operation, key: str):
    more: JsonObject = {"data": ""} if operation is put else {}
    with pytest.raises(InvalidParametersError, match="key"):
        validate_parameters(operation, {"store": "s3://x", "key": key, **more})


async def test_a_range_of_bytes_is_got(bucket: Bucket):
    await call(bucket, put, key="x", data="0123456789")
    for offset, length, expected in ((2, 3, "234"), (8, 9, "89"), (4, None, "456789"), (0, 1, "0")):
        assert (await call(bucket, get, key="x", offset=offset, length=length, **{"as": "text"}))["content"] == expected
    assert (await refuse(bucket, get, key="x", offset=10, length=1)).code == "range_invalid"


async def test_an_object_is_made_only_once(bucket: Bucket):
    await call(bucket, put, key="x", data="first", mode="create")
    for operation, more in ((put, {"data": "second"}), (copy, {"key": "y", "to": "x"})):
        if operation is copy:
            await call(bucket, put, key="y", data="other")
        error = await refuse(bucket, operation, **{"key": "x", **more, "mode": "create"})
        assert isinstance(error, RetryableError)
        assert (error.code, error.by_default) == ("object_exists", False)
    assert (await call(bucket, get, key="x", **{"as": "text"}))["content"] == "first"
    await call(bucket, copy, key="x", to="new", mode="create")
    assert (await call(bucket, get, key="new", **{"as": "text"}))["content"] == "first"


async def test_a_checksum_goes_along(bucket: Bucket, tmp_path: Path):
    (tmp_path / "work" / "large").write_bytes(b"x" * (9 * 2**20))
    await call(bucket, put, key="x", data="abc", checksum="sha256")
    await call(bucket, put, key="y", path="large", checksum="sha256")
    assert (await call(bucket, look, key="y"))["size"] == 9 * 2**20


async def test_objects_are_listed_by_prefix_and_page(bucket: Bucket):
    keys = ["a", "logs/2025-1", "logs/2026-01", "logs/2026-02", "logs/2026-02/x", "logs2", "z/y/x"]
    for key in keys:
        await call(bucket, put, key=key, data=key)
    assert await list_keys(bucket) == keys
    for prefix in ("l", "logs", "logs/", "logs/2", "logs/2026-0", "logs/2026-02", "logs/2026-02/", "z/y/x", "zz", "z/y/xx"):
        assert await list_keys(bucket, prefix=prefix) == [key for key in keys if key.startswith(prefix)], prefix
    for limit in range(1, 9):
        pages: list[JsonValue] = []
        after: JsonValue = None
        while True:
            page = await call(bucket, list_objects, prefix="logs", limit=limit, after=after)
            assert isinstance(page["objects"], list)
            assert len(page["objects"]) <= limit
            pages += [item["key"] for item in page["objects"] if isinstance(item, dict)]
            after = page["next"]
            if after is None:
                break
        assert pages == keys[1:6]


async def test_objects_are_listed_as_in_a_folder(bucket: Bucket):
    for key in ("a", "b/1", "b/2/x", "c/1", "bb"):
        await call(bucket, put, key=key, data="")
    top = await call(bucket, list_objects, delimiter="/")
    assert (await list_keys(bucket, delimiter="/"), top["folders"], top["next"]) == (["a", "bb"], ["b/", "c/"], None)
    below = await call(bucket, list_objects, delimiter="/", prefix="b/")
    assert (await list_keys(bucket, delimiter="/", prefix="b/"), below["folders"]) == (["b/1"], ["b/2/"])
    partly = await call(bucket, list_objects, delimiter="/", prefix="b")
    assert (await list_keys(bucket, delimiter="/", prefix="b"), partly["folders"]) == (["bb"], ["b/"])
    seen: list[JsonValue] = []
    after: JsonValue = None
    for _ in range(4):
        page = await call(bucket, list_objects, delimiter="/", limit=1, after=after)
        assert isinstance(page["objects"], list)
        assert isinstance(page["folders"], list)
        seen += [*(item["key"] for item in page["objects"] if isinstance(item, dict)), *page["folders"]]
        after = page["next"]
    assert (seen, after) == (["a", "b/", "bb", "c/"], None)


async def test_what_is_deleted_is_gone_and_may_be_gone_before(bucket: Bucket):
    for key in "abc":
        await call(bucket, put, key=key, data="")
    assert (await call(bucket, delete, key="a"))["keys"] == ["a"]
    await call(bucket, delete, keys=["a", "b", "none"])
    assert await list_keys(bucket) == ["c"]
    wrong: list[JsonObject] = [{}, {"key": "a", "keys": ["b"]}, {"keys": []}]
    for parameters in wrong:
        with pytest.raises(InvalidParametersError):
            validate_parameters(delete, {"store": bucket.store(), **parameters})


async def test_what_is_missing_is_told_apart(bucket: Bucket):
    for operation, more in ((get, {}), (copy, {"to": "y"})):
        error = await refuse(bucket, operation, key="none", **more)
        assert isinstance(error, RetryableError)
        assert (error.code, error.by_default) == ("object_missing", False)
    assert (await call(bucket, look, key="none"))["exists"] is False
    elsewhere: JsonObject = {"store": bucket.store(bucket="no-such-bucket")}
    for operation, more in ((get, {"key": "x"}), (put, {"key": "x", "data": ""}), (list_objects, {}), (delete, {"key": "x"})):
        error = await refuse(bucket, operation, **{**elsewhere, **more})
        assert (error.code, type(error)) == ("bucket_missing", FatalError)


@pytest.mark.parametrize(
    ("status", "body", "code", "is_retried"),
    [
        (403, b"<Error><Code>SignatureDoesNotMatch</Code><Message>No.</Message></Error>", "object_denied", False),
        (401, b"", "object_denied", False),
        (400, b"<Error><Code>EntityTooLarge</Code></Error>", "object_failed", False),
        (429, b"", "object_failed", True),
        (503, b"<Error><Code>SlowDown</Code></Error>", "object_failed", True),
        (500, b"not xml", "object_failed", True),
        (200, b"", "object_missing", False),
    ],
)
async def test_what_the_store_refuses_is_told(status: int, body: bytes, code: str, is_retried: bool, bucket: Bucket):
    if status == 200:
        status, body = 404, b""
    async with serve_http() as server:
        server.on(f"/{BUCKET}/x", Reply(status, (("Content-Type", "application/xml"),), body))
        bucket.world.ports[80] = server.port
        error = await refuse(bucket, get, key="x")
        assert error.code == code
        assert (isinstance(error, RetryableError) and error.by_default) == is_retried
        assert len(server.received) <= 2
    if b"Signature" in body:
        assert "SignatureDoesNotMatch" in error.message


async def test_a_store_that_is_not_there_or_does_not_answer_is_told(bucket: Bucket, tmp_path: Path):
    del tmp_path
    bucket.world.ports[80] = 1
    error = await refuse(bucket, get, key="x")
    assert isinstance(error, RetryableError)
    assert error.code == "connection_failed"

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    listener = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    bucket.world.ports[80] = listener.sockets[0].getsockname()[1]
    bucket.attempts.limits = Limits(http_total_ms=200)
    error = await refuse(bucket, get, key="x")
    listener.close()
    assert (error.code, type(error)) == ("http_timeout", RetryableError)
    bucket.world.names.set(HOST)
    bucket.world.names.answers.clear()
    assert (await refuse(bucket, get, key="x")).code == "connection_failed"


async def test_a_broken_download_leaves_nothing(bucket: Bucket, tmp_path: Path):
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        facts = b'Content-Length: 999\r\nETag: "1"\r\nLast-Modified: Fri, 02 Jan 2026 03:04:05 GMT'
        writer.write(b"HTTP/1.1 200 OK\r\n" + facts + b"\r\n\r\nhalf")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(break_off, "127.0.0.1", 0)
    bucket.world.ports[80] = server.sockets[0].getsockname()[1]
    for more in ({}, {"path": "x"}):
        error = await refuse(bucket, get, key="x", **more)
        assert isinstance(error, RetryableError)
        assert error.code == "connection_failed"
    server.close()
    assert list_names(tmp_path / "work") == []
    objects = bucket.attempts.services[ObjectStore]
    assert isinstance(objects, ObjectStore)
    assert list(objects.list_objects()) == []


def list_names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


async def test_a_text_must_be_one_and_a_target_free(bucket: Bucket, tmp_path: Path):
    (tmp_path / "work" / "x").write_bytes(b"\xff\xfe")
    await call(bucket, put, key="x", path="x")
    assert (await refuse(bucket, get, key="x", **{"as": "text"})).code == "encoding"
    assert (await refuse(bucket, get, key="x", path="x", mode="create")).code == "file_exists"
    assert (await refuse(bucket, get, key="x", path="../x")).code == "path_denied"
    assert (await refuse(bucket, put, key="y", path="../x")).code == "path_denied"
    assert (await refuse(bucket, put, key="y", file={"$file": 1})).code == "file_invalid"
    with (tmp_path / "work" / "large").open("wb") as file:
        file.truncate(100 * 2**20 + 1)
    assert (await refuse(bucket, put, key="y", path="large", mode="create")).code == "file_too_large"


@dataclass
class LargeStore:
    """A store that holds no object: it sends out what it makes up, and counts what comes in."""

    size_bytes: int
    received: dict[str, int] = field(default_factory=dict[str, int])
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, target, _ = head.split(" ", 2)
        length = int(head.lower().partition("content-length:")[2].partition("\r\n")[0] or 0)
        while length:
            piece = await reader.read(min(length, 2**16))
            length -= len(piece)
            number = parse_qs(target.partition("?")[2]).get("partNumber", [""])[0]
            self.received[number] = self.received.get(number, 0) + len(piece)
        await self._answer(method, writer)
        writer.close()

    async def _answer(self, method: str, writer: asyncio.StreamWriter) -> None:
        body = b"<InitiateMultipartUploadResult><UploadId>1</UploadId><ETag>1</ETag></InitiateMultipartUploadResult>"
        size_bytes = self.size_bytes if method == "GET" else len(body)
        facts = f'ETag: "1"\r\nLast-Modified: Fri, 02 Jan 2026 03:04:05 GMT\r\nContent-Length: {size_bytes}'
        writer.write(f"HTTP/1.1 200 OK\r\n{facts}\r\n\r\n".encode())
        if method != "GET":
            writer.write(body)
        for number in range(size_bytes // 2**20 if method == "GET" else 0):
            writer.write(bytes([number % 256]) * 2**20)
            await writer.drain()


def read_peak_bytes() -> int:
    """The most memory that this process had since `reset_peak`, the library's own included."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


async def test_a_large_object_passes_through_with_little_memory(bucket: Bucket, tmp_path: Path):
    store = LargeStore(128 * 2**20)
    server = await asyncio.start_server(store.serve, "127.0.0.1", 0)
    bucket.world.ports[80] = server.sockets[0].getsockname()[1]
    await refuse(bucket, get, key="warm-up", offset=1)
    reset_peak()
    before_bytes = read_peak_bytes()
    got = await call(bucket, get, key="large", path="large")
    grown_by_getting = read_peak_bytes() - before_bytes
    await call(bucket, put, key="again", path="large")
    grown_by_putting = read_peak_bytes() - before_bytes
    server.close()
    assert got["size"] == (tmp_path / "work" / "large").stat().st_size == store.size_bytes
    with (tmp_path / "work" / "large").open("rb") as file:
        file.seek(100 * 2**20 - 1)
        assert file.read(2) == bytes([99, 100])
    parts = {number: size_bytes for number, size_bytes in store.received.items() if number}
    assert sum(parts.values()) == store.size_bytes
    assert set(parts) == {str(number) for number in range(1, 27)}
    assert grown_by_getting < 24 * 2**20
    assert grown_by_putting < 56 * 2**20


def send(url: str, method: str, data: bytes | None) -> bytes:
    request = Request(url, data=data, method=method, headers={"Host": HOST, "Content-Type": "text/plain"})
    with urlopen(request, timeout=10) as answer:
        return answer.read()


async def test_a_url_that_was_made_works_and_no_other(bucket: Bucket):
    bucket.attempts.secrets = ("secret-key-1",)
    for method, data in (("PUT", b"12 orders"), ("GET", None)):
        made = await call(bucket, presign, key="a b/ä", method=method, expires_in="15m")
        assert made["expires_at"] == "2026-01-02T03:19:05Z"
        url = urlsplit(str(made["url"]))
        query = parse_qs(url.query)
        assert (query["X-Amz-Expires"], query["X-Amz-Algorithm"]) == (["900"], ["AWS4-HMAC-SHA256"])
        assert "secret-key-1" not in str(made["url"])
        answer = await asyncio.to_thread(send, f"http://127.0.0.1:{bucket.port}{url.path}?{url.query}", method, data)
    assert answer == b"12 orders"
    assert bucket.world.connected == []


async def test_a_url_is_not_made_of_what_may_not_be_shown(bucket: Bucket):
    bucket.attempts.secrets = ("AKIDEXAMPLE", "secret-key-1")
    assert (await refuse(bucket, presign, key="x")).code == "url_masked"
    assert (await refuse(bucket, presign, key="x", store={"bucket": BUCKET})).code == "keys_missing"
    for expires_in in ("8d", "0s", 604_800_001):
        with pytest.raises(InvalidParametersError, match="expires_in"):
            validate_parameters(presign, {"store": bucket.store(), "key": "x", "expires_in": expires_in})


async def test_the_bucket_stands_in_the_host_where_asked(bucket: Bucket):
    bucket.world.names.set(f"{BUCKET}.{HOST}", [PUBLIC_ADDRESS])
    store: JsonObject = {**bucket.store(), "path_style": False}
    await call(bucket, put, store=store, key="x", data="1")
    assert bucket.world.names.asked == [f"{BUCKET}.{HOST}"]
    assert (await call(bucket, get, key="x", **{"as": "text"}))["content"] == "1"
    amazon = await call(bucket, presign, store={**store, "endpoint": None, "region": "eu-central-1"}, key="x")
    assert str(amazon["url"]).startswith(f"https://{BUCKET}.s3.eu-central-1.amazonaws.com/x?")


async def test_a_store_is_one_url_too(bucket: Bucket):
    url = f"s3+http://AKID:se%2Fcret@{HOST}/{BUCKET}?region=eu-west-1"
    await call(bucket, put, store=url, key="x", data="1")
    store = read_store(url)
    assert (store.endpoint, store.access_key, store.secret_key, store.region) == (
        f"http://{HOST}",
        "AKID",
        "se/cret",
        "eu-west-1",
    )
    assert read_store("s3:///bucket-1").endpoint is None
    assert find_target(put, {"store": url, "key": "x"}) == f"s3://{BUCKET}/x"
    assert find_target(list_objects, {"store": bucket.store(), "prefix": "a/"}) == f"s3://{BUCKET}/a/"
    for wrong in (
        "",
        "https://x/y",
        "s3://host",
        "s3://a:b@host/b/c",
        "s3://h/bucket?x=1",
        "s3://h/bucket?path_style=1",
        "s3://[/b",
    ):
        error = await refuse(bucket, look, store=wrong, key="x")
        assert error.code == "store_invalid"
    error = await refuse(bucket, look, store="s3://id:hush-hush@host/a/b/c", key="x")
    assert "hush" not in error.message


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"data": "", "path": "x"},
        {"data": "", "metadata": {"a b": "x"}},
        {"data": "", "metadata": {"a": "x\r\nInjected: 1"}},
        {"data": "", "metadata": {"a": "ä"}},
        {"data": "", "metadata": {"a": "x" * 2_050}},
        {"data": "", "media_type": "text/plain\nX: 1"},
    ],
)
def test_net_15_what_cannot_be_sent_as_a_header_is_refused(more: JsonObject):
    with pytest.raises(InvalidParametersError):
        validate_parameters(put, {"store": {"bucket": BUCKET}, "key": "x", **more})


async def test_keys_of_the_process_are_not_used(bucket: Bucket, monkeypatch: pytest.MonkeyPatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setitem(os.environ, name, "of-the-process")
    monkeypatch.setitem(os.environ, "AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    async with serve_http() as server:
        bucket.world.ports[80] = server.port
        server.on(f"/{BUCKET}/x", Reply(404))
        await call(bucket, look, key="x")
        await call(bucket, look, key="x", store={"bucket": BUCKET, "endpoint": f"http://{HOST}"})
        signed, unsigned = server.received
    assert "AKIDEXAMPLE" in signed.headers["authorization"]
    assert "authorization" not in unsigned.headers
    assert "of-the-process" not in str(signed) + str(unsigned)
    assert not any("proxy" in name for name in signed.headers)
