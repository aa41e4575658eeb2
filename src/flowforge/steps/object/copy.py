"""`object.copy`."""

from typing import Any, Literal

from pydantic import Field

from flowforge.operations import Example, Nature, OperationContext, StrictModel, operation
from flowforge.steps.object.access import BUCKET_ERRORS, OBJECT_EXISTS, OBJECT_MISSING, open_bucket
from flowforge.steps.object.places import EXAMPLE_STORE, Key, ObjectParameters, name_object


class CopyParameters(ObjectParameters):
    """Which object goes where."""

    to: Key = Field(description="The key of the copy, in the same bucket.")
    mode: Literal["create", "replace"] = Field(
        default="replace",
        description="Whether an object that is there is replaced or is an error; with `create` the copy has no metadata and media type.",
    )


class CopyResult(StrictModel):
    """The copy."""

    key: str = Field(description="The key of the copy.")


@operation(
    "object.copy",
    title="Copy an object",
    category="object",
    icon="copy",
    nature=Nature.EFFECT,
    errors=(*BUCKET_ERRORS, OBJECT_MISSING, OBJECT_EXISTS),
    target=name_object,
    examples=(
        Example(
            "Keep an order before it is changed",
            {"store": EXAMPLE_STORE, "key": "orders/42.json", "to": "archive/42.json"},
            {"key": "archive/42.json"},
        ),
    ),
)
async def copy(parameters: CopyParameters, context: OperationContext) -> CopyResult:
    """Copies an object of at most 5 GiB within its bucket; the store does it, and nothing passes through here."""
    # Start-up cost: as in `open_bucket`.
    import obstore

    config: dict[str, Any] = {"copy_if_not_exists": "multipart"} if parameters.mode == "create" else {}
    async with open_bucket(context, parameters.store, **config) as bucket:
        await obstore.copy_async(bucket, parameters.key, parameters.to, overwrite=parameters.mode == "replace")
    return CopyResult(key=parameters.to)
