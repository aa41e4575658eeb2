"""A delivery's body is data: list WH of the bad input (cases 20 to 25, 42), class A07 of the attacks."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.triggers.hook_lab import SECRET, HookLab, make_document, open_hook_lab, read_code, read_json, sign

from flowforge.kit.limits import Limits
from flowforge.triggers.hook_bodies import read_hook_body
from flowforge.web.errors import BadRequestError, PayloadTooLargeError

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"


async def receive(lab: HookLab, body: bytes, content_type: str = "application/json") -> Any:
    """What `trigger.body` is in the run, which must complete."""
    answer = await lab.send("orders", body, content_type=content_type)
    assert answer.status_code == 202, answer.text
    run_id = read_json(answer)["run_id"]
    assert (await lab.finish(run_id)).status == "completed"
    started = await lab.read_start(run_id)
    assert started["input"] == started["trigger"]["body"]
    return started["trigger"]["body"]


async def test_wh_20_a_body_above_the_limit_is_refused_before_it_is_verified(tmp_path: Path):
    async with open_hook_lab(tmp_path, {"limits": Limits(body_max_bytes=2_048)}) as lab:
        await lab.set_secret("SHOP", SECRET)
        await lab.publish(make_document("shop", "{path: orders, auth: {hmac: '${{ secrets.SHOP }}'}}"))
        assert (await lab.send("orders", b'"' + b"x" * 2_046 + b'"')).status_code == 202
        for content in (b'"' + b"x" * 2_047 + b'"', _stream(3_000)):
            answer = await lab.client.post("/hooks/orders", content=content, headers={"x-webhook-signature": "sha256=00"})
            assert (answer.status_code, read_code(answer)) == (413, "body_max")
        assert await lab.count_runs() == 1


async def _stream(size: int):
    for _ in range(size // 100):
        yield b"x" * 100


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "json_invalid"),
        (b"NaN", "json_invalid"),
        (b'{"a":1,"a":2}', "json_duplicate_key"),
        (b"[" * 100_000, "json_depth"),
        (b'"\xff"', "encoding"),
        ('"x"'.encode("utf-16"), "encoding"),
    ],
)
async def test_wh_21_json_that_is_none_is_refused_after_the_signature_was_checked(lab: HookLab, body: bytes, code: str):
    answer = await lab.send("orders", body)
    assert (answer.status_code, read_code(answer)) == (400, code)
    assert (await lab.send("orders", body, x_webhook_signature="sha256=00")).status_code == 401
    assert await lab.count_runs() == 0


async def test_wh_22_and_a07_a_form_that_names_a_file_is_data(lab: HookLab, tmp_path: Path):
    canary = tmp_path / "canary.txt"
    canary.write_text("the canary")
    body = f"files[f][filepath]={canary}&a=1&a=2".encode()
    got = await receive(lab, body, FORM)
    assert got == {"files[f][filepath]": str(canary), "a": ["1", "2"]}
    assert "the canary" not in str(got)


async def test_wh_23_and_a07_json_that_names_a_file_is_data(lab: HookLab, tmp_path: Path):
    canary = tmp_path / "canary.txt"
    canary.write_text("the canary")
    value = {"files": {"f": {"filepath": str(canary)}}}
    assert await receive(lab, orjson.dumps(value)) == value


async def test_a07_references_of_our_own_in_a_body_are_data(lab: HookLab):
    foreign = {"id": "file_" + "0" * 26, "path": "/etc/passwd"}
    for value in ({"$file": foreign}, {"$ref": "blob_" + "0" * 26}, {"blob": foreign}):
        assert await receive(lab, orjson.dumps(value)) == value


async def test_a07_json_in_a_field_of_a_form_stays_text(lab: HookLab):
    field = b'--b\r\nContent-Disposition: form-data; name="files"\r\nContent-Type: application/json\r\n\r\n{"f":{"filepath":"/etc/passwd"}}\r\n--b--\r\n'
    assert await receive(lab, field, MULTIPART) == {"files": '{"f":{"filepath":"/etc/passwd"}}'}


async def test_a_file_in_a_form_is_data_with_its_name(lab: HookLab):
    body = b'--b\r\nContent-Disposition: form-data; name="f"; filename="../../x.bin"\r\nContent-Type: image/png\r\n\r\n\x00\xff\r\n--b--'
    assert await receive(lab, body, MULTIPART) == {"f": {"file_name": "../../x.bin", "media_type": "image/png", "base64": "AP8="}}


async def test_wh_24_expressions_in_a_body_are_data(lab: HookLab):
    value = {"a": "${{ secrets.SHOP }}", "${{ 1 + 1 }}": "${{ run.id }}"}
    assert await receive(lab, orjson.dumps(value)) == value


async def test_a04_a_document_in_a_body_is_data(lab: HookLab):
    document = {"flowforge": 1, "name": "theirs", "steps": [{"id": "stop", "uses": "flow.fail", "with": {"code": "theirs"}}]}
    value = {"document": document, "workflow": "theirs", "version": "draft", "use_mocks": True}
    answer = await lab.send("orders", orjson.dumps(value))
    run_id = read_json(answer)["run_id"]
    assert (await lab.finish(run_id)).status == "completed"
    started = await lab.read_start(run_id)
    assert (started["workflow"]["name"], started["trigger"]["body"]) == ("shop", value)


async def test_wh_25_names_with_a_meaning_are_data(lab: HookLab):
    names = ["__proto__", "constructor", "trigger", "steps", "secrets", "$file", "$ref"]
    value = {name: {"x": 1} for name in names}
    answer = await lab.send("orders", orjson.dumps(value))
    run_id = read_json(answer)["run_id"]
    started = await lab.read_start(run_id)
    assert started["trigger"]["body"] == value
    assert started["trigger"]["kind"] == "webhook"
    assert (await lab.finish(run_id)).status == "completed"


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b"plain", "text/plain", "plain"),
        (b"<a/>", "application/xml; charset=utf-8", "<a/>"),
        (b"\x00\x01", "application/octet-stream", {"media_type": "application/octet-stream", "base64": "AAE="}),
        (b"\x00\x01", "", {"media_type": "application/octet-stream", "base64": "AAE="}),
        (b'{"a":1}', "application/vnd.shop+json", {"a": 1}),
    ],
)
async def test_a_body_of_any_type_is_taken(lab: HookLab, body: bytes, content_type: str, expected: object):
    assert await receive(lab, body, content_type) == expected


PART = b'Content-Disposition: form-data; name="a"\r\n\r\n1\r\n'


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (
            b'--b\r\nContent-Disposition: form-data; name="a"\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c--\r\n--b--',
            400,
        ),
        ((b"--b\r\n" + PART) * 10_000 + b"--b--", 413),
        (b"--b\r\nX: " + b"x" * 2**20 + b"\r\n\r\n1\r\n--b--", 413),
        (b"--b\r\n" + PART, 400),
        (b"--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--", 400),
        (b"--b\r\n--b--", 400),
        (b"nothing", 400),
    ],
)
async def test_wh_42_broken_and_swollen_forms_are_refused(lab: HookLab, body: bytes, refusal: int):
    answer = await lab.send("orders", body, content_type=MULTIPART)
    assert answer.status_code == refusal
    assert await lab.count_runs() == 0


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=" + "b" * 71])
def test_wh_42_a_form_without_usable_boundary_is_refused(content_type: str):
    with pytest.raises(BadRequestError):
        read_hook_body(b"--b--", content_type, Limits())


def test_wh_42_a_form_of_many_parts_is_cut_by_none_but_the_first_thousand():
    with pytest.raises(PayloadTooLargeError):
        read_hook_body((b"--b\r\n" + PART) * 1_001 + b"--b--", MULTIPART, Limits())
    read = read_hook_body((b"--b\r\n" + PART) * 1_000 + b"--b--", MULTIPART, Limits())
    assert read == {"a": ["1"] * 1_000}


async def test_the_input_is_what_the_trigger_makes_of_the_body(lab: HookLab):
    document = make_document(
        "made",
        "{path: made, auth: {hmac: '${{ secrets.SHOP }}'}}\n    input: {order: '${{ trigger.body.id }}', from: '${{ trigger.headers[\"user-agent\"] }}'}",
    )
    await lab.publish(document)
    answer = await lab.send("made", b'{"id":7}', user_agent="shop/1")
    assert (await lab.read_start(read_json(answer)["run_id"]))["input"] == {"order": 7, "from": "shop/1"}
    broken = await lab.send("made", b"{}")
    assert (broken.status_code, read_code(broken)) == (422, "missing_field")
    assert sign(b"") != sign(b"{}")
