"""`object.put`."""

from contextlib import ExitStack
from typing import Any, BinaryIO, Final, Literal, cast

from pydantic import Field, field_validator, model_validator

from flowforge.kit.egress import find_header_fault
from flowforge.kit.units import format_size
from flowforge.operations import (
    ErrorCode,
    Example,
    FatalError,
    FileInput,
    Nature,
    OperationContext,
    StrictModel,
    operation,
    require_one,
)
from flowforge.steps.file.access import FILE_MAX_BYTES, PATH_ERRORS, guess_media_type, open_place, run_blocking
from flowforge.steps.object.access import BUCKET_ERRORS, OBJECT_EXISTS, open_bucket
from flowforge.steps.object.facts import bare_etag
from flowforge.steps.object.places import EXAMPLE_STORE, ObjectParameters, name_object
from flowforge.steps.stored import find_stored, open_stored

PART_BYTES: Final = 5 * 2**20
"""Of an upload in parts: the least that S3 takes; a bucket takes 10,000 of them. The library holds each several times over."""
PARTS_AT_ONCE: Final = 2
WHOLE_MAX_BYTES: Final = 100 * 2**20
"""What must go in one piece is in memory as a whole."""


class PutParameters(ObjectParameters):
    """Which object, and what becomes it: exactly one of `data`, `file` and `path`."""

    data: str | None = Field(default=None, description="A text, put there in UTF-8.")
    file: FileInput | None = Field(default=None, description="A file value, as a step gave it.")
    path: str | None = Field(default=None, description="The path of a file below `root`.", min_length=1)
    root: str = Field(default="work", description="The name of a root that FILE_ROOTS configures.")
    media_type: str | None = Field(
        default=None, description="The media type; without it that of the file value, or the one that the key's ending means."
    )
    metadata: dict[str, str] = Field(
        default_factory=dict[str, str],
        description="What else to keep with the object (`x-amz-meta-…`), at most 2 KiB.",
        max_length=50,
    )
    cache_control: str | None = Field(default=None, description="How long others may keep it (Cache-Control).")
    content_disposition: str | None = Field(default=None, description="How a browser should show it (Content-Disposition).")
    content_encoding: str | None = Field(
        default=None, description="How the content is packed, such as `gzip` (Content-Encoding)."
    )
    storage_class: str | None = Field(default=None, description="The storage class, such as `STANDARD_IA`.")
    mode: Literal["create", "replace"] = Field(
        default="replace",
        description="Whether an object that is there is replaced or is an error; `create` is for at most 100 MiB.",
    )
    checksum: Literal["none", "sha256"] = Field(
        default="none", description="Whether the store holds the content against a checksum, and keeps it; not every store can."
    )

    @model_validator(mode="after")
    def _check_one_source(self) -> "PutParameters":
        require_one(self, "data", "file", "path")
        headers = (self.media_type, self.cache_control, self.content_disposition, self.content_encoding, self.storage_class)
        _check_headers({f"x-{number}": text for number, text in enumerate(headers) if text is not None})
        return self

    @field_validator("metadata")
    @classmethod
    def _check_metadata(cls, metadata: dict[str, str]) -> dict[str, str]:
        _check_headers({f"x-amz-meta-{name}": value for name, value in metadata.items()})
        if sum(len(name) + len(value) for name, value in metadata.items()) > 2_048:
            raise ValueError("metadata have at most 2 KiB")
        return metadata


def _check_headers(headers: dict[str, str]) -> None:
    for name, value in headers.items():
        fault = find_header_fault(name, value)
        if fault is not None or not value.isascii():
            raise ValueError(f"{name.removeprefix('x-amz-meta-')!r} cannot be sent: names and values are printable ASCII")


class PutResult(StrictModel):
    """The object that was put there."""

    key: str = Field(description="The key.")
    size: int = Field(description="The size in bytes.")
    etag: str | None = Field(description="The store's mark of this content, without quotes; not always a checksum.")
    version: str | None = Field(description="The version, where the bucket keeps them.")


@operation(
    "object.put",
    title="Put an object",
    category="object",
    icon="cloud-upload",
    nature=Nature.EFFECT,
    errors=(
        *BUCKET_ERRORS,
        OBJECT_EXISTS,
        *PATH_ERRORS,
        ErrorCode("file_invalid", "The parameter `file` is no file value, as a step gives one."),
    ),
    target=name_object,
    examples=(
        Example(
            "Put a text into a bucket",
            {
                "store": EXAMPLE_STORE,
                "key": "2026/01.txt",
                "data": "12 orders",
                "metadata": {"run": "42"},
            },
            {"key": "2026/01.txt", "size": 9, "etag": "b013b63a7a45137bcd74112f2ea9916a", "version": None},
        ),
    ),
)
async def put(parameters: PutParameters, context: OperationContext) -> PutResult:
    """Puts a text, a file value or a file below a root into a bucket of S3 or of a store that speaks as it does.

    The object is there whole or not at all. More than 5 MiB go in parts, so that files of up to 10 GiB pass through with little memory.
    """
    # Start-up cost: as in `open_bucket`.
    import obstore

    with ExitStack() as stack:
        content, size_bytes, media_type = await run_blocking(lambda: _open_content(stack, parameters, context))
        _refuse_size(size_bytes, WHOLE_MAX_BYTES if parameters.mode == "create" else FILE_MAX_BYTES)
        config: dict[str, Any] = {"checksum_algorithm": "SHA256"} if parameters.checksum == "sha256" else {}
        async with open_bucket(context, parameters.store, **config) as bucket:
            made = await obstore.put_async(
                bucket,
                parameters.key,
                content,
                attributes=_list_attributes(parameters, media_type),
                mode="create" if parameters.mode == "create" else "overwrite",
                chunk_size=PART_BYTES,
                max_concurrency=PARTS_AT_ONCE,
            )
    version = made["version"]
    return PutResult(
        key=parameters.key,
        size=size_bytes,
        etag=bare_etag(made["e_tag"]),
        version=None if version in {None, "null"} else version,
    )


def _open_content(stack: ExitStack, parameters: PutParameters, context: OperationContext) -> tuple[BinaryIO | bytes, int, str]:
    guessed = guess_media_type(parameters.key)
    if parameters.data is not None:
        data = parameters.data.encode()
        return data, len(data), "text/plain; charset=utf-8" if guessed == "application/octet-stream" else guessed
    if parameters.file is not None:
        facts = find_stored(parameters.file)
        file, media_type = open_stored(context, parameters.file), facts.media_type
    else:
        file, media_type = open_place(context, parameters.root, cast("str", parameters.path)), guessed
    stack.enter_context(file)
    size_bytes = file.seek(0, 2)
    file.seek(0)
    return file, size_bytes, media_type


def _refuse_size(size_bytes: int, max_bytes: int) -> None:
    if size_bytes > max_bytes:
        hint = "" if max_bytes == FILE_MAX_BYTES else f" With the mode `replace` it may have {format_size(FILE_MAX_BYTES)}."
        raise FatalError(
            f"The content has {size_bytes} bytes, more than {format_size(max_bytes)}; split it.{hint}",
            code="file_too_large",
        )


def _list_attributes(parameters: PutParameters, media_type: str) -> dict[str, str]:
    known = {
        "Content-Type": parameters.media_type or media_type,
        "Cache-Control": parameters.cache_control,
        "Content-Disposition": parameters.content_disposition,
        "Content-Encoding": parameters.content_encoding,
        "Storage-Class": parameters.storage_class,
    }
    return {**parameters.metadata, **{name: value for name, value in known.items() if value is not None}}
