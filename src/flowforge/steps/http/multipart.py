"""Bodies as forms with files are sent: multipart/form-data (RFC 7578)."""

import hashlib
from collections.abc import Sequence

import pydantic
from pydantic import Field, field_validator, model_validator

from flowforge.kit.border import encode
from flowforge.operations import FatalError, OperationContext, StrictModel, require_one
from flowforge.steps.encoded import decode_base64
from flowforge.steps.http.fields import Scalar, refuse_header, write_scalar
from flowforge.steps.http.sources import FilePiece, Piece, open_piece


class Part(StrictModel):
    """One field of the form: exactly one of `value`, `json`, `file` and `base64`."""

    name: str = Field(description="The field's name.", min_length=1)
    value: Scalar = Field(default=None, description="A text, number or boolean, sent as text.")
    json_value: pydantic.JsonValue = Field(default=None, alias="json", description="Any value, sent as JSON.")
    file: dict[str, pydantic.JsonValue] | None = Field(default=None, description="A file value, sent piece by piece.")
    base64: str | None = Field(default=None, description="Bytes, written in base64.")
    filename: str | None = Field(default=None, description="The name that the server sees; a file's own unless given.")
    media_type: str | None = Field(
        default=None, description="The Content-Type of the part; a file's own, `application/json` for JSON, unless given."
    )

    @field_validator("name", "filename")
    @classmethod
    def _refuse_line_breaks(cls, text: str | None) -> str | None:
        if text is not None and any(char in text for char in "\r\n\0"):
            raise ValueError("a name cannot hold a line break")
        return text

    @field_validator("media_type")
    @classmethod
    def _check_media_type(cls, text: str | None) -> str | None:
        if text is not None:
            refuse_header("Content-Type", text)
        return text

    @model_validator(mode="after")
    def _check_one_content(self) -> "Part":
        require_one(self, "value", "json_value", "file", "base64", null_counts={"value", "json_value"})
        return self


def build_multipart(parts: Sequence[Part], context: OperationContext, place: str = "multipart[{}].") -> tuple[str, list[Piece]]:
    """The Content-Type and the pieces of the body; the same at every attempt of a step. Blocks.

    `place` is what errors name in front of a part's field; its number is filled in.

    Raises:
        FatalError: `file_invalid`, `file_missing`, `base64_invalid`.
    """
    contents = [_read_content(part, place.format(index), context) for index, part in enumerate(parts)]
    boundary = _choose_boundary(context.idempotency_key, [content for content in contents if isinstance(content, bytes)])
    pieces: list[Piece] = []
    for part, content in zip(parts, contents, strict=True):
        pieces += [_write_head(part, content, boundary), content, b"\r\n"]
    return f"multipart/form-data; boundary={boundary}", [*pieces, f"--{boundary}--\r\n".encode()]


def _read_content(part: Part, place: str, context: OperationContext) -> Piece:
    if part.file is not None:
        return open_piece(context, part.file, f"{place}file")
    if part.base64 is not None:
        return decode_base64(part.base64, f"{place}base64")
    if "json_value" in part.model_fields_set:
        return encode(part.json_value)
    return write_scalar(part.value).encode()


def _choose_boundary(seed: str, contents: list[bytes]) -> str:
    """No chance is drawn, so that a repeated attempt sends the same bytes; who writes the contents cannot foresee the seed's digest."""
    for count in range(1_000):
        boundary = "flowforge-" + hashlib.blake2b(f"{seed}\0{count}".encode(), digest_size=16).hexdigest()
        if not any(boundary.encode() in content for content in contents):
            return boundary
    raise FatalError("No boundary was found that the parts do not hold.", code="base64_invalid")


def _write_head(part: Part, content: Piece, boundary: str) -> bytes:
    file = content.file if isinstance(content, FilePiece) else None
    filename = part.filename if part.filename is not None or file is None else file.name
    disposition = f'form-data; name="{_escape(part.name)}"'
    if filename is not None:
        disposition += f'; filename="{_escape(filename)}"'
    media_type = part.media_type or (file.media_type if file else _default_type(part))
    lines = [f"--{boundary}", f"Content-Disposition: {disposition}"]
    if media_type is not None:
        lines.append(f"Content-Type: {media_type}")
    return "\r\n".join([*lines, "", ""]).encode()


def _default_type(part: Part) -> str | None:
    if "json_value" in part.model_fields_set:
        return "application/json"
    return "application/octet-stream" if part.base64 is not None else None


def _escape(name: str) -> str:
    """As browsers do (the HTML standard, multipart form data): line breaks, which cannot come here, and the quotation mark."""
    return name.replace('"', "%22")
