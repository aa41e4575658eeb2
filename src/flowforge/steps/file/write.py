"""`file.write`."""

import hashlib
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Literal

import pydantic
from pydantic import Field, model_validator

from flowforge.kit.border import encode
from flowforge.kit.paths import FileRoots
from flowforge.operations import ErrorCode, Example, FileInput, Nature, OperationContext, StrictModel, operation, require_one
from flowforge.steps.encoded import decode_base64
from flowforge.steps.file.access import (
    FILE_INVALID,
    PATH_ERRORS,
    WRITE_ERRORS,
    PlaceParameters,
    name_place,
    read_pieces,
    run_blocking,
)
from flowforge.steps.stored import open_stored


class WriteParameters(PlaceParameters):
    """Where to write, and what: exactly one of `text`, `json`, `base64` and `file`."""

    text: str | None = Field(default=None, description="Text, written in UTF-8.")
    json_content: pydantic.JsonValue = Field(
        default=None, alias="json", description="A value, written as JSON; `null` is one too."
    )
    base64: str | None = Field(default=None, description="Bytes, in base64.")
    file: FileInput | None = Field(default=None, description="A file value, as a step gave it.")
    mode: Literal["replace", "create"] = Field(
        default="replace", description="Whether a file that is there is replaced or is an error."
    )

    @model_validator(mode="after")
    def _check_one_content(self) -> "WriteParameters":
        require_one(self, "text", "json_content", "base64", "file", null_counts={"json_content"})
        return self


class WriteResult(StrictModel):
    """The file that was written."""

    root: str = Field(description="The root.")
    path: str = Field(description="The path below the root.")
    size: int = Field(description="The size in bytes.")
    sha256: str = Field(description="The SHA-256 of the content, in hexadecimal.")


@operation(
    "file.write",
    title="Write a file",
    category="file",
    icon="file-output",
    nature=Nature.EFFECT,
    errors=(
        *PATH_ERRORS,
        *WRITE_ERRORS,
        FILE_INVALID,
        ErrorCode("base64_invalid", "The parameter `base64` is no base64."),
    ),
    target=name_place,
    examples=(
        Example(
            "Write a text",
            {"path": "reports/today.txt", "text": "12 orders"},
            {
                "root": "work",
                "path": "reports/today.txt",
                "size": 9,
                "sha256": "7f8d912027fc4b7ff8cdcd32de59425f58eef5d1f49c2e1b67edf1577bf9da36",
            },
        ),
    ),
)
async def write(parameters: WriteParameters, context: OperationContext) -> WriteResult:
    """Writes a file below one of the configured roots. It is there whole or not at all; folders on the way are made."""
    size_bytes, sha256 = await run_blocking(lambda: _write(parameters, context))
    return WriteResult(root=parameters.root, path=parameters.path, size=size_bytes, sha256=sha256)


def _write(parameters: WriteParameters, context: OperationContext) -> tuple[int, str]:
    digest = hashlib.sha256()
    with ExitStack() as stack:
        pieces = _open_content(stack, parameters, context)
        replaces = parameters.mode == "replace"
        writer = stack.enter_context(context.service(FileRoots).create(parameters.root, parameters.path, replaces=replaces))
        for piece in pieces:
            writer.write(piece)
            digest.update(piece)
        writer.commit()
    return writer.size_bytes, digest.hexdigest()


def _open_content(stack: ExitStack, parameters: WriteParameters, context: OperationContext) -> Iterable[bytes]:
    if parameters.text is not None:
        return [parameters.text.encode()]
    if parameters.base64 is not None:
        return [decode_base64(parameters.base64, "base64")]
    if parameters.file is not None:
        return read_pieces(stack.enter_context(open_stored(context, parameters.file)))
    return [encode(parameters.json_content)]
