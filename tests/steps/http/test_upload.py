"""Files that are sent, over connections that break."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.steps.http.calls import SECRET, call, is_retried, refuse
from tests.support.attempts import Attempts
from tests.support.http_servers import TusServer
from tests.support.servers import EffectServer, Reply, json_reply

from flowforge.kit.objects import ObjectStore
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import AttemptContext
from flowforge.operations.calling import InvalidParametersError, find_target, run_effect, validate_parameters
from flowforge.steps.http.upload import upload

CONTENT = bytes(range(256)) * 2_000
TUS: Mapping[str, JsonValue] = {"protocol": "tus", "chunk_size": 100_000, "path": "a.bin"}


@pytest.fixture(autouse=True)
def content(attempts: Attempts, tmp_path: Path) -> None:
    (tmp_path / "work/a.bin").write_bytes(CONTENT)
    (tmp_path / "work/empty.txt").write_bytes(b"")


@pytest.fixture
def tus(server: EffectServer) -> TusServer:
    tus = TusServer()
    tus.mount(server)
    return tus


async def test_a_file_of_a_root_is_sent(attempts: Attempts, server: EffectServer):
    server.on("/up", json_reply({"id": 1}, 201))
    output = await call(attempts, upload, "/up", path="a.bin", auth={"bearer": SECRET})
    assert output == {
        "status": 201,
        "headers": {"content-type": "application/json", "content-length": "9"},
        "body": {"id": 1},
        "url": "http://api.example/up",
        "size": len(CONTENT),
        "resume_count": 0,
    }
    sent = server.received[0]
    assert (sent.method, sent.body, sent.headers["content-type"]) == ("PUT", CONTENT, "application/octet-stream")
    assert (sent.headers["content-length"], sent.headers["authorization"]) == (str(len(CONTENT)), f"Bearer {SECRET}")


async def test_a_file_value_is_sent(attempts: Attempts, server: EffectServer):
    objects = attempts.services[ObjectStore]
    assert isinstance(objects, ObjectStore)
    value = objects.put(b"%PDF", name="a.pdf", media_type="application/pdf").to_json()
    await call(attempts, upload, "/up", file=value, method="POST")
    await call(attempts, upload, "/up", file=value, media_type="text/x")
    await call(attempts, upload, "/up", path="empty.txt")
    assert [(sent.method, sent.body, sent.headers["content-type"]) for sent in server.received] == [
        ("POST", b"%PDF", "application/pdf"),
        ("PUT", b"%PDF", "text/x"),
        ("PUT", b"", "text/plain"),
    ]


async def test_a_status_fails_the_step(attempts: Attempts, server: EffectServer):
    server.on("/up", json_reply({"why": SECRET}, 507))
    error = await refuse(attempts, upload, "/up", path="a.bin")
    assert (error.code, is_retried(error)) == ("http_507", True)
    assert SECRET not in str(error.details)
    assert (await call(attempts, upload, "/up", path="a.bin", expect=507))["status"] == 507


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ({"path": "none.bin"}, "file_missing"),
        ({"path": "../a.bin"}, "path_denied"),
        ({"path": "a.bin", "root": "none"}, "root_unknown"),
        ({"path": "."}, "path_denied"),
        ({"file": {"$file": {"id": "/etc/passwd"}}}, "file_invalid"),
    ],
)
@pytest.mark.parametrize("protocol", ["plain", "tus"])
async def test_a08_what_is_no_file_is_not_sent(
    source: JsonObject, code: str, protocol: str, attempts: Attempts, server: EffectServer
):
    assert (await refuse(attempts, upload, "/up", protocol=protocol, **source)).code == code
    assert server.received == []


async def test_tus_sends_piece_by_piece(attempts: Attempts, server: EffectServer, tus: TusServer):
    output = await call(attempts, upload, "/uploads", **TUS, metadata={"album": "ä", "filetype": None, "n": 1}, query={"q": 1})
    assert tus.uploads == {"/uploads/1": bytearray(CONTENT)}
    assert tus.metadata["/uploads/1"] == {"filename": "a.bin", "album": "ä", "n": "1"}
    assert (output["url"], output["status"], output["resume_count"]) == ("http://api.example/uploads/1", 204, 0)
    assert [sent.method for sent in server.received] == ["POST", *["PATCH"] * 6]
    assert server.received[0].headers["upload-length"] == str(len(CONTENT))
    assert len(server.deliveries) == 7


async def test_tus_sends_an_empty_file(attempts: Attempts, server: EffectServer, tus: TusServer):
    output = await call(attempts, upload, "/uploads", protocol="tus", path="empty.txt")
    assert (output["size"], tus.uploads, len(server.received)) == (0, {"/uploads/1": bytearray()}, 1)


@pytest.mark.parametrize("cuts", [[0], [100_000], [1, 99_999], [50_000, 50_000]])
async def test_tus_goes_on_where_it_broke(cuts: list[int], attempts: Attempts, server: EffectServer, tus: TusServer):
    tus.cuts = [*cuts]
    output = await call(attempts, upload, "/uploads", **TUS)
    assert tus.uploads == {"/uploads/1": bytearray(CONTENT)}
    assert output["resume_count"] == len(cuts)
    assert [sent.method for sent in server.received].count("HEAD") == len(cuts)


async def call_again(attempts: Attempts, parameters: JsonObject) -> JsonValue:
    """As the engine does after an attempt that failed: with the same key."""
    context = AttemptContext("run_1", "step", 2, "key-1", attempts.services, read_clock=lambda: 0)
    return (await run_effect(upload, validate_parameters(upload, parameters), context))[1]


async def test_tus_goes_on_in_the_next_attempt(attempts: Attempts, server: EffectServer, tus: TusServer):
    tus.cuts = [100_000, 30_000]
    error = await refuse(attempts, upload, "/uploads", **TUS, resumes=1)
    assert (error.code, is_retried(error), len(tus.uploads["/uploads/1"])) == ("connection_failed", True, 130_000)
    before = len(server.received)
    await call_again(attempts, {"url": "http://api.example/uploads", **TUS})
    assert tus.uploads == {"/uploads/1": bytearray(CONTENT)}
    assert [sent.method for sent in server.received[before:]] == ["POST", "HEAD", *["PATCH"] * 4]


async def test_tus_an_upload_that_was_complete_is_not_sent_again(attempts: Attempts, server: EffectServer, tus: TusServer):
    await call(attempts, upload, "/uploads", **TUS)
    before = len(server.received)
    await call_again(attempts, {"url": "http://api.example/uploads", **TUS})
    assert [sent.method for sent in server.received[before:]] == ["POST", "HEAD"]


async def test_tus_a_conflict_is_cleared_by_asking(attempts: Attempts, server: EffectServer, tus: TusServer):
    tus.by_key["key-1"] = "/uploads/1"
    tus.uploads["/uploads/1"] = bytearray(CONTENT[:1_234])
    await call(attempts, upload, "/uploads", **TUS)
    assert tus.uploads == {"/uploads/1": bytearray(CONTENT)}


async def test_tus_an_upload_that_is_gone_is_left_to_the_next_attempt(attempts: Attempts, server: EffectServer, tus: TusServer):
    tus.is_lost = True
    error = await refuse(attempts, upload, "/uploads", **TUS)
    assert (error.code, is_retried(error)) == ("upload_gone", True)


@pytest.mark.parametrize("offset", ["", "-1", "0", "999999999", "soon"])
async def test_tus_an_offset_that_does_not_fit_ends_it(offset: str, attempts: Attempts, tus: TusServer):
    tus.offset_told = offset or " "
    error = await refuse(attempts, upload, "/uploads", **TUS)
    assert (error.code, is_retried(error)) == ("upload_protocol", False)


async def test_tus_a_server_that_speaks_no_tus_is_told(attempts: Attempts, server: EffectServer):
    server.on("/uploads", Reply(200))
    assert (await refuse(attempts, upload, "/uploads", **TUS)).code == "upload_protocol"
    server.on("/uploads", Reply(412))
    assert (await refuse(attempts, upload, "/uploads", **TUS)).code == "http_412"


async def test_tus_credentials_stay_with_their_host(
    attempts: Attempts, server: EffectServer, other_server: EffectServer, tus: TusServer
):
    tus.location = "http://other.example:8080"
    tus.cuts = [10]
    tus.mount(other_server)
    await call(attempts, upload, "/uploads", **TUS, auth={"bearer": SECRET}, headers={"X-Key": SECRET})
    assert tus.uploads == {"/uploads/1": bytearray(CONTENT)}
    assert server.received[0].headers["x-key"] == SECRET
    assert other_server.received
    assert not any("authorization" in sent.headers or "x-key" in sent.headers for sent in other_server.received)


@pytest.mark.parametrize("location", ["http://127.0.0.1:1", "http://169.254.169.254"])
async def test_net_08_tus_a_location_inside_is_refused(location: str, attempts: Attempts, tus: TusServer):
    tus.location = location
    assert (await refuse(attempts, upload, "/uploads", **TUS)).code == "egress_denied"


FAULTY: dict[str, JsonObject] = {
    "no source": {},
    "two sources": {"path": "a", "file": {"$file": {}}},
    "plain with chunks": {"path": "a", "chunk_size": "1MiB"},
    "tus with a method": {"path": "a", "protocol": "tus", "method": "PUT"},
    "a name in metadata": {"path": "a", "protocol": "tus", "metadata": {"a b": 1}},
    "a line break in metadata": {"path": "a", "protocol": "tus", "metadata": {"a\r\nX": 1}},
    "a line break in the type": {"path": "a", "media_type": "a/b\r\nX: y"},
}


@pytest.mark.parametrize("parameters", FAULTY.values(), ids=FAULTY.keys())
def test_faulty_parameters_are_refused(parameters: JsonObject):
    with pytest.raises(InvalidParametersError):
        validate_parameters(upload, {"url": "http://api.example/", **parameters})


def test_the_ledger_sees_the_host_alone():
    assert find_target(upload, {"url": "https://API.example:8443/f?key=1"}) == "api.example"
