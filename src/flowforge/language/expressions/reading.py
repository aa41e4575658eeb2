"""Reading fields and elements: data look-ups only, never an attribute of a host object."""

import re
from typing import Final, cast

from flowforge.language.expressions.errors import ExpressionError, problem
from flowforge.language.expressions.values import (
    ABSENT,
    MISSING,
    Fields,
    Items,
    Key,
    Missing,
    OptionalValue,
    Value,
    from_key,
    is_lazy,
    kind_of,
    name_kind,
    to_key,
    with_article,
)

_PLAIN_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_SHOWN_KEY_CHARACTERS: Final = 64


def select(value: Value, name: str, path: str) -> Value:
    """The field of a value that is no plain object; `path` is that of the field, for messages.

    Raises:
        ExpressionError: `missing_field`, also for a field of null; `type_mismatch` for a field of a value that can have none.
    """
    found = find(value, name, path)
    if found is not MISSING:
        return found
    raise report_missing(value, path)


def report_missing(value: Value, path: str) -> ExpressionError:
    """The error for a field that is not there."""
    if value is None:
        return problem("missing_field", f"{path} cannot be read: what it is read from is null.", path)
    return problem("missing_field", f"{path} does not exist. Where it may be absent, read it with has(…) or .?", path)


def find(value: Value, name: str, path: str) -> "Value | Missing":
    """The field, or MISSING; a field of an optional is an optional again.

    Raises:
        ExpressionError: `type_mismatch` for a field of a value that can have none.
    """
    if type(value) is dict:
        return value.get(name, MISSING)
    if value is None:
        return MISSING
    if is_lazy(value):
        return value.find(name)
    if type(value) is OptionalValue:
        return select_optionally(value, name, path)
    raise problem("type_mismatch", f"{path} cannot be read: {with_article(name_kind(value))} has no fields.", path)


def select_optionally(value: Value, name: str, path: str) -> OptionalValue:
    """`value.?name`: absent where there is no such field, and where the value is null or absent itself."""
    if type(value) is OptionalValue:
        if value.value is MISSING:
            return ABSENT
        value = value.value
    return wrap(find(value, name, path))


def wrap(found: "Value | Missing") -> OptionalValue:
    """What was found as an optional."""
    if found is MISSING:
        return ABSENT
    return found if type(found) is OptionalValue else OptionalValue(found)


def has_field(value: Value, name: str, path: str) -> bool:
    """`has(value.name)`: false also on null and on an absent optional."""
    if type(value) is OptionalValue:
        return select_optionally(value, name, path).value is not MISSING
    return find(value, name, path) is not MISSING


def index(value: Value, key: Value, path: str) -> Value:
    """`value[key]`.

    Raises:
        ExpressionError: `index` outside a list, `missing_field`, `type_mismatch`.
    """
    if type(value) is list:
        position = _to_position(key, path)
        if 0 <= position < len(value):
            return value[position]
        raise problem("index", f"{path}[…] is outside the list, whose size is {len(value)}.", path)
    if type(value) is OptionalValue:
        return index_optionally(value, key, path)
    found = _find_key(value, key, path)
    if found is MISSING:
        raise report_missing(value, join_path(path, key))
    return found


def index_optionally(value: Value, key: Value, path: str) -> OptionalValue:
    """`value[?key]`: absent where there is no such field or element, and where the value is null or absent itself."""
    if type(value) is OptionalValue:
        if value.value is MISSING:
            return ABSENT
        value = value.value
    if type(value) is list:
        position = _to_position(key, path)
        return wrap(value[position]) if 0 <= position < len(value) else ABSENT
    return wrap(_find_key(value, key, path))


def find_in(fields: Fields, key: Key) -> "Value | Missing":
    """The field of a plain map, whose keys may be other than strings."""
    return cast("dict[Key, Value]", fields).get(key, MISSING)


def _find_key(value: Value, key: Value, path: str) -> "Value | Missing":
    if type(value) is dict:
        return find_in(value, to_key(key))
    if is_lazy(value):
        return value.find(key) if type(key) is str else MISSING
    if value is None:
        return MISSING
    raise problem("type_mismatch", f"{path}[…] cannot be read: {with_article(name_kind(value))} has no elements.", path)


def _to_position(key: Value, path: str) -> int:
    if type(key) is int:
        return key
    if type(key) is float and key.is_integer():
        return int(key)
    given = "a fraction" if type(key) is float else with_article(name_kind(key))
    raise problem("type_mismatch", f"{path}[…] takes a whole number; got {given}.", path)


def join_path(path: str, key: Value) -> str:
    """The path of a field whose name was computed. A key is no secret value: it is needed to see what went wrong."""
    if type(key) is str:
        shown = key if len(key) <= _SHOWN_KEY_CHARACTERS else key[:_SHOWN_KEY_CHARACTERS] + "…"
        return f"{path}.{shown}" if _PLAIN_NAME.fullmatch(shown) else f"{path}[{shown!r}]"
    return f"{path}[{key}]" if type(key) in {int, bool} else f"{path}[…]"


def to_items(value: Value, name: str) -> Items:
    """What a macro goes through: a list's elements, a map's keys.

    Raises:
        ExpressionError: `type_mismatch` for a value of another kind.
    """
    if type(value) is list:
        return value
    if is_lazy(value):
        value = value.plain()
    if type(value) is dict:
        return keys_of(value)
    raise problem("type_mismatch", f"{name} goes through a list or an object; this is {with_article(kind_of(value).value)}.")


def to_pairs(value: Value, name: str) -> list[tuple[Value, Value]]:
    """What a macro with two variables goes through: (index, element) of a list, (key, value) of a map.

    Raises:
        ExpressionError: `type_mismatch` for a value of another kind.
    """
    items = to_items(value, name)
    if type(value) is list:
        return list(enumerate(items))
    fields = value.plain() if is_lazy(value) else value
    values = cast("dict[Key, Value]", fields).values()
    return list(zip(items, values, strict=True))


def keys_of(fields: Fields) -> list[Value]:
    """The keys of a map as values."""
    return [from_key(key) for key in fields]
