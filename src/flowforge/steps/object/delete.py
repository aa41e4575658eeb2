"""`object.delete`."""

from pydantic import Field, model_validator

from flowforge.operations import Example, Nature, OperationContext, StrictModel, operation, require_one
from flowforge.steps.object.access import BUCKET_ERRORS, open_bucket
from flowforge.steps.object.places import EXAMPLE_STORE, BucketParameters, Key, name_object


class DeleteParameters(BucketParameters):
    """Which objects to delete: exactly one of `key` and `keys`."""

    key: Key | None = Field(default=None, description="The key of the object.")
    keys: list[Key] | None = Field(default=None, description="The keys of several objects.", min_length=1, max_length=1_000)

    @model_validator(mode="after")
    def _check_one(self) -> "DeleteParameters":
        require_one(self, "key", "keys")
        return self


class DeleteResult(StrictModel):
    """What is not there any more."""

    keys: list[str] = Field(description="The keys; the store does not tell whether there were objects.")


@operation(
    "object.delete",
    title="Delete objects",
    category="object",
    icon="trash-2",
    nature=Nature.EFFECT,
    errors=BUCKET_ERRORS,
    target=name_object,
    examples=(
        Example(
            "Delete an order",
            {"store": EXAMPLE_STORE, "key": "orders/42.json"},
            {"keys": ["orders/42.json"]},
        ),
    ),
)
async def delete(parameters: DeleteParameters, context: OperationContext) -> DeleteResult:
    """Deletes one object, or up to 1,000 with one call. That one is gone already is fine."""
    # Start-up cost: as in `open_bucket`.
    import obstore

    keys = [parameters.key] if parameters.key is not None else parameters.keys or []
    # Not every store knows the call for several.
    async with open_bucket(context, parameters.store, disable_bulk_delete=len(keys) == 1) as bucket:
        await obstore.delete_async(bucket, keys)
    return DeleteResult(keys=keys)
