"""`object.stat`."""

from pydantic import Field

from flowforge.operations import Example, Nature, OperationContext, RetryableError, StrictModel, operation
from flowforge.steps.object.access import BUCKET_ERRORS, open_bucket
from flowforge.steps.object.facts import read_facts, read_media_type, read_metadata
from flowforge.steps.object.places import EXAMPLE_STORE, ObjectParameters, name_object


class StatResult(StrictModel):
    """What is known of a key."""

    exists: bool = Field(description="Whether there is an object.")
    size: int | None = Field(default=None, description="The size in bytes; null if there is none.")
    etag: str | None = Field(default=None, description="The store's mark of this content, without quotes; not always a checksum.")
    modified_at: str | None = Field(default=None, description="When it was put there (RFC 3339, UTC); null if there is none.")
    media_type: str | None = Field(default=None, description="The media type; null if there is none.")
    metadata: dict[str, str] = Field(
        default_factory=dict[str, str], description="What else it was put there with, by lower-case names."
    )


@operation(
    "object.stat",
    title="Look at an object",
    category="object",
    icon="file-search",
    nature=Nature.EFFECT,
    errors=BUCKET_ERRORS,
    target=name_object,
    examples=(
        Example(
            "One that is not there",
            {"store": EXAMPLE_STORE, "key": "orders/43.json"},
            {"exists": False, "size": None, "etag": None, "modified_at": None, "media_type": None, "metadata": {}},
        ),
    ),
)
async def look(parameters: ObjectParameters, context: OperationContext) -> StatResult:
    """Tells whether there is an object, its size and what else is known of it. That there is none is a result, no error."""
    # Start-up cost: as in `open_bucket`.
    import obstore

    try:
        async with open_bucket(context, parameters.store) as bucket:
            found = await obstore.get_async(bucket, parameters.key, options={"head": True})
    except RetryableError as error:
        if error.code == "object_missing":
            return StatResult(exists=False)
        raise
    facts = read_facts(found.meta)
    return StatResult(
        exists=True,
        size=facts.size,
        etag=facts.etag,
        modified_at=facts.modified_at,
        media_type=read_media_type(found.attributes),
        metadata=read_metadata(found.attributes),
    )
