"""Changing fields of an object that dotted paths name. Nothing given is changed: what is on the way to a field is copied."""

from collections.abc import Sequence

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import FatalError
from flowforge.steps.data.fields import is_index, name_type


def split_path(item: JsonValue, path: str) -> Sequence[str]:
    """The names on the way to a field; a field whose own name holds the dots is one name."""
    return [path] if isinstance(item, dict) and path in item else path.split(".")


def set_field(row: JsonObject, path: Sequence[str], value: JsonValue, where: str) -> None:
    """Sets a field, and makes the objects on the way to it. Changes the row and copies the objects below it on the way.

    Raises:
        FatalError: `type_mismatch` where something else than an object or list element stands in the way; `where` names the item.
    """
    current: JsonObject | list[JsonValue] = row
    for depth, name in enumerate(path[:-1]):
        below = current.get(name, {}) if isinstance(current, dict) else current[int(name)]
        copied = _copy(below)
        if copied is None or (isinstance(copied, list) and not is_index(path[depth + 1], len(copied))):
            raise FatalError(
                f"{where}: {'.'.join(path)} cannot be set, because {'.'.join(path[: depth + 1])} is {name_type(below)}.",
                code="type_mismatch",
                details={"field": ".".join(path)},
            )
        put_member(current, name, copied)
        current = copied
    put_member(current, path[-1], value)


def remove_field(row: JsonObject, path: Sequence[str]) -> bool:
    """Takes a field away, and says whether it was there. Changes the row and copies the objects below it on the way.

    An element of a list is not taken away: the numbers of those behind it would change.
    """
    if len(path) == 1:
        if path[0] not in row:
            return False
        del row[path[0]]
        return True
    below = row.get(path[0])
    if isinstance(below, dict):
        copied = {**below}
        row[path[0]] = copied
        return remove_field(copied, path[1:])
    if isinstance(below, list):
        elements = [*below]
        row[path[0]] = elements
        return _remove_in_list(elements, path[1:])
    return False


def _remove_in_list(elements: list[JsonValue], path: Sequence[str]) -> bool:
    name = path[0]
    if len(path) == 1 or not is_index(name, len(elements)):
        return False
    # A list counts as an object whose names are numbers, for one level.
    holder: JsonObject = {name: elements[int(name)]}
    was_there = remove_field(holder, path)
    elements[int(name)] = holder[name]
    return was_there


def _copy(value: JsonValue) -> JsonObject | list[JsonValue] | None:
    if isinstance(value, dict):
        return {**value}
    return [*value] if isinstance(value, list) else None


def put_member(holder: JsonObject | list[JsonValue], name: str, value: JsonValue) -> None:
    """Sets a field of an object, or the element of a list that the number names. Changes what is given."""
    if isinstance(holder, dict):
        holder[name] = value
    else:
        holder[int(name)] = value
