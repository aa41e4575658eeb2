"""The shapes that a document's fields can have. From one table of shapes come the checks, the JSON Schema and the reference."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flowforge.kit.units import parse_duration
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.faults import At, Sink, suggest_name
from flowforge.language.positions import Path

EXPRESSION_MARK: Final = "${{"
DURATION_FIELD_MAX_MS: Final = 3_650 * 86_400_000
"""Ten years, the horizon of schedules too."""

_EXPRESSION_SCHEMA: Final[JsonObject] = {"type": "string", "pattern": r"\$\{\{", "description": "An expression: ${{ … }}"}
_ONE_EXPRESSION: Final = re.compile(r"\s*\$\{\{.*\}\}\s*", re.DOTALL)
TIME_PATTERN: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
_RATE: Final = re.compile(r"([0-9]{1,9})/(?:(ms|s|m|h|d)|([0-9A-Za-z.]+))")


class Shape(ABC):
    """What a field's value must look like."""

    @abstractmethod
    def check(self, value: JsonValue, path: Path, sink: Sink) -> None:
        """Tells the sink every fault of the value."""

    @abstractmethod
    def schema(self) -> JsonObject:
        """JSON Schema (2020-12) of the values."""


class ConstantShape(Shape):
    """A shape whose values cannot be expressions."""

    def check(self, value: JsonValue, path: Path, sink: Sink) -> None:
        """Refuses an expression, and checks anything else."""
        if isinstance(value, str) and EXPRESSION_MARK in value:
            refuse_expression(path, sink, value.index(EXPRESSION_MARK))
        else:
            self.check_constant(value, path, sink)

    @abstractmethod
    def check_constant(self, value: JsonValue, path: Path, sink: Sink) -> None:
        """Tells the sink every fault of a value without expressions."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an object. `default` is for people; where it is None there is none."""

    name: str
    shape: Shape
    description: str
    is_required: bool = False
    default: JsonValue = None


@dataclass(frozen=True, slots=True)
class Text(ConstantShape):
    """Plain text without expressions. `code` is the fault of text that does not match `pattern`."""

    pattern: str = ""
    max_characters: int = 1_000
    code: str = "value"
    hint: str = ""

    def check_constant(self, value: JsonValue, path: Path, sink: Sink) -> None:
        if not isinstance(value, str):
            refuse_type(value, "text", path, sink)
        elif len(value) > self.max_characters:
            sink.add(self.code, path, f"This text is longer than {self.max_characters} characters.")
        elif self.pattern and not re.fullmatch(self.pattern, value, re.ASCII):
            sink.add(self.code, path, f"{show(value)} is not allowed here: {self.hint}.")

    def schema(self) -> JsonObject:
        schema: JsonObject = {"type": "string", "maxLength": self.max_characters}
        if self.pattern:
            schema["pattern"] = f"^(?:{self.pattern})$"
        return schema


@dataclass(frozen=True, slots=True)
class Flag(ConstantShape):
    """`true` or `false`."""

    def check_constant(self, value: JsonValue, path: Path, sink: Sink) -> None:
        if not isinstance(value, bool):
            refuse_type(value, "true or false", path, sink)

    def schema(self) -> JsonObject:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Whole(ConstantShape):
    """A whole number between bounds, both included."""

    minimum: int
    maximum: int
    code: str = "range"

    def check_constant(self, value: JsonValue, path: Path, sink: Sink) -> None:
        whole = find_whole(value)
        if whole is None:
            refuse_type(value, "a whole number", path, sink)
        elif whole < self.minimum:
            sink.add(self.code, path, f"{show(value)} is too small: at least {self.minimum} is allowed.")
        elif whole > self.maximum:
            sink.add(self.code, path, f"{show(value)} is too large: at most {self.maximum} is allowed.")

    def schema(self) -> JsonObject:
        return {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}


