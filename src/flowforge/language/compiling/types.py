"""What the schemas tell about the values that an expression reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.compiling.outline import StepOutline
from flowforge.language.faults import suggest_name
from flowforge.language.inputs import find_by_pointer

_ANYTHING: Final[JsonObject] = {}
_REFERENCES_MAX: Final = 20
_FLOW_OUTPUTS: Final[dict[str, JsonObject]] = {
    "flow.if": {"type": "boolean"},
    "flow.switch": {"type": "string"},
    "flow.foreach": {"type": "array"},
}
_JSON_TYPES: Final = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})


@dataclass(frozen=True, slots=True)
class UnknownMember:
    """A schema that takes no other fields does not have this one. `position` counts the names that were followed."""

    position: int
    name: str
    known: tuple[str, ...]

    @property
    def suggestion(self) -> str | None:
        return suggest_name(self.name, self.known)


def find_output_schema(step: StepOutline) -> JsonObject:
    """The schema of a step's output; `{}` where nothing is known. A bypassed or failed step gives null beside it."""
    if step.kind is None:
        return _ANYTHING
    if step.kind.operation is not None:
        return step.kind.operation.result_schema
    return _FLOW_OUTPUTS.get(step.kind.name, _ANYTHING)


def follow_schema(root: JsonObject, names: Sequence[str]) -> JsonObject | UnknownMember:
    """The schema of the field that the names lead to; `{}` where nothing is known of it."""
    current = _resolve(root, root)
    for position, name in enumerate(names):
        properties = current.get("properties")
        if isinstance(properties, dict) and name in properties:
            current = _resolve(root, properties[name])
        elif current.get("additionalProperties") is False and not _is_open(current):
            return UnknownMember(position, name, tuple(properties) if isinstance(properties, dict) else ())
        else:
            return _ANYTHING
    return current


def list_types(schema: JsonObject) -> frozenset[str]:
    """The JSON types that the values can have; empty where nothing is known."""
    types = schema.get("type")
    names = [types] if isinstance(types, str) else types if isinstance(types, list) else []
    return frozenset(name for name in names if isinstance(name, str) and name in _JSON_TYPES)


def _is_open(schema: JsonObject) -> bool:
    return any(keyword in schema for keyword in ("patternProperties", "anyOf", "oneOf", "allOf", "$dynamicRef"))


def _resolve(root: JsonObject, schema: JsonValue) -> JsonObject:
    """The schema behind `$ref`s that stand alone, beside notes at most."""
    for _ in range(_REFERENCES_MAX):
        reference = schema.get("$ref") if isinstance(schema, dict) else None
        if not isinstance(reference, str):
            break
        schema = find_by_pointer(root, reference)
    return schema if isinstance(schema, dict) else _ANYTHING
