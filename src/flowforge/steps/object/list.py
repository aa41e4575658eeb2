"""`object.list`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from flowforge.operations import Example, Nature, OperationContext, StrictModel, operation
from flowforge.steps.object.access import BUCKET_ERRORS, open_bucket
from flowforge.steps.object.facts import ObjectFacts, read_facts
from flowforge.steps.object.places import EXAMPLE_STORE, BucketParameters, name_object

if TYPE_CHECKING:
    from obstore.store import S3Store


class ListParameters(BucketParameters):
    """Which objects to list."""

    prefix: str = Field(default="", description="What the keys begin with, such as `reports/2026-`.", max_length=1_024)
    delimiter: Literal["/"] | None = Field(
        default=None,
        description="With `/` as in a folder: of keys with another `/` behind the prefix, only the part up to it is listed.",
    )
    limit: int = Field(default=1_000, ge=1, le=10_000, description="How many objects and folders a page has at most.")
    after: str | None = Field(
        default=None, description="The `next` of the page before; or any key, to list those that come after it.", min_length=1
    )

    @field_validator("prefix")
    @classmethod
    def _check_prefix(cls, prefix: str) -> str:
        folder = prefix.rpartition("/")[0]
        if folder and any(part in {"", ".", ".."} for part in folder.split("/")):
            raise ValueError("a prefix is names joined by /, without empty ones, `.` and `..`")
        return prefix


class ListResult(StrictModel):
    """A page of the listing."""

    objects: list[ObjectFacts] = Field(description="The objects, sorted by key.")
    folders: list[str] = Field(description="The folders, with a `/` at the end, if `delimiter` is set.")
    next: str | None = Field(description="What to give as `after` to get the next page; null on the last one.")


@operation(
    "object.list",
    title="List objects",
    category="object",
    icon="folder-search",
    nature=Nature.EFFECT,
    errors=BUCKET_ERRORS,
    target=name_object,
    examples=(
        Example(
            "The orders in a bucket",
            {"store": EXAMPLE_STORE, "prefix": "orders/"},
            {
                "objects": [
                    {
                        "key": "orders/42.json",
                        "size": 9,
                        "etag": "2dfdf6f17ea4d7a0dc3bbf5ae6fac3b2",
                        "modified_at": "2026-01-02T03:04:05Z",
                    }
                ],
                "folders": [],
                "next": None,
            },
            varies=True,
        ),
    ),
)
async def list_objects(parameters: ListParameters, context: OperationContext) -> ListResult:
    """Lists the objects of a bucket whose keys begin with a prefix, sorted by key, page by page."""
    async with open_bucket(context, parameters.store) as bucket:
        if parameters.delimiter is None:
            metas, folders = await _read_page(bucket, parameters), list[str]()
        else:
            metas, folders = await _read_folder(bucket, parameters)
    names = sorted([*(meta["path"] for meta in metas), *folders])
    next_key = names[parameters.limit - 1] if len(names) > parameters.limit else None
    return ListResult(
        objects=[read_facts(meta) for meta in metas if next_key is None or meta["path"] <= next_key],
        folders=[folder for folder in folders if next_key is None or folder <= next_key],
        next=next_key,
    )


async def _read_page(bucket: "S3Store", parameters: ListParameters) -> list[Any]:
    """The keys of the page, and one more if there is."""
    # Start-up cost: as in `open_bucket`.
    import obstore

    found: list[Any] = []
    folder = parameters.prefix.rpartition("/")[0] or None
    # The library takes whole folders for prefixes: the rest is found by where to begin and to end.
    begin = max(parameters.after or "", parameters.prefix[:-1].rstrip("/")) or None
    pages = obstore.list(bucket, folder, offset=begin, chunk_size=min(parameters.limit + 1, 1_000))  # pyright: ignore[reportUnknownMemberType] - other forms need a package that is not here
    async for metas in pages:
        for meta in metas:
            if meta["path"].startswith(parameters.prefix):
                found.append(meta)
            if len(found) > parameters.limit or _is_behind(meta["path"], parameters.prefix):
                return found
    return found


def _is_behind(key: str, prefix: str) -> bool:
    return key > prefix and not key.startswith(prefix)


async def _read_folder(bucket: "S3Store", parameters: ListParameters) -> tuple[list[Any], list[str]]:
    # Start-up cost: as in `open_bucket`.
    import obstore

    folder = parameters.prefix.rpartition("/")[0] or None
    found = await obstore.list_with_delimiter_async(bucket, folder)  # pyright: ignore[reportUnknownMemberType] - as above
    metas: Sequence[Any] = found["objects"]
    after = parameters.after or ""
    objects = [meta for meta in metas if meta["path"].startswith(parameters.prefix) and meta["path"] > after]
    names = [f"{name}/" for name in found["common_prefixes"]]
    folders = [name for name in names if name.startswith(parameters.prefix) and name > after]
    return sorted(objects, key=lambda meta: meta["path"]), sorted(folders)