@dataclass(frozen=True, slots=True)
class Number(ConstantShape):
    """A number between bounds, both included."""

    minimum: float
    maximum: float

    def check_constant(self, value: JsonValue, path: Path, sink: Sink) -> None:
        if not isinstance(value, int | float) or isinstance(value, bool):
            refuse_type(value, "a number", path, sink)
        elif not self.minimum <= value <= self.maximum:
            sink.add("range", path, f"{show(value)} is out of range: {self.minimum:g} to {self.maximum:g} is allowed.")

    def schema(self) -> JsonObject:
        return {"type": "number", "minimum": self.minimum, "maximum": self.maximum}


@dataclass(frozen=True, slots=True)
class Duration(ConstantShape):
    """A length of time above zero, as constant text."""

    maximum_ms: int = DURATION_FIELD_MAX_MS

    def check_constant(self, value: JsonValue, path: Path, sink: Sink) -> None:
        duration_ms = find_duration_ms(value)
        if duration_ms is None:
            hint = (
                f'Write "{value}s" for seconds.'
                if find_whole(value) is not None and isinstance(value, int) and value > 0
                else None
            )
            sink.add(
                "duration", path, f"{show(value)} is no duration; write it like 30s, 5m, 1h30m, 7d or PT30S.", suggestion=hint
            )
        elif not 0 < duration_ms <= self.maximum_ms:
            sink.add(
                "duration", path, f"The duration {show(value)} must be above zero and at most {self.maximum_ms // 86_400_000}d."
            )

    def schema(self) -> JsonObject:
        return {"type": "string", "minLength": 2, "maxLength": 64, "examples": ["30s", "5m", "1h30m", "7d", "PT30S"]}


@dataclass(frozen=True, slots=True)
class Time(ConstantShape):
    """A moment: RFC 3339 with a zone."""

    def check_constant(self, value: JsonValue, path: Path, sink: Sink) -> None:
        if not isinstance(value, str) or not is_time(value):
            sink.add("time", path, f"{show(value)} is no time; write it with a zone, like 2030-01-31T07:00:00Z.")

    def schema(self) -> JsonObject:
        return {"type": "string", "pattern": f"^(?:{TIME_PATTERN})$", "examples": ["2030-01-31T07:00:00Z"]}


@dataclass(frozen=True, slots=True)
class Rate(ConstantShape):
    """So many in so much time: `10/s`, `100/5m`."""

    def check_constant(self, value: JsonValue, path: Path, sink: Sink) -> None:
        if find_rate(value) is None:
            sink.add("rate", path, f"{show(value)} is no rate; write it like 10/s, 100/5m or 1000/h.")

    def schema(self) -> JsonObject:
        return {"type": "string", "pattern": "^[0-9]{1,9}/([0-9A-Za-z.]+)$", "examples": ["10/s", "100/5m"]}


@dataclass(frozen=True, slots=True)
class Choice(ConstantShape):
    """One of a few words."""

    values: tuple[str, ...]

    def check_constant(self, value: JsonValue, path: Path, sink: Sink) -> None:
        if not isinstance(value, str) or value not in self.values:
            meant = suggest_name(value, self.values) if isinstance(value, str) else None
            sink.add("choice", path, f"{show(value)} is not one of {', '.join(self.values)}.", suggestion=meant)

    def schema(self) -> JsonObject:
        return {"enum": list(self.values)}


@dataclass(frozen=True, slots=True)
class Constant(Shape):
    """Any JSON without expressions inside."""

    object_only: bool = False

    def check(self, value: JsonValue, path: Path, sink: Sink) -> None:
        if self.object_only and not isinstance(value, dict):
            refuse_type(value, "an object", path, sink)
        _refuse_expressions_below(value, path, sink)

    def schema(self) -> JsonObject:
        return {"type": "object"} if self.object_only else {}


@dataclass(frozen=True, slots=True)
class Templated(Shape):
    """Any JSON in which expressions may stand; they are compiled elsewhere, where it is known what they may see."""

    object_only: bool = False
    text_only: bool = False

    def check(self, value: JsonValue, path: Path, sink: Sink) -> None:
        if self.object_only and not isinstance(value, dict):
            refuse_type(value, "an object", path, sink)
        if self.text_only and not isinstance(value, str):
            refuse_type(value, "text or an expression", path, sink)

    def schema(self) -> JsonObject:
        if self.text_only:
            return {"type": "string"}
        return {"type": "object"} if self.object_only else {}


