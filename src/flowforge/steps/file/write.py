"""`file.write`."""

import hashlib
from typing import Literal

import pydantic
from pydantic import Field, model_validator

from flowforge.kit.border import encode
from flowforge.kit.errors import FlowForgeError
from flowforge.kit.objects import ObjectStore, parse_file
from flowforge.kit.paths import FileRoots
from flowforge.kit.values import JsonObject
from flowforge.operations import ErrorCode, Example, FatalError, Nature, OperationContext, StrictModel, operation
from flowforge.steps.crypto.digests import decode_base64
from flowforge.steps.file.access import PATH_ERRORS, PlaceParameters, name_place, run_blocking


class WriteParameters(PlaceParameters):
    """Where to write, and what: exactly one of `text`, `json`, `base64` and `file`."""

    text: str | None = Field(default=None, description="Text, written in UTF-8.")
    json_content: pydantic.JsonValue = Field(
        default=None, alias="json", description="A value, written as JSON; `null` is one too."
    )
    base64: str | None = Field(default=None, description="Bytes, in base64.")
    file: dict[str, pydantic.JsonValue] | None = Field(default=None, description="A file value, as a step gave it.")
    mode: Literal["replace", "create"] = Field(
        default="replace", description="Whether a file that is there is replaced or is an error."
    )

    @model_validator(mode="after")
    def _check_one_content(self) -> "WriteParameters":
        given = [self.text is not None, "json_content" in self.model_fields_set, self.base64 is not None, self.file is not None]
        if sum(given) != 1:
            raise ValueError("give exactly one of text, json, base64 and file")
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
        ErrorCode("file_exists", "There is such a file already, and the mode is `create`."),
        ErrorCode("storage_full", "There is no room left on the disk.", retryable=True),
        ErrorCode("base64_invalid", "The parameter `base64` is no base64."),
        ErrorCode("file_invalid", "The parameter `file` is no file value, or its bytes are gone."),
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
    roots = context.service(FileRoots)
    data = await _read_content(parameters, context)
    replaces = parameters.mode == "replace"
    await run_blocking(lambda: roots.write(parameters.root, parameters.path, data, replaces=replaces))
    return WriteResult(root=parameters.root, path=parameters.path, size=len(data), sha256=hashlib.sha256(data).hexdigest())


async def _read_content(parameters: WriteParameters, context: OperationContext) -> bytes:
    if parameters.text is not None:
        return parameters.text.encode()
    if parameters.base64 is not None:
        return decode_base64(parameters.base64)
    if parameters.file is not None:
        return await _read_stored(parameters.file, context)
    return encode(parameters.json_content)


async def _read_stored(value: JsonObject, context: OperationContext) -> bytes:
    objects = context.service(ObjectStore)
    try:
        file = parse_file(value)
        return await run_blocking(lambda: objects.read(file.id))
    except FlowForgeError as error:
        raise FatalError(error.message, code="file_invalid") from error
