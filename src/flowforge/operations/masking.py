"""Hides secrets in JSON values."""

from typing import Final

from flowforge.kit.masking import Masker
from flowforge.kit.values import JsonObject, JsonValue

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
