"""What a JSON Schema has against a value, said so that a person can mend it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.faults import suggest_name
from flowforge.language.positions import Path
from flowforge.language.shapes import is_expression_text, show

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator, ValidationError

_TYPE_WORDS: Final = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}
_CODES: Final = {
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), "range"),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), "length"),
    "enum": "choice",
    "const": "choice",
    "format": "format",
}
_BOUND_WORDS: Final = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "minProperties": "at least {} fields",
    "maxProperties": "at most {} fields",
}
_HOLD_BESIDE_EXPRESSIONS: Final = frozenset(
    {
        "required",
        "additionalProperties",
        "unevaluatedProperties",
        "type",
        "minItems",
        "maxItems",
        "minProperties",
        "maxProperties",
    }
)
"""Keywords that say the same of a list or an object whatever the expressions inside give."""

_UNIONS: Final = frozenset({"anyOf", "oneOf"})


@dataclass(frozen=True, slots=True)
class SchemaFault:
    """`path` begins at the value that was checked. `is_name`: the fault is the field's being there or missing, not its value.

    `options` are the values that a fault `choice` allows.
    """

    path: Path
    code: str
    message: str
    suggestion: str | None = None
    is_name: bool = False
    options: tuple[str, ...] = ()


def make_validator(schema: JsonObject) -> "Draft202012Validator":
    """A validator that checks formats, fetches nothing, and whose patterns take linear time.

    Raises:
        ValueError: the schema is none, or a `$ref` inside leads nowhere.
    """
    import jsonschema_rs  # 60 ms, and a process that only runs workflows may never need it

    return jsonschema_rs.Draft202012Validator(
        schema, validate_formats=True, offline=True, pattern_options=jsonschema_rs.RegexOptions()
    )


def list_schema_faults(
    validator: "Draft202012Validator",
    schema: JsonObject,
    value: JsonValue,
    *,
    is_hidden: Callable[[Path], bool] = lambda _: False,
) -> list[SchemaFault]:
    """All faults, each once. Where text holds an expression its value is not known, and nothing is said about it.

    `is_hidden` tells which values must not be repeated in a message, because they may be secrets.
    """
    explainer = _Explainer(schema, is_hidden)
    return list(dict.fromkeys(explainer.explain_all(validator.iter_errors(value))))


class _Explainer:
    def __init__(self, schema: JsonObject, is_hidden: Callable[[Path], bool]) -> None:
        self._schema = schema
        self._is_hidden = is_hidden

    def explain_all(self, errors: "Iterable[ValidationError]") -> Iterator[SchemaFault]:
        for error in errors:
            yield from self._explain(error)

    def _explain(self, error: "ValidationError") -> Iterator[SchemaFault]:
        path = tuple(error.instance_path)
        keyword = error.kind.name
        instance = cast("JsonValue", error.instance)
        details = error.kind.as_dict()
        if keyword in _UNIONS and "context" in details:
            yield from self._explain_union(details["context"], path, instance)
        elif is_expression_text(instance) or (keyword not in _HOLD_BESIDE_EXPRESSIONS and holds_expression(instance)):
            return
        elif keyword in ("additionalProperties", "unevaluatedProperties"):
            yield from self._explain_unknown(cast("list[str]", details["unexpected"]), path, error.schema_path)
        elif keyword == "required":
            name = str(details["property"])
            yield SchemaFault((*path, name), "required", f"The field {name!r} is missing.", is_name=True)
        else:
            yield self._explain_value(keyword, details, path, instance)

    def _explain_union(self, branches: "list[list[ValidationError]]", path: Path, instance: JsonValue) -> Iterator[SchemaFault]:
        """Tells the faults against the branch that was most probably meant."""
        told = [list(self.explain_all(branch)) for branch in branches]
        if not all(told):
            return
        likely = [faults for faults in told if not any(fault.path == path and fault.code == "type" for fault in faults)]
        if likely:
            yield from _merge_choices(likely) or min(likely, key=_count_strangeness)
            return
        words = [word for branch in branches for error in branch for word in _name_types(error.kind.as_dict())]
        wanted = " or ".join(dict.fromkeys(words)) or "another value"
        code = "type" if words else "value"
        yield SchemaFault(path, code, f"{wanted[0].upper()}{wanted[1:]} is expected here, not {self._show(instance, path)}.")

    def _explain_unknown(self, names: Sequence[str], path: Path, schema_path: Sequence[str | int]) -> Iterator[SchemaFault]:
        known = list(self._find_properties(schema_path[:-1]))
        tail = f"; known are {', '.join(sorted(known)[:40])}" if known else ""
        for name in names:
            message = f"The field {show(name)} is not known here{tail}."
            yield SchemaFault((*path, name), "field_unknown", message, suggest_name(name, known), is_name=True)

    def _find_properties(self, schema_path: Sequence[str | int]) -> Iterable[str]:
        current: JsonValue = self._schema
        for part in schema_path:
            if isinstance(current, dict):
                current = current.get(str(part))
            elif isinstance(current, list) and isinstance(part, int):
                current = current[part]
        properties = current.get("properties") if isinstance(current, dict) else None
        return properties if isinstance(properties, dict) else ()

    def _explain_value(self, keyword: str, details: dict[str, object], path: Path, instance: JsonValue) -> SchemaFault:
        shown = self._show(instance, path)
        code = _CODES.get(keyword, "value")
        types = _name_types(details)
        if types:
            wanted = " or ".join(types)
            return SchemaFault(path, "type", f"{wanted[0].upper()}{wanted[1:]} is expected here, not {shown}.")
        if keyword in _BOUND_WORDS:
            bound = details.get("limit", details.get("multiple_of"))
            words = _BOUND_WORDS[keyword].format(bound)
            return SchemaFault(
                path, code, f"{shown} does not fit: it must be {words.removesuffix('s') if bound == 1 else words}."
            )
        if keyword in ("enum", "const"):
            options = cast("list[JsonValue]", details.get("options", [details.get("expected_value")]))
            names = [option for option in options if isinstance(option, str)]
            meant = suggest_name(instance, names) if isinstance(instance, str) else None
            told = tuple(show(option) for option in options[:40])
            return SchemaFault(path, code, f"{shown} is not one of {', '.join(told)}.", meant, options=told)
        if keyword == "format":
            return SchemaFault(path, code, f"{shown} is not of the format {details.get('format')}.")
        if keyword == "pattern":
            return SchemaFault(path, code, f"{shown} does not match the pattern {details.get('pattern')}.")
        return SchemaFault(path, code, f"{shown} does not fit `{keyword}` of the schema.")

    def _show(self, value: JsonValue, path: Path) -> str:
        return "this value" if self._is_hidden(path) else show(value)


def _count_strangeness(faults: Sequence[SchemaFault]) -> tuple[int, int, int]:
    """Least where what tells the alternatives apart fits, then where few fields are unknown or missing, then where few faults are."""
    return sum(bool(fault.options) for fault in faults), sum(fault.is_name for fault in faults), len(faults)


def _merge_choices(branches: Sequence[Sequence[SchemaFault]]) -> list[SchemaFault]:
    """One fault with all options, where every alternative refuses the same value because it allows others."""
    places = [{fault.path for fault in faults if fault.options} for faults in branches]
    common = {path for path in places[0] if all(path in others for others in places)}
    if not common:
        return []
    found = [fault for faults in branches for fault in faults if fault.options and fault.path in common]
    options = tuple(dict.fromkeys(option for fault in found for option in fault.options))
    first = found[0]
    shown = first.message.partition(" is not one of ")[0]
    meant = suggest_name(shown.strip("'"), [option.strip("'") for option in options])
    return [SchemaFault(first.path, "choice", f"{shown} is not one of {', '.join(options[:40])}.", meant, options=options)]


def _name_types(details: dict[str, object]) -> list[str]:
    types = details.get("types")
    return [_TYPE_WORDS.get(str(name), str(name)) for name in cast("list[object]", types)] if isinstance(types, list) else []


def holds_expression(value: JsonValue) -> bool:
    """Whether any text inside is or holds an expression."""
    if isinstance(value, dict):
        return any(holds_expression(item) for item in value.values())
    if isinstance(value, list):
        return any(holds_expression(item) for item in value)
    return is_expression_text(value)
