"""Fields of items, named by a dotted path, and how values compare."""

from typing import Final

from flowforge.kit.values import JsonValue
from flowforge.operations import FatalError


class Absent:
    """The type of `ABSENT`."""

    __slots__ = ()


ABSENT: Final = Absent()
"""What `find_field` gives where there is no such field; null is a value."""


def find_field(item: JsonValue, path: str) -> "JsonValue | Absent":
    """The field's value, or ABSENT. A field whose own name holds the dots comes before one inside another."""
    if isinstance(item, dict) and path in item:
        return item[path]
    current: JsonValue = item
    for name in path.split("."):
        if not isinstance(current, dict) or name not in current:
            return ABSENT
        current = current[name]
    return current


def is_number(value: "JsonValue | Absent") -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def are_equal(left: "JsonValue | Absent", right: "JsonValue | Absent") -> bool:
    """As in JSON: 1 equals 1.0, and true does not equal 1, also inside lists and objects."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(are_equal(one, other) for one, other in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(are_equal(value, right[key]) for key, value in left.items())
    return left == right


def compare(left: "JsonValue | Absent", right: JsonValue, where: str) -> int:
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


def name_type(value: "JsonValue | Absent") -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list) else "an object"
