"""`object.get`."""

from typing import TYPE_CHECKING, Any, Literal

import pydantic
from pydantic import Field, model_validator

from flowforge.kit.units import format_size
from flowforge.operations import ErrorCode, Example, FatalError, Nature, OperationContext, operation
from flowforge.steps.file.access import (
    FILE_MAX_BYTES,
    INLINE_MAX_BYTES,
    PIECE_BYTES,
    TARGET_ERRORS,
    run_blocking,
)
from flowforge.steps.file.passing import MadeFile, Target, open_target
from flowforge.steps.object.access import BUCKET_ERRORS, OBJECT_MISSING, open_bucket
from flowforge.steps.object.facts import ObjectFacts, read_facts, read_media_type, read_metadata
from flowforge.steps.object.places import EXAMPLE_STORE, ObjectParameters, name_object

if TYPE_CHECKING:
    from obstore import GetResult


class GetParameters(ObjectParameters):
    """Which object, what of it, and where to."""

    get_as: Literal["file", "text"] = Field(
        default="file", alias="as", description="Whether the content is a file value, or a text (UTF-8, at most 10 MiB)."
    )
    root: str = Field(default="work", description="The name of a root that FILE_ROOTS configures.")
    path: str | None = Field(
        default=None,
        description="The path of a file below `root` that the object becomes, instead of a file value.",
        min_length=1,
    )
    mode: Literal["create", "replace"] = Field(
        default="replace", description="Whether a file that is at the path is replaced or is an error."
    )
    offset: int = Field(default=0, ge=0, description="From which byte on; 0 is the first.")
    length: int | None = Field(default=None, ge=1, description="How many bytes at most; without it all up to the end.")

    @model_validator(mode="after")
    def _check_target(self) -> "GetParameters":
        if self.get_as == "text" and self.path is not None:
            raise ValueError("a text does not go to a file; leave out `as` or `path`")
        return self


class ObjectContent(ObjectFacts):
    """An object's content, and what is known of it."""

    media_type: str | None = Field(description="The media type that it was put there with.")
    metadata: dict[str, str] = Field(description="What else it was put there with, by lower-case names.")
    content: pydantic.JsonValue = Field(description="The file value or the text; null if it went to a file below a root.")
    root: str | None = Field(description="The root of that file; else null.")
    path: str | None = Field(description="The path of that file; else null.")


@operation(
    "object.get",
    title="Get an object",
    category="object",
    icon="cloud-download",
    nature=Nature.EFFECT,
    errors=(
        *BUCKET_ERRORS,
        OBJECT_MISSING,
        ErrorCode("range_invalid", "The object ends before `offset`."),
        ErrorCode("encoding", "The object is no UTF-8 text."),
        *TARGET_ERRORS,
    ),
    target=name_object,
    examples=(
        Example(
            "Read a text",
            {"store": EXAMPLE_STORE, "key": "orders/42.json", "as": "text"},
            {
                "key": "orders/42.json",
                "size": 9,
                "etag": "2dfdf6f17ea4d7a0dc3bbf5ae6fac3b2",
                "modified_at": "2026-01-02T03:04:05Z",
                "media_type": "application/json",
                "metadata": {},
                "content": '{"id":42}',
                "root": None,
                "path": None,
            },
            varies=True,
        ),
    ),
)
async def get(parameters: GetParameters, context: OperationContext) -> ObjectContent:
    """Gets an object, or a range of its bytes, from a bucket of S3 or of a store that speaks as it does.

    It becomes a file value, a file below a root, or a text. Objects of up to 10 GiB pass through with little memory.
    """
    # Start-up cost: as in `open_bucket`.
    import obstore

    async with open_bucket(context, parameters.store) as bucket:
        found = await obstore.get_async(bucket, parameters.key, options=_ask(parameters))
        media_type = read_media_type(found.attributes)
        if parameters.get_as == "text":
            content, root, path = await _read_text(found), None, None
        else:
            made = await _store(found, parameters, context, media_type or "")
            content, root, path = made.file, made.root, made.path
        facts = read_facts(found.meta)
    return ObjectContent(
        **dict(facts),
        media_type=media_type,
        metadata=read_metadata(found.attributes),
        content=content,
        root=root,
        path=path,
    )


def _ask(parameters: GetParameters) -> Any:
    if parameters.length is not None:
        return {"range": (parameters.offset, parameters.offset + parameters.length)}
    return {"range": {"offset": parameters.offset}} if parameters.offset else {}


async def _read_text(found: "GetResult") -> str:
    _refuse_size(found, INLINE_MAX_BYTES)
    data = bytes(await found.bytes_async())
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FatalError(
            f"The object is no UTF-8 text: byte {error.start} does not fit; get it as a file.", code="encoding"
        ) from None


async def _store(found: "GetResult", parameters: GetParameters, context: OperationContext, media_type: str) -> MadeFile:
    _refuse_size(found, FILE_MAX_BYTES)
    name = parameters.key.rpartition("/")[2]
    opened = open_target(context, parameters.root, parameters.path, name=name, mode=parameters.mode, media_type=media_type)
    target = await run_blocking(opened.__enter__)
    try:
        await _pass_on(found, target)
        return await run_blocking(target.finish)
    finally:
        await run_blocking(lambda: opened.__exit__(None, None, None))


async def _pass_on(found: "GetResult", target: Target) -> None:
    async for piece in found.stream(min_chunk_size=PIECE_BYTES):
        data = bytes(piece)
        await run_blocking(lambda data=data: target.write(data))


def _refuse_size(found: "GetResult", max_bytes: int) -> None:
    start, end = found.range
    if end - start > max_bytes:
        raise FatalError(
            f"The object has {end - start} bytes, more than {format_size(max_bytes)}; get a part of it.", code="file_too_large"
        )
