"""What pydantic found wrong with parameters, in the words of whoever wrote them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import pydantic

from flowforge.kit.errors import Detail
from flowforge.kit.values import JsonObject, JsonValue

_OWN_CODES: Final = frozenset({"header_reserved", "header_invalid", "scheme", "egress_denied"})

_WANTED: Final = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}
_BOUNDS: Final = {
    "greater_than_equal": "this must be at least {ge}",
    "greater_than": "this must be more than {gt}",
    "less_than_equal": "this must be at most {le}",
    "less_than": "this must be less than {lt}",
    "string_too_short": "this must have at least {min_length} characters",
    "string_too_long": "this may have at most {max_length} characters",
    "string_pattern_mismatch": "this must fit the pattern {pattern}",
    "too_short": "this must have at least {min_length} items",
    "too_long": "this may have at most {max_length} items",
    "missing": "this parameter is required",
    "literal_error": "this must be {expected}",
}
_TYPES: Final[Mapping[type, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number with a fraction",
    str: "a text",
    list: "a list",
}

_NAMES_SHOWN: Final = 20

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class _Fault:
    """`place` is where it stands in the value. `branches` are the unions on the way: the place of each, and which of its types it was."""

    place: Place
    branches: tuple[tuple[Place, str], ...]
    kind: str
    message: str
    facts: dict[str, Any]
    given: object


def list_faults(error: pydantic.ValidationError, value: JsonValue, schema: JsonObject) -> tuple[Detail, ...]:
    """Pydantic's faults as ours: dotted field, message, and the code `invalid_parameters` or the validator's own.

    Where a value may be of several types, only the type that it comes nearest to is told of. No message repeats a value, which may be
    a secret; only its type is told. `schema` is the one of the parameters: from it come the names that there are.
    """
    faults = [_locate(fault, value) for fault in error.errors(include_url=False)]
    return tuple(_describe(fault, schema) for fault in _choose_branches(faults))


def _locate(fault: Any, value: JsonValue) -> _Fault:
    """Takes apart pydantic's location, in which fields of the value and its own names for types stand in one row."""
    location: Place = fault["loc"]
    place: list[str | int] = []
    branches: list[tuple[Place, str]] = []
    current: JsonValue = value
    for number, part in enumerate(location):
        is_missing = fault["type"] == "missing" and number == len(location) - 1
        if isinstance(part, int) or is_missing or (isinstance(current, dict) and part in current):
            place.append(part)
            current = _descend(current, part)
        else:
            branches.append((tuple(place), part))
    return _Fault(tuple(place), tuple(branches), fault["type"], fault["msg"], fault.get("ctx", {}), fault["input"])


def _descend(value: JsonValue, part: str | int) -> JsonValue:
    if isinstance(value, dict):
        return value.get(str(part))
    return value[part] if isinstance(value, list) and isinstance(part, int) and part < len(value) else None


def _choose_branches(faults: Sequence[_Fault]) -> Iterator[_Fault]:
    """Of each union the one type whose faults are inside of the value; or, where no type fits at all, one fault that names all."""
    unions: dict[Place, dict[str, list[_Fault]]] = {}
    for fault in faults:
        if fault.branches:
            (place, branch), *rest = fault.branches
            unions.setdefault(place, {}).setdefault(branch, []).append(replace(fault, branches=tuple(rest)))
        else:
            yield fault
    for place, branches in unions.items():
        near = [inner for inner in branches.values() if not all(_is_other_type(fault, place) for fault in inner)]
        if near:
            yield from _choose_branches(min(near, key=len))
        else:
            yield _merge(place, [fault for inner in branches.values() for fault in inner])


def _is_other_type(fault: _Fault, place: Place) -> bool:
    return fault.place == place and (fault.kind in _WANTED or fault.kind == "literal_error")


def _merge(place: Place, faults: Sequence[_Fault]) -> _Fault:
    wanted = " or ".join(dict.fromkeys(_name_wanted(fault) for fault in faults))
    return replace(faults[0], place=place, branches=(), kind="union", facts={"expected": wanted})


def _name_wanted(fault: _Fault) -> str:
    return str(fault.facts["expected"]) if fault.kind == "literal_error" else _WANTED[fault.kind]


def _describe(fault: _Fault, schema: JsonObject) -> Detail:
    field = _format_place(fault.place)
    code = fault.kind if fault.kind in _OWN_CODES else "invalid_parameters"
    if fault.kind != "extra_forbidden":
        return Detail(field=field, message=_word(fault), code=code)
    known = list(dict.fromkeys(_list_names(schema, schema, fault.place[:-1])))
    suggestion = _suggest(str(fault.place[-1]), known)
    there_are = f" (there are {', '.join(known)})" if suggestion is None and 0 < len(known) <= _NAMES_SHOWN else ""
    return Detail(field=field, message=f"there is no such parameter{there_are}", code=code, suggestion=suggestion)


def _format_place(place: Place) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".")


def _word(fault: _Fault) -> str:
    match fault.kind:
        case kind if kind in _WANTED:
            return f"this must be {_WANTED[kind]}, and is {_name_type(fault.given)}"
        case "union":
            return f"this must be {fault.facts['expected']}, and is {_name_type(fault.given)}"
        case "union_tag_invalid":
            return f"its {str(fault.facts['discriminator']).strip(chr(39))} must be one of {fault.facts['expected_tags']}"
        case "too_short" | "string_too_short" if fault.facts.get("min_length") == 1:
            return "this must not be empty"
        case kind if kind in _BOUNDS:
            return _BOUNDS[kind].format(**fault.facts)
        case _:
            return fault.message.removeprefix("Value error, ")


def _name_type(value: object) -> str:
    return "null" if value is None else _TYPES.get(type(value), "an object")


def _list_names(root: JsonObject, schema: JsonValue, place: Place) -> Iterator[str]:
    """The fields of the object that stands at this place, whichever of its types it has."""
    for choice in _list_choices(root, schema):
        properties = choice.get("properties")
        known = properties if isinstance(properties, dict) else {}
        if not place:
            yield from known
        elif isinstance(place[0], int):
            yield from _list_names(root, choice.get("items"), place[1:])
        else:
            yield from _list_names(root, known.get(place[0], choice.get("additionalProperties")), place[1:])


def _list_choices(root: JsonObject, schema: JsonValue) -> Iterator[JsonObject]:
    if not isinstance(schema, dict):
        return
    reference, definitions = schema.get("$ref"), root.get("$defs")
    if isinstance(reference, str) and isinstance(definitions, dict):
        yield from _list_choices(root, definitions.get(reference.rpartition("/")[2]))
        return
    choices = schema.get("anyOf") or schema.get("oneOf")
    if not isinstance(choices, list):
        yield schema
    else:
        for choice in choices:
            yield from _list_choices(root, choice)


def _suggest(name: str, known: Iterable[str]) -> str | None:
    """The name that has this one as a part (`url`: `webhook_url`), else one that is written much alike."""
    # Start-up cost: only a mistake pays for it.
    from difflib import get_close_matches

    names = list(known)
    holding = [each for each in names if name.lower() in each.split("_")]
    found = holding or get_close_matches(name.lower()[:64], names, n=1, cutoff=0.7)
    return found[0] if found else None
