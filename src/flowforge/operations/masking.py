"""Hides secrets in JSON values."""

from typing import Final, cast

from flowforge.kit.masking import Masker
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations.definition import AttemptError

NO_SECRETS: Final = Masker()
"""For an operation that takes none; nothing is ever added to it."""


def mask_value(masker: Masker, value: JsonValue) -> JsonValue:
    """The value with every text in it masked, keys included; the very same object where there are no secrets."""
    if masker.is_empty:
        return value
    if isinstance(value, str):
        return masker.mask(value)
    if isinstance(value, list):
        return [mask_value(masker, item) for item in value]
    if isinstance(value, dict):
        return mask_object(masker, value)
    return value


def mask_object(masker: Masker, value: JsonObject) -> JsonObject:
    if masker.is_empty:
        return value
    return {masker.mask(key): mask_value(masker, item) for key, item in value.items()}


def mask_error(masker: Masker, error: AttemptError) -> None:
    """Masks what the error tells, in place."""
    error.message = masker.mask(error.message)
    error.details = mask_value(masker, error.details)
    error.args = (error.message,)


def put_back(original: object, shown: JsonValue, changed: JsonValue) -> JsonValue:
    """`changed`, which was made of `shown`, with the parts of `original` wherever they stand as they were shown.

    `shown` is `original` with its secrets hidden.
    """
    if isinstance(changed, dict) and isinstance(shown, dict) and isinstance(original, dict):
        known = cast("dict[str, object]", original)
        return {name: put_back(known[name], shown[name], item) if name in shown else item for name, item in changed.items()}
    if isinstance(changed, list) and isinstance(shown, list) and isinstance(original, list):
        items = cast("list[object]", original)
        kept = [put_back(items[place], shown[place], item) for place, item in enumerate(changed[: len(shown)])]
        return [*kept, *changed[len(shown) :]]
    is_same = type(changed) is type(shown) and changed == shown
    return cast("JsonValue", original) if is_same else changed
