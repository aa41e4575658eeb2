"""Fields of items, named by a dotted path, and how values compare."""

from hashlib import blake2b
from typing import Final, TypeAlias

from flowforge.kit.border import encode_canonical
from flowforge.kit.values import INTEGER_MAX, INTEGER_MIN, JsonObject, JsonValue
from flowforge.operations import FatalError


class Absent:
    """The type of `ABSENT`."""

    __slots__ = ()


ABSENT: Final = Absent()
"""What `find_field` gives where there is no such field; null is a value."""

Found: TypeAlias = "JsonValue | Absent"

_IDENTITY_MAX_BYTES: Final = 32


def find_field(item: JsonValue, path: str) -> Found:
    """The field's value, or ABSENT; a number picks from a list (`lines.0.price`). The item itself for an empty path.

    A field whose own name holds the dots comes before one inside another.
    """
    if isinstance(item, dict) and path in item:
        return item[path]
    if not path:
        return item
    current: JsonValue = item
    for name in path.split("."):
        if isinstance(current, dict) and name in current:
            current = current[name]
        elif isinstance(current, list) and is_index(name, len(current)):
            current = current[int(name)]
        else:
            return ABSENT
    return current


def is_index(name: str, length: int) -> bool:
    """Whether the name is the number of an element of a list of this length, written without leading zeros."""
    return name.isascii() and name.isdigit() and (name == "0" or name[0] != "0") and len(name) < 10 and int(name) < length


def read_field(item: JsonValue, path: str) -> JsonValue:
    """The field's value; null where it is missing."""
    found = find_field(item, path)
    return None if isinstance(found, Absent) else found


def require_row(item: JsonValue, index: int) -> JsonObject:
    """The item as an object.

    Raises:
        FatalError: `type_mismatch`, with the item's index.
    """
    if isinstance(item, dict):
        return item
    raise FatalError(
        f"item[{index}] is {name_type(item)}; this operation needs objects, whose fields it can read.",
        code="type_mismatch",
        details={"index": index},
    )


def is_number(value: Found) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def are_equal(left: Found, right: Found) -> bool:
    """As in JSON: 1 equals 1.0, and true does not equal 1, also inside lists and objects."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(are_equal(one, other) for one, other in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(are_equal(value, right[key]) for key, value in left.items())
    return left == right


def identify(value: JsonValue) -> bytes:
    """Bytes that are the same for equal values (`are_equal`) and, but for a chance of 2^-128, for no others; at most 32."""
    encoded = encode_canonical(_normalise(value))
    if len(encoded) > _IDENTITY_MAX_BYTES:
        return blake2b(encoded, digest_size=16).digest()
    # A copy: the encoder's own bytes keep the whole kibibyte that it works in.
    return bytes(memoryview(encoded))


def _normalise(value: JsonValue) -> JsonValue:
    """1.0 as 1, so that equal numbers are the same."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and INTEGER_MIN <= value <= INTEGER_MAX else value
    if isinstance(value, list):
        return [_normalise(item) for item in value]
    if isinstance(value, dict):
        return {key: _normalise(item) for key, item in value.items()}
    return value


def compare(left: Found, right: Found, where: str) -> int:
    """-1, 0 or 1, for two numbers or two texts. `where` says in an error what was compared.

    Raises:
        FatalError: `type_mismatch`.
    """
    if isinstance(left, str) and isinstance(right, str):
        return (left > right) - (left < right)
    if isinstance(left, int | float) and isinstance(right, int | float) and is_number(left) and is_number(right):
        return (left > right) - (left < right)
    raise FatalError(
        f"{where}: {name_type(left)} cannot be ordered against {name_type(right)}; compare numbers with numbers and texts with texts.",
        code="type_mismatch",
    )


def name_type(value: Found) -> str:
    """The value's type with its article, for messages."""
    if value is None:
        return "null"
    if isinstance(value, Absent):
        return "nothing"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list) else "an object"


def list_paths(fields: str | list[str]) -> list[str]:
    """One field or several as a list."""
    return [fields] if isinstance(fields, str) else fields


def count_parts(value: JsonValue) -> int:
    """How many values it is made of: itself, and all that is inside."""
    if isinstance(value, list):
        return 1 + sum(map(count_parts, value))
    return 1 + sum(map(count_parts, value.values())) if isinstance(value, dict) else 1