@dataclass(frozen=True, slots=True)
class TemplatedScalar(Shape):
    """A word, a number, `true` or `false`, or an expression."""

    def check(self, value: JsonValue, path: Path, sink: Sink) -> None:
        if isinstance(value, dict | list) or value is None:
            refuse_type(value, "text, a number, true or false, or an expression", path, sink)

    def schema(self) -> JsonObject:
        return {"type": ["string", "number", "boolean"]}


@dataclass(frozen=True, slots=True)
class Condition(Shape):
    """`true`, `false` or one expression."""

    def check(self, value: JsonValue, path: Path, sink: Sink) -> None:
        if isinstance(value, bool) or (isinstance(value, str) and _ONE_EXPRESSION.fullmatch(value)):
            return
        sink.add("type_mismatch", path, f"A condition is true, false or one expression ${{{{ … }}}}, not {show(value)}.")

    def schema(self) -> JsonObject:
        return {"anyOf": [{"type": "boolean"}, dict(_EXPRESSION_SCHEMA)]}


@dataclass(frozen=True, slots=True)
class OrExpression(Shape):
    """A constant of the shape, or text with expressions inside."""

    inner: Shape

    def check(self, value: JsonValue, path: Path, sink: Sink) -> None:
        if not is_expression_text(value):
            self.inner.check(value, path, sink)

    def schema(self) -> JsonObject:
        return {"anyOf": [self.inner.schema(), dict(_EXPRESSION_SCHEMA)]}


@dataclass(frozen=True, slots=True)
class Group(Shape):
    """An object with known fields. `checks` look at several fields together."""

    fields: tuple[Field, ...]
    checks: tuple[Callable[[JsonObject, Path, Sink], None], ...] = ()

    def check(self, value: JsonValue, path: Path, sink: Sink) -> None:
        if not isinstance(value, dict):
            refuse_type(value, "an object", path, sink)
            return
        known = {field.name: field for field in self.fields}
        for name, item in value.items():
            if name not in known:
                refuse_field(name, list(known), path, sink)
            else:
                known[name].shape.check(item, (*path, name), sink)
        for field in self.fields:
            if field.is_required and field.name not in value:
                refuse_missing(field.name, path, sink)
        for check in self.checks:
            check(value, path, sink)

    def schema(self) -> JsonObject:
        properties: JsonObject = {field.name: describe_field(field) for field in self.fields}
        schema: JsonObject = {"type": "object", "properties": properties, "additionalProperties": False}
        required: list[JsonValue] = [field.name for field in self.fields if field.is_required]
        if required:
            schema["required"] = required
        return schema


@dataclass(frozen=True, slots=True)
class ListOf(Shape):
    """A list of one shape."""

    item: Shape
    minimum_items: int = 0

    def check(self, value: JsonValue, path: Path, sink: Sink) -> None:
        if not isinstance(value, list):
            refuse_type(value, "a list", path, sink)
            return
        if len(value) < self.minimum_items:
            sink.add("required", path, f"This list needs at least {self.minimum_items} item.")
        for index, item in enumerate(value):
            self.item.check(item, (*path, index), sink)

    def schema(self) -> JsonObject:
        return {"type": "array", "items": self.item.schema(), "minItems": self.minimum_items}


@dataclass(frozen=True, slots=True)
class MapOf(Shape):
    """An object whose fields all have one shape. `key_pattern` and `key_hint` say which names it may have."""

    item: Shape
    key_pattern: str = ""
    key_hint: str = ""
    minimum_fields: int = 0

    def check(self, value: JsonValue, path: Path, sink: Sink) -> None:
        if not isinstance(value, dict):
            refuse_type(value, "an object", path, sink)
            return
        if len(value) < self.minimum_fields:
            sink.add("required", path, f"This object needs at least {self.minimum_fields} field.")
        for name, item in value.items():
            if self.key_pattern and not re.fullmatch(self.key_pattern, name, re.ASCII):
                sink.add("name_invalid", (*path, name), f"The name {show(name)} is not allowed here: {self.key_hint}.", at=At.KEY)
            self.item.check(item, (*path, name), sink)

    def schema(self) -> JsonObject:
        schema: JsonObject = {"type": "object", "additionalProperties": self.item.schema(), "minProperties": self.minimum_fields}
        if self.key_pattern:
            schema["propertyNames"] = {"pattern": f"^(?:{self.key_pattern})$"}
        return schema


