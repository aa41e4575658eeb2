"""`file.read`."""

from base64 import b64encode
from typing import Literal

import pydantic
from pydantic import Field

from flowforge.kit.border import JsonRefusedError, decode_untrusted
from flowforge.kit.limits import Limits
from flowforge.kit.objects import FileValue
from flowforge.kit.paths import FileRoots
from flowforge.kit.values import JsonValue
from flowforge.operations import ErrorCode, Example, FatalError, Nature, OperationContext, StrictModel, operation
from flowforge.steps.file.access import (
    INLINE_MAX_BYTES,
    PATH_ERRORS,
    PlaceParameters,
    guess_media_type,
    name_place,
    open_place,
    read_pieces,
    run_blocking,
)
from flowforge.steps.stored import create_stored

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
        ErrorCode("storage_full", "There is no room left in the object store.", retryable=True),
    ),
    target=name_place,
    examples=(
        Example("Read a text", {"path": "greetings/hello.txt"}, {"content": "Hello", "size": 5}),
        Example("Read JSON", {"path": "orders/42.json", "as": "json"}, {"content": {"id": 42}, "size": 9}),
    ),
)
async def read(parameters: ReadParameters, context: OperationContext) -> ReadResult:
    """Reads a file below one of the configured roots: at most 10 MiB, or 10 GiB as a file value, which is not held in memory."""
    if parameters.read_as == "file":
        stored = await run_blocking(lambda: _store(parameters, context))
        return ReadResult(content=stored.to_json(), size=stored.size_bytes)
    roots = context.service(FileRoots)
    data = await run_blocking(lambda: roots.read(parameters.root, parameters.path, max_bytes=INLINE_MAX_BYTES))
    return ReadResult(content=_interpret(parameters, data), size=len(data))


def _store(parameters: ReadParameters, context: OperationContext) -> FileValue:
    name = parameters.path.rstrip("/").rpartition("/")[2]
    with (
        open_place(context, parameters.root, parameters.path) as file,
        create_stored(context, name=name, media_type=guess_media_type(name)) as writer,
    ):
        for piece in read_pieces(file):
            writer.write(piece)
        return writer.commit()


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
