"""What is sent: bytes, files, forms with files."""

import email
from email.message import Message

import pytest
from tests.steps.http.calls import call, refuse
from tests.support.attempts import Attempts
from tests.support.servers import EffectServer, redirect

from flowforge.kit.objects import ObjectStore
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations.calling import InvalidParametersError, validate_parameters
from flowforge.steps.http.request import request as http_request


def store(attempts: Attempts, data: bytes, name: str = "a.pdf", media_type: str = "application/pdf") -> JsonObject:
    objects = attempts.services[ObjectStore]
    assert isinstance(objects, ObjectStore)
    return objects.put(data, name=name, media_type=media_type).to_json()


def read_parts(content_type: str, body: bytes) -> list[Message]:
    """By the standard library's parser of MIME, which knows nothing of ours."""
    message = email.message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    assert message.is_multipart()
    return [part for part in message.walk() if not part.is_multipart()]


async def test_a_file_is_sent_with_its_own_type_and_exact_length(attempts: Attempts, server: EffectServer):
    data = bytes(range(256)) * 4_000
    await call(attempts, http_request, "/x", method="PUT", file=store(attempts, data))
    sent = server.received[0]
    assert (sent.body, sent.headers["content-type"], sent.headers["content-length"]) == (data, "application/pdf", str(len(data)))
    await call(attempts, http_request, "/x", method="PUT", file=store(attempts, b""), headers={"Content-Type": "text/x"})
    assert (server.received[1].body, server.received[1].headers["content-type"]) == (b"", "text/x")


async def test_a_file_is_sent_again_after_a_redirect_that_keeps_the_body(attempts: Attempts, server: EffectServer):
    server.on("/old", redirect("/new", 307))
    await call(attempts, http_request, "/old", method="POST", file=store(attempts, b"data"))
    assert [(sent.path, sent.body) for sent in server.received] == [("/old", b"data"), ("/new", b"data")]


async def test_the_size_that_a_file_value_claims_is_not_believed(attempts: Attempts, server: EffectServer):
    value = store(attempts, b"four")
    facts = value["$file"]
    assert isinstance(facts, dict)
    await call(attempts, http_request, method="POST", file={"$file": {**facts, "size": 1}})
    await call(attempts, http_request, method="POST", file={"$file": {**facts, "size": 10**9}})
    assert [sent.body for sent in server.received] == [b"four", b"four"]


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"file": {"a": 1}}, "file_invalid"),
        ({"file": {"$file": {"path": "/etc/passwd"}}}, "file_invalid"),
        ({"multipart": [{"name": "f", "file": {"$file": 1}}]}, "file_invalid"),
        ({"base64": "§"}, "base64_invalid"),
        ({"multipart": [{"name": "f", "base64": "§"}]}, "base64_invalid"),
    ],
)
async def test_what_is_no_file_is_not_sent(parameters: JsonObject, code: str, attempts: Attempts, server: EffectServer):
    assert (await refuse(attempts, http_request, method="POST", **parameters)).code == code
    assert server.received == []


async def test_a_file_that_is_gone_is_named(attempts: Attempts, server: EffectServer):
    value = store(attempts, b"x")
    facts = value["$file"]
    assert isinstance(facts, dict)
    objects = attempts.services[ObjectStore]
    assert isinstance(objects, ObjectStore)
    objects.delete(str(facts["id"]))
    error = await refuse(attempts, http_request, method="POST", multipart=[{"name": "f", "file": value}])
    assert (error.code, error.message.startswith("multipart[0].file: ")) == ("file_missing", True)
    assert server.received == []


