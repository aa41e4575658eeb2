"""Files that are fetched piece by piece, over connections that break."""

import hashlib
from pathlib import Path

import pytest
from tests.steps.http.calls import SECRET, call, facts_of, is_retried, refuse
from tests.support.attempts import Attempts
from tests.support.http_servers import FlakyFile
from tests.support.servers import EffectServer, Received, Reply, json_reply, redirect

from flowforge.kit.objects import ObjectStore
from flowforge.kit.values import JsonObject
from flowforge.operations.calling import InvalidParametersError, find_target, validate_parameters
from flowforge.steps.http.download import download

CONTENT = bytes(range(256)) * 10_000
OTHER = b"another version" * 100_000


def read_stored(attempts: Attempts, output: JsonObject) -> bytes:
    objects = attempts.services[ObjectStore]
    assert isinstance(objects, ObjectStore)
    return objects.read(str(facts_of(output["file"])["id"]))


def list_left(folder: Path) -> list[str]:
    """Every file that is there, drafts included."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


async def test_a_file_is_fetched_whole(attempts: Attempts, server: EffectServer, tmp_path: Path):
    headers = [("Content-Type", "application/pdf"), ("Content-Disposition", "attachment; filename*=UTF-8''M%C3%A4rz.pdf")]
    server.on("/f", FlakyFile(CONTENT, headers=headers))
    output = await call(attempts, download, "/f", auth={"bearer": SECRET}, query={"a": 1})
    facts = facts_of(output["file"])
    assert (facts["name"], facts["media_type"], facts["size"]) == ("März.pdf", "application/pdf", len(CONTENT))
    assert output["sha256"] == facts["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert (read_stored(attempts, output), output["resume_count"]) == (CONTENT, 0)
    sent = server.received[0]
    assert (sent.target, sent.headers["authorization"], sent.headers["accept-encoding"]) == (
        "/f?a=1",
        f"Bearer {SECRET}",
        "identity",
    )
    assert len(list_left(tmp_path)) == 1


@pytest.mark.parametrize("cuts", [[1], [70_000], [1_500_000, 500_000], [2_559_999]])
async def test_f56_a_download_goes_on_where_it_broke(cuts: list[int], attempts: Attempts, server: EffectServer):
    file = FlakyFile(CONTENT, cuts=[*cuts])
    server.on("/f", file)
    output = await call(attempts, download, "/f")
    assert read_stored(attempts, output) == CONTENT
    assert output["resume_count"] == len(cuts)
    assert file.ranges == [None, *(f"bytes={sum(cuts[: count + 1])}-" for count in range(len(cuts)))]
    assert [sent.headers.get("if-range") for sent in server.received] == [None, *['"v1"'] * len(cuts)]
    assert [line[0] for line in attempts.log].count("warning") == len(cuts)


async def test_a_download_goes_on_by_the_time_of_the_last_change(attempts: Attempts, server: EffectServer):
    when = "Wed, 21 Oct 2015 07:28:00 GMT"
    headers = [("Last-Modified", when), ("Date", "Wed, 21 Oct 2015 07:28:01 GMT")]
    server.on("/f", FlakyFile(CONTENT, etag=None, cuts=[1_000], headers=headers))
    output = await call(attempts, download, "/f")
    assert (read_stored(attempts, output), server.received[1].headers["if-range"]) == (CONTENT, when)


async def test_a_file_that_changed_meanwhile_begins_anew(attempts: Attempts, server: EffectServer):
    server.on("/f", FlakyFile(CONTENT, cuts=[1_000_000], versions=[(OTHER, '"v2"')]))
    output = await call(attempts, download, "/f")
    assert read_stored(attempts, output) == OTHER
    assert len(server.received) == 2


async def test_a_server_that_knows_no_ranges_begins_anew(attempts: Attempts, server: EffectServer):
    server.on("/f", FlakyFile(CONTENT, cuts=[1_000_000, 7], knows_ranges=False))
    assert read_stored(attempts, await call(attempts, download, "/f")) == CONTENT


@pytest.mark.parametrize(
    ("etag", "headers"),
    [
        (None, []),
        ('W/"v1"', []),
        ('"v1"', [("Accept-Ranges", "none")]),
        (None, [("Last-Modified", "Wed, 21 Oct 2015 07:28:00 GMT"), ("Date", "Wed, 21 Oct 2015 07:28:00 GMT")]),
        (None, [("Last-Modified", "yesterday"), ("Date", "now")]),
    ],
)
async def test_without_a_version_the_next_attempt_begins_anew(
    etag: str | None, headers: list[tuple[str, str]], attempts: Attempts, server: EffectServer, tmp_path: Path
):
    server.on("/f", FlakyFile(CONTENT, etag=etag, cuts=[1_000], headers=headers))
    error = await refuse(attempts, download, "/f")
    assert (error.code, is_retried(error), len(server.received)) == ("connection_failed", True, 1)
    assert list_left(tmp_path) == []


async def test_a_connection_that_breaks_too_often_fails_the_attempt(attempts: Attempts, server: EffectServer, tmp_path: Path):
    server.on("/f", FlakyFile(CONTENT, cuts=[10, 10, 10]))
    error = await refuse(attempts, download, "/f", resumes=1)
    assert (error.code, is_retried(error), len(server.received)) == ("connection_failed", True, 2)
    assert list_left(tmp_path) == []


async def test_a_server_that_is_down_for_a_moment_is_asked_again(attempts: Attempts, server: EffectServer):
    file = FlakyFile(CONTENT, cuts=[1_000])

    def answer(request: Received) -> object:
        return json_reply(None, 503) if len(server.received) == 2 else file(request)

    server.on("/f", answer)  # pyright: ignore[reportArgumentType] - an answer of either kind
    output = await call(attempts, download, "/f")
    assert (read_stored(attempts, output), output["resume_count"]) == (CONTENT, 2)


@pytest.mark.parametrize("total", [2_560_000, 7])
async def test_416_tells_that_all_is_there_or_to_begin_anew(total: int, attempts: Attempts, server: EffectServer):
    """The server's first answer has a Content-Length that is too large, so that it seems to break at its very end."""

    def answer(request: Received) -> object:
        if len(server.received) == 1:
            return FlakyFile(CONTENT + b"x", cuts=[len(CONTENT)])(request)
        if "range" in request.headers:
            return Reply(416, (("Content-Range", f"bytes */{total}"),))
        return FlakyFile(CONTENT)(request)

    server.on("/f", answer)  # pyright: ignore[reportArgumentType] - an answer of either kind
    assert read_stored(attempts, await call(attempts, download, "/f")) == CONTENT
    assert len(server.received) == (2 if total == len(CONTENT) else 3)


