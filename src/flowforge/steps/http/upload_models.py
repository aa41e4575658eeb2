"""What `http.upload` takes and gives."""

import asyncio
import os
from typing import Annotated, BinaryIO, Final, Literal

import pydantic
from pydantic import Field, field_validator, model_validator

from flowforge.kit.limits import SizeBytes
from flowforge.kit.paths import FileRoots
from flowforge.operations import FileInput, OperationContext, StrictModel, require_one
from flowforge.steps.file.access import guess_media_type, run_blocking
from flowforge.steps.http.fields import Scalar, refuse_header
from flowforge.steps.http.parameters import CallParameters
from flowforge.steps.http.sources import FilePiece, open_piece

_ONLY_TUS: Final = {"chunk_size", "metadata", "resumes"}
_ONLY_PLAIN: Final = {"method", "expect"}


class UploadParameters(CallParameters):
    """Which file to send, and how: exactly one of `file` and `path`."""

    file: FileInput | None = Field(default=None, description="A file value, as a step gave it.")
    root: str = Field(default="work", description="With `path`: the name of a root that FILE_ROOTS configures.")
    path: str | None = Field(default=None, description="The path of a file below the root.", min_length=1)
    protocol: Literal["plain", "tus"] = Field(
        default="plain", description="One request with the file as its body, or the tus protocol, which can go on after a break."
    )
    method: Literal["PUT", "POST", "PATCH"] = Field(default="PUT", description="With `plain`: the method.")
    media_type: str | None = Field(
        default=None, description="The file's Content-Type; its own, or that of its name, unless given."
    )
    expect: int | list[int] | None = Field(
        default=None,
        description="With `plain`: the status codes that count as success, one or a list; without it every one below 400.",
    )
    chunk_size: Annotated[SizeBytes, Field(ge=1_024, le=2**30)] = Field(
        default=16 * 2**20, description="With `tus`: how much one request carries, such as `16MiB`."
    )
    metadata: dict[str, Scalar] = Field(
        default_factory=dict[str, Scalar],
        description="With `tus`: what the server is told of the file, beside `filename` and `filetype`; null leaves one out.",
        max_length=100,
    )
    resumes: int = Field(
        default=5, ge=0, le=100, description="With `tus`: how often one attempt goes on where a connection broke."
    )

    @field_validator("media_type")
    @classmethod
    def _check_media_type(cls, text: str | None) -> str | None:
        if text is not None:
            refuse_header("Content-Type", text)
        return text

    @field_validator("metadata")
    @classmethod
    def _check_metadata(cls, metadata: dict[str, Scalar]) -> dict[str, Scalar]:
        for name in metadata:
            if not name or not name.isascii() or not name.isprintable() or any(char in " ," for char in name):
                raise ValueError("a name in metadata is ASCII without blanks and commas")
        return metadata

    @model_validator(mode="after")
    def _check_one_source(self) -> "UploadParameters":
        require_one(self, "file", "path")
        wrong = sorted(self.model_fields_set & (_ONLY_TUS if self.protocol == "plain" else _ONLY_PLAIN))
        if wrong:
            raise ValueError(f"{', '.join(wrong)} cannot be given with the protocol {self.protocol}")
        return self

    def find_media_type(self, piece: FilePiece) -> str:
        """The Content-Type of the file."""
        guessed = piece.file.media_type if piece.file is not None else guess_media_type(self.path or "")
        return self.media_type or guessed

    def find_name(self, piece: FilePiece) -> str:
        """The file's name for people."""
        return piece.file.name if piece.file is not None else (self.path or "").rpartition("/")[2]


class UploadResult(StrictModel):
    """What the server said at the end."""

    status: int = Field(description="The status code; with `tus` of the last request.")
    headers: dict[str, str] = Field(description="Headers by their name in lower case; repeated ones joined by a comma.")
    body: pydantic.JsonValue = Field(
        description="With `plain`: the answer as JSON if the server says so, else as text; with `tus` null."
    )
    url: str = Field(description="The URL that answered; with `tus` the one that the server gave the upload.")
    size: int = Field(description="The size of the file in bytes.")
    resume_count: int = Field(description="With `tus`: how often the connection broke, and the upload went on.")


async def open_source(parameters: UploadParameters, context: OperationContext) -> FilePiece:
    """The file that is to be sent.

    Raises:
        FatalError, RetryableError: `file_invalid`, `file_missing`, or as `run_blocking`.
    """
    if parameters.file is not None:
        return await asyncio.to_thread(open_piece, context, parameters.file, "file")
    roots, root, path = context.service(FileRoots), parameters.root, parameters.path or ""

    def open_file() -> BinaryIO:
        return roots.open(root, path)

    def measure() -> int:
        with open_file() as file:
            return os.fstat(file.fileno()).st_size

    return FilePiece(await run_blocking(measure), open_file)