@dataclass(frozen=True, slots=True)
class Either(Shape):
    """One of several shapes, told apart by the value's JSON type: `by_type` is tried in order, and `what` names them all."""

    by_type: tuple[tuple[tuple[type, ...], Shape], ...]
    what: str

    def check(self, value: JsonValue, path: Path, sink: Sink) -> None:
        for types, shape in self.by_type:
            if type(value) in types:
                shape.check(value, path, sink)
                return
        refuse_type(value, self.what, path, sink)

    def schema(self) -> JsonObject:
        return {"anyOf": [shape.schema() for _, shape in self.by_type]}


def describe_field(field: Field) -> JsonObject:
    """The field's JSON Schema with its description and default."""
    schema: JsonObject = {**field.shape.schema(), "description": field.description}
    if field.default is not None:
        schema["default"] = field.default
    return schema


def refuse_type(value: JsonValue, wanted: str, path: Path, sink: Sink) -> None:
    sink.add("type", path, f"{wanted[0].upper()}{wanted[1:]} is expected here, not {show(value)}.")


def refuse_field(name: str, known: Sequence[str], path: Path, sink: Sink) -> None:
    if sink.is_full:
        sink.add("field_unknown", (*path, name), "")
        return
    where = f"The field {show(name)} is not known here"
    sink.add(
        "field_unknown",
        (*path, name),
        f"{where}; known are {', '.join(sorted(known)[:40])}.",
        suggestion=suggest_name(name, known),
        at=At.KEY,
    )


def refuse_missing(name: str, path: Path, sink: Sink) -> None:
    sink.add("required", (*path, name), f"The field {name!r} is missing.", at=At.KEY)


def refuse_expression(path: Path, sink: Sink, offset: int | None = None) -> None:
    sink.add("expr_not_allowed", path, "An expression cannot stand here; write a constant.", offset=offset)


def _refuse_expressions_below(value: JsonValue, path: Path, sink: Sink) -> None:
    if isinstance(value, str):
        if EXPRESSION_MARK in value:
            refuse_expression(path, sink, value.index(EXPRESSION_MARK))
    elif isinstance(value, dict):
        for name, item in value.items():
            _refuse_expressions_below(item, (*path, name), sink)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _refuse_expressions_below(item, (*path, index), sink)


def is_expression_text(value: JsonValue) -> bool:
    return isinstance(value, str) and EXPRESSION_MARK in value


def find_whole(value: JsonValue) -> int | None:
    """The whole number that the value is (2.0 counts), or None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if isinstance(value, int) else None


def find_duration_ms(value: JsonValue) -> int | None:
    """Milliseconds of a constant duration, or None where it is none."""
    if not isinstance(value, str):
        return None
    try:
        return parse_duration(value)
    except ValueError:
        return None


def is_time(text: str) -> bool:
    if not re.fullmatch(TIME_PATTERN, text, re.ASCII):
        return False
    try:
        datetime.fromisoformat(text.upper())
    except ValueError:
        return False
    return True


def find_rate(value: JsonValue) -> tuple[int, int] | None:
    """How many, and in how many milliseconds; None where the value is no rate."""
    match = _RATE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    per_ms = find_duration_ms(f"1{match[2]}" if match[2] else match[3])
    count = int(match[1])
    return (count, per_ms) if per_ms and count else None


def show(value: JsonValue) -> str:
    """The value as a person would recognise it, cut short."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return repr(value) if len(value) <= 60 else f"{value[:57]!r}…"
    return "null" if value is None else str(value).lower()