@pytest.mark.parametrize("content_range", ["bytes 0-9/10", "bytes 1001-2559999/2560000", "bytes 1000-2559999/9", "nonsense", ""])
async def test_a_part_that_was_not_asked_for_is_not_joined(content_range: str, attempts: Attempts, server: EffectServer):
    def answer(request: Received) -> object:
        if "range" in request.headers:
            return Reply(206, (("Content-Range", content_range),), b"x" * 10)
        return FlakyFile(CONTENT, cuts=[1_000] if len(server.received) == 1 else [])(request)

    server.on("/f", answer)  # pyright: ignore[reportArgumentType] - an answer of either kind
    assert read_stored(attempts, await call(attempts, download, "/f")) == CONTENT


async def test_the_wrong_file_is_not_kept(attempts: Attempts, server: EffectServer, tmp_path: Path):
    server.on("/f", FlakyFile(CONTENT))
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert (await call(attempts, download, "/f", sha256=digest.upper()))["sha256"] == digest
    for place in ({}, {"path": "a/b.bin"}):
        error = await refuse(attempts, download, "/f", sha256="0" * 64, **place)
        assert (error.code, is_retried(error)) == ("checksum_mismatch", False)
    assert len(list_left(tmp_path)) == 1


async def test_a_file_goes_below_a_root(attempts: Attempts, server: EffectServer, tmp_path: Path):
    server.on("/f", FlakyFile(CONTENT, cuts=[5]))
    output = await call(attempts, download, "/f", path="a/b.bin")
    assert (tmp_path / "work/a/b.bin").read_bytes() == CONTENT
    assert (output["file"], output["root"], output["path"], output["size"]) == (None, "work", "a/b.bin", len(CONTENT))
    error = await refuse(attempts, download, "/f", path="a/b.bin", mode="create")
    assert error.code == "file_exists"
    server.on("/f", FlakyFile(OTHER))
    await call(attempts, download, "/f", path="a/b.bin")
    assert (tmp_path / "work/a/b.bin").read_bytes() == OTHER


