"""The body of a delivery as a value: data and nothing else, whatever its type says and whatever names stand in it."""

import re
from base64 import b64encode
from email.message import Message
from typing import Final
from urllib.parse import parse_qsl

from flowforge.kit.border import check_json
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.web.bodies import read_json
from flowforge.web.errors import BadRequestError, PayloadTooLargeError

PARTS_MAX: Final = 1_000
PART_HEADER_MAX_BYTES: Final = 8_192
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_TEXTS: Final = frozenset({"application/xml", "application/javascript", "application/x-ndjson", "application/yaml"})


def read_hook_body(data: bytes, content_type: str, limits: Limits) -> JsonValue:
    """JSON as its value, a form as an object, text as text; other bytes as `{media_type, base64}`; an empty body as null.

    Raises:
        BadRequestError: it is not of the type that it says (`json_invalid`, `form_invalid`, `encoding`, `multipart_invalid`).
        JsonRefusedError: it can be read but not kept.
        PayloadTooLargeError: a form has too many parts, or one with too long a head.
    """
    if not data:
        return None
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        return read_json(data, limits)
    if kind == "application/x-www-form-urlencoded":
        return check_json(_read_form(data, limits), limits)
    if kind == "multipart/form-data":
        return check_json(_read_multipart(data, content_type), limits)
    if kind.startswith("text/") or kind in _TEXTS or kind.endswith("+xml"):
        return _decode(data)
    return {"media_type": kind or "application/octet-stream", "base64": b64encode(data).decode()}


def read_pairs(text: str, limits: Limits) -> JsonObject:
    """A query or form: text by name; a list of texts where a name stands several times.

    Raises:
        BadRequestError: it is not UTF-8 (`encoding`), or has too many fields (`form_invalid`).
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=limits.json_keys)
    except UnicodeDecodeError:
        raise BadRequestError("The form holds bytes that are not UTF-8.", reason="encoding") from None
    except ValueError:
        raise BadRequestError(f"The form has more than {limits.json_keys} fields.", reason="form_invalid") from None
    return unite(pairs)


def unite(pairs: list[tuple[str, str]]) -> JsonObject:
    """Values by name; a list where a name stands several times."""
    found: JsonObject = {}
    for name, value in pairs:
        _put(found, name, value)
    return found


def _put(found: JsonObject, name: str, value: JsonValue) -> None:
    if name not in found:
        found[name] = value
        return
    before = found[name]
    if isinstance(before, list):
        before.append(value)
    else:
        found[name] = [before, value]


def _read_form(data: bytes, limits: Limits) -> JsonObject:
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        text = _decode(data)
    return read_pairs(text, limits)


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as fault:
        raise BadRequestError(f"Byte {fault.start} of the body is not UTF-8.", reason="encoding") from None


def _read_multipart(data: bytes, content_type: str) -> JsonObject:
    """Fields as texts, files as `{file_name, media_type, base64}`: data, which no path or id in it can make anything else."""
    boundary = _read_parameter(content_type, "boundary")
    if boundary is None or not _BOUNDARY.fullmatch(boundary):
        raise _refuse_multipart("The Content-Type names no usable boundary.")
    mark = b"--" + boundary.encode()
    pieces = (b"\r\n" + data).split(b"\r\n" + mark, PARTS_MAX + 2)
    if len(pieces) > PARTS_MAX + 2:
        raise PayloadTooLargeError(PARTS_MAX, "parts")
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise _refuse_multipart("The form breaks off: its last boundary is missing.")
    found: JsonObject = {}
    for piece in pieces[1:-1]:
        name, value = _read_part(piece)
        _put(found, name, value)
    return found


def _read_part(piece: bytes) -> tuple[str, JsonValue]:
    head, separator, content = piece[:PART_HEADER_MAX_BYTES].partition(b"\r\n\r\n")
    if not separator:
        if len(piece) > PART_HEADER_MAX_BYTES:
            raise PayloadTooLargeError(PART_HEADER_MAX_BYTES, "part_header")
        raise _refuse_multipart("A part has no end of its head.")
    content = piece[len(head) + 4 :]
    headers = _read_part_headers(head)
    disposition = headers.get("content-disposition", "")
    name = _read_parameter(disposition, "name")
    if not disposition.lower().startswith("form-data") or name is None:
        raise _refuse_multipart("A part has no name.")
    kind = headers.get("content-type", "text/plain").partition(";")[0].strip().lower()
    if kind.startswith("multipart/"):
        raise _refuse_multipart("A form inside a form is not read.")
    file_name = _read_parameter(disposition, "filename")
    if file_name is None:
        return name, _decode(content)
    return name, {"file_name": file_name, "media_type": kind, "base64": b64encode(content).decode()}


def _read_part_headers(head: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in _decode(head).split("\r\n"):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return headers


def _read_parameter(value: str, name: str) -> str | None:
    """A parameter of a header like `form-data; name="a"`."""
    message = Message()
    message["content-type"] = re.sub(r"^\s*form-data", "multipart/form-data", value.replace("\r", " ").replace("\n", " "))
    found = message.get_param(name)
    return found if isinstance(found, str) else None


def _refuse_multipart(message: str) -> BadRequestError:
    return BadRequestError(message, reason="multipart_invalid")
