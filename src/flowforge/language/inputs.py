"""The schema of a run's input: whether it is one, and whether a value fits it."""

from collections import OrderedDict
from copy import deepcopy
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.faults import At, Fault, Sink, format_path
from flowforge.language.graph import Workflow
from flowforge.language.positions import Path
from flowforge.language.schema_faults import list_schema_faults, make_validator
from flowforge.language.shapes import EXPRESSION_MARK, refuse_expression

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_MAPS_OF_SCHEMAS: Final = frozenset({"properties", "patternProperties", "$defs", "dependentSchemas"})
_DATA: Final = frozenset({"enum", "const", "default", "examples"})
_CACHED_MAX: Final = 256
_DEFAULTS_MAX: Final = 10_000
_DEPTH_MAX: Final = 64

_validators: OrderedDict[str, "Draft202012Validator"] = OrderedDict()
"""Compiled validators by the digest of their document, the last used at the end."""


def check_input_schema(schema: JsonObject, path: Path, sink: Sink) -> None:
    """Tells what keeps the value from being a JSON Schema (2020-12) that stays inside the document."""
    before = len(sink.list_errors())
    _check_expressions(schema, path, sink)
    _check_against_dialect(schema, path, sink)
    has_ids = _check_references(schema, path, schema, sink)
    if len(sink.list_errors()) > before:
        return
    try:
        make_validator(schema)
    except ValueError as error:
        reason = str(error).splitlines()[0]
        hint = " with `$id` inside" if has_ids else ""
        sink.add("schema_invalid", path, f"This JSON Schema{hint} cannot be used: {reason}.")


def _check_expressions(value: JsonValue, path: Path, sink: Sink) -> None:
    if isinstance(value, str) and EXPRESSION_MARK in value:
        refuse_expression(path, sink, value.index(EXPRESSION_MARK))
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_expressions(item, (*path, name), sink)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_expressions(item, (*path, index), sink)


def _check_against_dialect(schema: JsonObject, path: Path, sink: Sink) -> None:
    dialect = schema.get("$schema", _DIALECT)
    if not isinstance(dialect, str) or dialect.rstrip("#") != _DIALECT:
        sink.add("schema_invalid", (*path, "$schema"), f"Only JSON Schema 2020-12 is understood: {_DIALECT}.")
        return
    metaschema: JsonObject = {"$ref": _DIALECT}
    for fault in list_schema_faults(make_validator(metaschema), metaschema, schema):
        at = At.KEY if fault.is_name else At.VALUE
        sink.add("schema_invalid", (*path, *fault.path), f"This is no JSON Schema: {fault.message}", at=at)


def _check_references(schema: JsonValue, path: Path, root: JsonObject, sink: Sink) -> bool:
    """Tells references that lead out or nowhere; True where `$id` makes that a question for the validator."""
    if not isinstance(schema, dict):
        return False
    has_ids = "$id" in schema
    for name in ("$ref", "$dynamicRef"):
        reference = schema.get(name)
        if isinstance(reference, str):
            _check_reference(reference, (*path, name), root, sink)
    for name, item in schema.items():
        if name in _DATA:
            continue
        if name in _MAPS_OF_SCHEMAS and isinstance(item, dict):
            inner = [_check_references(sub, (*path, name, key), root, sink) for key, sub in item.items()]
        elif isinstance(item, list):
            inner = [_check_references(sub, (*path, name, index), root, sink) for index, sub in enumerate(item)]
        else:
            inner = [_check_references(item, (*path, name), root, sink)]
        has_ids = has_ids or any(inner)
    return has_ids


def _check_reference(reference: str, path: Path, root: JsonObject, sink: Sink) -> None:
    if not reference.startswith("#"):
        sink.add("schema_ref", path, "A `$ref` stays inside the document: it begins with `#`; nothing is ever fetched.")
    elif reference.startswith("#/") and find_by_pointer(root, reference) is None:
        sink.add("schema_ref", path, f"There is nothing at {reference} in this schema.")


def find_by_pointer(root: JsonValue, reference: str) -> JsonValue:
    """What a reference like `#/$defs/item` leads to, None where it leads nowhere."""
    current = root
    for part in reference.removeprefix("#").split("/")[1:]:
        name = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(current, dict) and name in current:
            current = current[name]
        elif isinstance(current, list) and name.isascii() and name.isdigit() and int(name[:9]) < len(current):
            current = current[int(name[:9])]
        else:
            return None
    return current


def validate_input(workflow: Workflow, value: JsonValue) -> tuple[JsonValue, tuple[Fault, ...]]:
    """The input with the schema's defaults filled in (the value itself is not changed), and what the schema has against it.

    Faults have fields like `input.items[2].sku`. Without a schema everything fits.
    """
    schema = workflow.input_schema
    if schema is None:
        return value, ()
    filled = fill_in_defaults(schema, value)
    found = list_schema_faults(_get_validator(workflow.digest, schema), schema, filled)
    faults = [
        Fault(fault.code, fault.message, format_path(("input", *fault.path)), suggestion=fault.suggestion) for fault in found
    ]
    return filled, tuple(faults)


def _get_validator(digest: str, schema: JsonObject) -> "Draft202012Validator":
    validator = _validators.pop(digest, None) or make_validator(schema)
    _validators[digest] = validator
    if len(_validators) > _CACHED_MAX:
        _validators.popitem(last=False)
    return validator


class _Filler:
    """Fills in one value. What a schema in a circle could make without end is bounded in depth and in number."""

    def __init__(self, root: JsonObject) -> None:
        self._root = root
        self._left = _DEFAULTS_MAX

    def fill(self, schema: JsonValue, value: JsonValue, depth: int, above: frozenset[int] = frozenset()) -> JsonValue:
        """`above`: the schemas that were applied to this very value already, so that a `$ref` in a circle ends."""
        if not isinstance(schema, dict) or id(schema) in above or depth > _DEPTH_MAX:
            return value
        inner = above | {id(schema)}
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference.startswith("#"):
            value = self.fill(find_by_pointer(self._root, reference), value, depth, inner)
        parts = schema.get("allOf")
        for part in parts if isinstance(parts, list) else ():
            value = self.fill(part, value, depth, inner)
        if isinstance(value, dict):
            return self._fill_object(schema, value, depth + 1)
        return self._fill_list(schema, value, depth + 1) if isinstance(value, list) else value

    def _fill_object(self, schema: JsonObject, value: JsonObject, depth: int) -> JsonValue:
        properties = schema.get("properties")
        if not isinstance(properties, dict):
            return value
        filled = dict(value)
        for name, inner in properties.items():
            if name not in filled and isinstance(inner, dict) and "default" in inner and self._left > 0:
                self._left -= 1
                filled[name] = deepcopy(inner["default"])
            if name in filled:
                filled[name] = self.fill(inner, filled[name], depth)
        return filled

    def _fill_list(self, schema: JsonObject, value: list[JsonValue], depth: int) -> JsonValue:
        items = schema.get("items")
        return [self.fill(items, item, depth) for item in value] if isinstance(items, dict) else value


def fill_in_defaults(schema: JsonObject, value: JsonValue) -> JsonValue:
    """The value with `default`s of missing fields, also below `$ref`, `allOf` and `items`. Alternatives (`anyOf`) give none."""
    return _Filler(schema).fill(schema, value, 0)