@pytest.mark.parametrize(
    "body",
    [
        {"files": {"f": {"filepath": "/etc/passwd"}}},
        {"$file": {"id": "file_01hzzzzzzzzzzzzzzzzzzzzzzz", "path": "/etc/passwd"}},
        {"$ref": "value_01hzzzzzzzzzzzzzzzzzzzzzzz"},
    ],
)
async def test_a07_json_that_looks_like_a_file_stays_data(body: JsonValue, attempts: Attempts, server: EffectServer):
    await call(attempts, http_request, method="POST", json=body)
    await call(attempts, http_request, method="POST", multipart=[{"name": "files", "json": body}])
    assert b"root:" not in server.received[0].body + server.received[1].body
    [part] = read_parts(server.received[1].headers["content-type"], server.received[1].body)
    assert part.get_payload(decode=True) == server.received[0].body


async def test_base64_is_sent_as_bytes(attempts: Attempts, server: EffectServer):
    await call(attempts, http_request, method="POST", base64="AAEC\n/w==")
    assert (server.received[0].body, server.received[0].headers["content-type"]) == (b"\0\1\2\xff", "application/octet-stream")


async def test_a_form_with_files_is_read_by_another_parser(attempts: Attempts, server: EffectServer):
    big = b"\r\n--\r\n" * 100_000
    parts: list[JsonValue] = [
        {"name": "text", "value": "ä\r\nb"},
        {"name": "number", "value": 3},
        {"name": 'odd"name', "json": {"a": [1]}},
        {"name": "doc", "file": store(attempts, big, "größe.pdf")},
        {"name": "raw", "base64": "AAEC", "filename": 'a";b.bin', "media_type": "image/png"},
    ]
    await call(attempts, http_request, method="POST", multipart=parts)
    sent = server.received[0]
    read = read_parts(sent.headers["content-type"], sent.body)
    assert [part.get_payload(decode=True) for part in read] == ["ä\r\nb".encode(), b"3", b'{"a":[1]}', big, b"\0\1\2"]
    raw = sent.body
    assert b'name="odd%22name"' in raw
    assert 'name="doc"; filename="größe.pdf"'.encode() in raw
    assert b'name="raw"; filename="a%22;b.bin"' in raw
    assert [part.get_content_type() for part in read[2:]] == ["application/json", "application/pdf", "image/png"]
    assert sent.headers["content-length"] == str(len(raw))


async def test_the_boundary_is_the_same_at_every_attempt_and_in_no_part(attempts: Attempts, server: EffectServer):
    for value in ("x", "x"):
        await call(attempts, http_request, method="POST", multipart=[{"name": "a", "value": value}])
    first, second = server.received
    assert first.headers["content-type"] == second.headers["content-type"]
    boundary = first.headers["content-type"].partition("boundary=")[2]
    await call(attempts, http_request, method="POST", multipart=[{"name": "a", "value": f"--{boundary}--"}])
    third = server.received[2]
    assert third.headers["content-type"] != first.headers["content-type"]
    [part] = read_parts(third.headers["content-type"], third.body)
    assert part.get_payload(decode=True) == f"--{boundary}--".encode()


FAULTY: dict[str, JsonObject] = {
    "a line break in a name": {"multipart": [{"name": "a\r\nX: y", "value": 1}]},
    "a line break in a file name": {"multipart": [{"name": "a", "value": 1, "filename": "a\nb"}]},
    "a line break in a type": {"multipart": [{"name": "a", "value": 1, "media_type": "a/b\r\nX: y"}]},
    "no content": {"multipart": [{"name": "a"}]},
    "two contents": {"multipart": [{"name": "a", "value": 1, "json": 1}]},
    "no part": {"multipart": []},
    "two bodies": {"text": "x", "base64": "AA=="},
    "a size too large": {"response": "file", "max_size": "11GiB"},
}


@pytest.mark.parametrize("parameters", FAULTY.values(), ids=FAULTY.keys())
def test_faulty_bodies_are_refused_before_anything_is_sent(parameters: JsonObject):
    with pytest.raises(InvalidParametersError):
        validate_parameters(http_request, {"url": "http://api.example/", "method": "POST", **parameters})