@pytest.mark.parametrize(("place", "code"), [({"path": "../x"}, "path_denied"), ({"path": "x", "root": "none"}, "root_unknown")])
async def test_a08_a_path_out_of_the_root_is_refused(place: JsonObject, code: str, attempts: Attempts, tmp_path: Path):
    assert (await refuse(attempts, download, "/f", **place)).code == code
    assert list_left(tmp_path) == []


@pytest.mark.parametrize("place", [{}, {"path": "old.bin"}])
async def test_f52_a_file_that_is_too_large_leaves_nothing(
    place: JsonObject, attempts: Attempts, server: EffectServer, tmp_path: Path
):
    (tmp_path / "work/old.bin").write_bytes(b"old")
    server.on("/f", FlakyFile(CONTENT))
    server.on("/chunked", Reply(headers=(("Transfer-Encoding", "chunked"),), body=b"400\r\n" + b"x" * 1_024 + b"\r\n0\r\n\r\n"))
    for path in ("/f", "/chunked"):
        error = await refuse(attempts, download, path, max_size="1023B", **place)
        assert (error.code, is_retried(error)) == ("response_too_large", False)
    assert list_left(tmp_path) == ["work/old.bin"]
    assert (tmp_path / "work/old.bin").read_bytes() == b"old"


@pytest.mark.parametrize("status", [206, 302, 404, 500])
async def test_a_status_is_no_file(status: int, attempts: Attempts, server: EffectServer, tmp_path: Path):
    server.on("/f", json_reply({"why": "no"}, status))
    error = await refuse(attempts, download, "/f", follow_redirects=False)
    assert (error.code, list_left(tmp_path)) == (f"http_{status}", [])


async def test_an_unchanged_file_is_not_fetched(attempts: Attempts, server: EffectServer, tmp_path: Path):
    server.on("/f", Reply(304, (("ETag", '"v1"'),)))
    output = await call(attempts, download, "/f", if_changed={"etag": '"v1"'}, path="a.bin")
    assert (output["is_changed"], output["file"], output["sha256"]) == (False, None, None)
    assert list_left(tmp_path) == []
    assert (await refuse(attempts, download, "/f")).code == "http_304"


async def test_credentials_are_dropped_when_a_redirect_leads_away(
    attempts: Attempts, server: EffectServer, other_server: EffectServer
):
    server.on("/f", redirect("http://other.example:8080/g"))
    other_server.on("/g", FlakyFile(CONTENT, cuts=[1_000]))
    output = await call(attempts, download, "/f", auth={"bearer": SECRET}, headers={"X-Key": SECRET})
    assert (read_stored(attempts, output), output["url"]) == (CONTENT, "http://other.example:8080/g")
    assert not any("authorization" in sent.headers or "x-key" in sent.headers for sent in other_server.received)
    assert other_server.received[1].headers.get("range") in {None, "bytes=1000-"}


async def test_progress_is_written_to_the_log(attempts: Attempts, server: EffectServer):
    server.on("/f", FlakyFile(CONTENT * 4))
    await call(attempts, download, "/f")
    told = [fields["percent"] for level, _, fields in attempts.log if level == "info"]
    assert 5 <= len(told) <= 10
    assert told[-1] == 100


FAULTY: dict[str, JsonObject] = {
    "a range": {"headers": {"Range": "bytes=0-1"}},
    "an encoding": {"headers": {"accept-encoding": "gzip"}},
    "a digest": {"sha256": "abc"},
    "too large": {"max_size": "11GiB"},
    "a name and a path": {"path": "a", "name": "b"},
    "a method": {"method": "POST"},
}


@pytest.mark.parametrize("parameters", FAULTY.values(), ids=FAULTY.keys())
def test_faulty_parameters_are_refused(parameters: JsonObject):
    with pytest.raises(InvalidParametersError):
        validate_parameters(download, {"url": "http://api.example/", **parameters})


def test_the_ledger_sees_the_host_alone():
    assert find_target(download, {"url": "https://API.example:8443/f?key=1"}) == "api.example"
