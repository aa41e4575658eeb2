"""`email.parse`, from text and from a file."""

from base64 import b64encode
from pathlib import Path
from typing import Any, cast

import pytest
from tests.support.attempts import Attempts, make_services

from flowforge.kit.objects import ObjectStore
from flowforge.kit.values import JsonObject
from flowforge.operations.calling import InvalidParametersError, call_pure
from flowforge.operations.definition import FatalError
from flowforge.steps.email.parse import parse

MESSAGE = (
    b"From: a@example.com\r\nSubject: Invoice\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\n\r\nSee below\r\n--b\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; filename=i.csv\r\n\r\nid\r\n7\r\n--b--\r\n"
)


def read(parameters: JsonObject) -> dict[str, Any]:
    return cast("dict[str, Any]", call_pure(parse, parameters))


def test_from_text_attachments_come_in_base64():
    result = read({"data": MESSAGE.decode()})
    assert (result["from"], result["subject"], result["text"]) == (
        {"name": "", "address": "a@example.com"},
        "Invoice",
        "See below",
    )
    assert result["attachments"] == [
        {
            "name": "i.csv",
            "media_type": "text/csv",
            "size": 5,
            "cid": None,
            "is_inline": False,
            "file": None,
            "base64": "aWQNCjc=",
        }
    ]


def test_from_base64_bytes_are_kept():
    data = b"Content-Type: text/plain; charset=iso-8859-1\n\n\xe4"
    assert read({"data": b64encode(data).decode(), "data_encoding": "base64"})["text"] == "ä"


async def test_from_a_file_attachments_come_as_files(tmp_path: Path):
    attempts = Attempts(make_services(tmp_path))
    objects = cast("ObjectStore", attempts.services[ObjectStore])
    stored = objects.put(MESSAGE, name="m.eml", media_type="message/rfc822").to_json()
    result = cast("dict[str, Any]", await attempts.call(parse, {"file": stored}))
    attachment = result["attachments"][0]
    assert (result["text"], attachment["base64"], attachment["size"]) == ("See below", None, 5)
    facts = attachment["file"]["$file"]
    assert (facts["name"], facts["media_type"], objects.read(facts["id"])) == ("i.csv", "text/csv", b"id\r\n7")


async def test_a_file_that_is_too_large_is_refused(tmp_path: Path):
    attempts = Attempts(make_services(tmp_path))
    objects = cast("ObjectStore", attempts.services[ObjectStore])
    stored = objects.put(bytes(26 * 2**20), name="m.eml", media_type="message/rfc822").to_json()
    with pytest.raises(FatalError) as caught:
        await attempts.call(parse, {"file": stored})
    assert caught.value.code == "file_too_large"


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"data": "nonsense!", "data_encoding": "base64"}, "base64_invalid"),
        ({"data": "x" * (10 * 2**20 + 1)}, "data_too_large"),
    ],
)
def test_data_that_cannot_be_read(parameters: JsonObject, code: str):
    with pytest.raises(FatalError) as caught:
        read(parameters)
    assert caught.value.code == code


@pytest.mark.parametrize("parameters", [{}, {"data": "x", "file": {"$file": {}}}, {"data": "x", "data_encoding": "utf-8"}])
def test_exactly_one_source_is_given(parameters: JsonObject):
    with pytest.raises(InvalidParametersError):
        read(parameters)
    assert parse.file_parameters == frozenset({"file"})


def test_an_empty_text_is_an_empty_message():
    result = read({"data": ""})
    assert (result["from"], result["subject"], result["attachments"], result["headers"]) == (None, "", [], {})
