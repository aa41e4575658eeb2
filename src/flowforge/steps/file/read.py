"""`file.read`."""

from base64 import b64encode
from mimetypes import guess_type
from typing import Literal

import pydantic
from pydantic import Field

from flowforge.kit.border import JsonRefusedError, decode_untrusted
from flowforge.kit.limits import Limits
from flowforge.kit.objects import ObjectStore
from flowforge.kit.paths import FileRoots
from flowforge.kit.values import JsonValue
from flowforge.operations import ErrorCode, Example, FatalError, Nature, OperationContext, StrictModel, operation
from flowforge.steps.file.access import FILE_MAX_BYTES, INLINE_MAX_BYTES, PATH_ERRORS, PlaceParameters, name_place, run_blocking

Encoding = Literal["utf-8", "utf-16", "latin-1", "windows-1252"]


class ReadParameters(PlaceParameters):
    """Which file to read, and as what."""

    read_as: Literal["text", "json", "base64", "file"] = Field(
        default="text",
        alias="as",
        description="What the output's content is: text, a parsed JSON value, base64, or a file value.",
    )
    encoding: Encoding = Field(default="utf-8", description="The encoding of the text; a byte order mark is left out.")


class ReadResult(StrictModel):
    """A file's content."""

    content: pydantic.JsonValue = Field(description="The content, as asked for.")
    size: int = Field(description="The size of the file in bytes.")


@operation(
    "file.read",
    title="Read a file",
    category="file",
    icon="file-input",
    nature=Nature.EFFECT,
    errors=(
        *PATH_ERRORS,
        ErrorCode("encoding", "The file is no text in the encoding asked for."),
        ErrorCode("json_invalid", "The file is no JSON."),
    ),
    target=name_place,
    examples=(
        Example("Read a text", {"path": "greetings/hello.txt"}, {"content": "Hello", "size": 5}),
        Example("Read JSON", {"path": "orders/42.json", "as": "json"}, {"content": {"id": 42}, "size": 9}),
    ),
)
async def read(parameters: ReadParameters, context: OperationContext) -> ReadResult:
    """Reads a file below one of the configured roots, at most 10 MiB, or 25 MiB as a file value."""
    roots = context.service(FileRoots)
    max_bytes = FILE_MAX_BYTES if parameters.read_as == "file" else INLINE_MAX_BYTES
    data = await run_blocking(lambda: roots.read(parameters.root, parameters.path, max_bytes=max_bytes))
    if parameters.read_as == "file":
        content = await _store(parameters.path, data, context)
    else:
        content = _interpret(parameters, data)
    return ReadResult(content=content, size=len(data))


async def _store(path: str, data: bytes, context: OperationContext) -> JsonValue:
    objects = context.service(ObjectStore)
    name = path.rpartition("/")[2]
    media_type = guess_type(name)[0] or "application/octet-stream"
    stored = await run_blocking(lambda: objects.put(data, name=name, media_type=media_type))
    return stored.to_json()


def _interpret(parameters: ReadParameters, data: bytes) -> JsonValue:
    match parameters.read_as:
        case "base64":
            return b64encode(data).decode()
        case "json":
            return _parse_json(parameters.path, data)
        case _:
            return _decode(parameters.path, data, parameters.encoding)


def _parse_json(path: str, data: bytes) -> JsonValue:
    try:
        return decode_untrusted(data.removeprefix(b"\xef\xbb\xbf"), Limits(body_max_bytes=INLINE_MAX_BYTES))
    except JsonRefusedError as error:
        raise FatalError(f"{path!r} cannot be read as JSON: {error.message}", code=error.reason) from None


def _decode(path: str, data: bytes, encoding: Encoding) -> str:
    try:
        return data.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        raise FatalError(
            f"{path!r} is no {encoding} text: byte {error.start} does not fit; set `encoding`, or read it as base64.",
            code="encoding",
        ) from None
