"""Values with `${{ … }}` inside, compiled once."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias, cast
from urllib.parse import quote

from flowforge.kit.values import JsonValue
from flowforge.language.expressions.compiler import NO_FUNCTIONS, Compiled, check_expression
from flowforge.language.expressions.context import Context
from flowforge.language.expressions.errors import ExpressionError, ExpressionFault
from flowforge.language.expressions.leaving import to_text
from flowforge.language.expressions.limits import DEFAULT_LIMITS, Limits
from flowforge.language.expressions.scanning import OPENING, Span, find_expressions, has_expression
from flowforge.language.expressions.scope import PureFunctions, Scope
from flowforge.language.expressions.secret_text import SecretText

__all__ = [
    "PlacedExpression",
    "SecretText",
    "Template",
    "TemplateCheck",
    "TemplateFault",
    "TemplateFormat",
    "compile_template",
    "constant_template",
]

Make: TypeAlias = Callable[[Context], JsonValue]
Keys: TypeAlias = tuple[str | int, ...]


class TemplateFormat(StrEnum):
    """JSON: a string that is one expression keeps the value's type. TEXT: every string stays a string. URL: as JSON, but each inserted
    value is percent-encoded, unless the text begins with it."""

    JSON = "json"
    TEXT = "text"
    URL = "url"


@dataclass(frozen=True, slots=True)
class TemplateFault:
    """One fault: `path` is the dotted place of the string inside the value ("" for the value itself), `offset` the character in it.

    `keys` is the same place exactly, also where a key has dots.
    """

    code: str
    message: str
    path: str
    offset: int
    suggestion: str | None = None
    keys: Keys = ()


@dataclass(frozen=True, slots=True)
class PlacedExpression:
    """One expression of a template; characters of its source count from `offset` in the string at `path`."""

    path: str
    offset: int
    compiled: Compiled
    keys: Keys = ()


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled value. `evaluate` gives a fresh JSON value (with `SecretText` inside where the source names secrets).

    `is_constant`: no expression inside; `constant` is then the value itself, which nobody changes. What an expression hands on by its
    path is the very object of the context. `evaluate` raises `ExpressionError`, whose `field` is the dotted path of the string.
    """

    source: JsonValue
    is_constant: bool
    constant: JsonValue
    evaluate: Make
    expressions: tuple[PlacedExpression, ...] = ()


@dataclass(frozen=True, slots=True)
class TemplateCheck:
    """What compiling gave: a template, or else all faults; and in both cases the expressions that have none."""

    template: Template | None
    faults: tuple[TemplateFault, ...]
    expressions: tuple[PlacedExpression, ...]


def compile_template(
    value: JsonValue,
    scope: Scope,
    functions: PureFunctions = NO_FUNCTIONS,
    *,
    format: TemplateFormat = TemplateFormat.JSON,  # noqa: A002 - the word of the language
    limits: Limits = DEFAULT_LIMITS,
) -> TemplateCheck:
    """Compiles a value with all expressions in its strings, at any depth."""
    compilation = _Compilation(scope, functions, format, limits)
    make = compilation.compile(value, ())
    expressions = tuple(compilation.expressions)
    if compilation.faults:
        return TemplateCheck(None, tuple(compilation.faults), expressions)
    if make is None:
        return TemplateCheck(constant_template(value), (), ())
    return TemplateCheck(
        Template(value, is_constant=False, constant=None, evaluate=make, expressions=expressions), (), expressions
    )


def constant_template(value: JsonValue) -> Template:
    """A template without expressions."""
    return Template(value, is_constant=True, constant=value, evaluate=_make_constant(value))


def _make_constant(value: JsonValue) -> Make:
    if isinstance(value, (list, dict)):
        return lambda _context: _copy(value)
    return lambda _context: value


def _copy(value: JsonValue) -> JsonValue:
    if isinstance(value, list):
        return [_copy(item) for item in value]
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return value


class _Compilation:
    """Compiles values; None stands for one without expressions."""

    def __init__(self, scope: Scope, functions: PureFunctions, format_: TemplateFormat, limits: Limits) -> None:
        self.scope = scope
        self.functions = functions
        self.format = format_
        self.limits = limits
        self.faults: list[TemplateFault] = []
        self.expressions: list[PlacedExpression] = []

    def compile(self, value: JsonValue, keys: Keys) -> Make | None:
        if isinstance(value, str):
            return self.compile_text(value, keys) if has_expression(value) else None
        if isinstance(value, list):
            return _make_list(value, [self.compile(item, (*keys, position)) for position, item in enumerate(value)])
        if isinstance(value, dict):
            return self.compile_object(value, keys)
        return None

    def note(self, fault: ExpressionFault, keys: Keys, start: int = 0) -> None:
        offset = start + fault.offset
        self.faults.append(TemplateFault(fault.code, fault.message, _dotted(keys), offset, fault.suggestion, keys))

    def compile_object(self, value: dict[str, JsonValue], keys: Keys) -> Make | None:
        makes: dict[str, Make | None] = {}
        for key, item in value.items():
            if has_expression(key):
                message = "An expression cannot stand in the name of a field."
                self.note(ExpressionFault("expr_not_allowed", message, key.index(OPENING)), (*keys, key))
            makes[key] = self.compile(item, (*keys, key))
        return _make_object(value, makes)

    def compile_text(self, text: str, keys: Keys) -> Make | None:
        try:
            spans = find_expressions(text)
        except ExpressionFault as fault:
            self.note(fault, keys)
            return None
        path = _dotted(keys)
        compiled = [self.compile_span(span, keys) for span in spans]
        found = [expression for expression in compiled if expression is not None]
        if len(found) < len(spans):
            return None
        if len(spans) == 1 and not (text[: spans[0].start] + text[spans[0].end :]).strip():
            is_kept = self.format is not TemplateFormat.TEXT or found[0].secret is not None
            return (
                found[0].evaluate if is_kept else _make_text([_Insert(found[0], is_encoded=False, path=path)], path, self.limits)
            )
        if any(expression.secret is not None for expression in found):
            return self.compile_secret_text(text, keys, spans, found)
        return _make_text(self.cut(text, path, spans, found), path, self.limits)

    def compile_span(self, span: Span, keys: Keys) -> Compiled | None:
        path = _dotted(keys)
        compiled, faults = check_expression(span.source, self.scope, self.functions, limits=self.limits, field=path)
        for fault in faults:
            self.note(fault, keys, span.source_start)
        if compiled is not None:
            self.expressions.append(PlacedExpression(path, span.source_start, compiled, keys))
        return compiled

    def cut(self, text: str, path: str, spans: tuple[Span, ...], compiled: list[Compiled]) -> "list[_Part]":
        parts: list[_Part] = []
        end = 0
        for span, expression in zip(spans, compiled, strict=True):
            before = text[end : span.start]
            if before:
                parts.append(before)
            begins = not text[: span.start].strip()
            is_encoded = self.format is TemplateFormat.URL and not begins
            parts.append(_Insert(expression, is_encoded, path))
            end = span.end
        if text[end:]:
            parts.append(text[end:])
        return parts

    def compile_secret_text(self, text: str, keys: Keys, spans: tuple[Span, ...], compiled: list[Compiled]) -> Make | None:
        parts = self.cut(text, _dotted(keys), spans, compiled)
        for span, part in zip(spans, [part for part in parts if isinstance(part, _Insert)], strict=True):
            if part.expression.secret is not None and part.is_encoded:
                message = "A secret can stand at the beginning of a URL, not inside it: send it as a header."
                self.note(ExpressionFault("secret_context", message), keys, span.source_start)
                return None
        return _make_secret_text(parts)


def _dotted(keys: Keys) -> str:
    """The place as `list[0].name`."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).removeprefix(".")


@dataclass(frozen=True, slots=True)
class _Insert:
    expression: Compiled
    is_encoded: bool
    path: str

    def text(self, context: Context) -> str:
        value = self.expression.evaluate(context)
        try:
            text = to_text(value)
        except ExpressionError as error:
            error.place(0)
            error.field = self.path
            raise
        return _encode(text) if self.is_encoded else text


_Part: TypeAlias = str | _Insert
_DOT_SEGMENTS: Final = {".": "%2E", "..": "%2E%2E"}


def _encode(text: str) -> str:
    """Percent-encodes all but RFC 3986's unreserved characters, and the two segments that would climb in a path."""
    return _DOT_SEGMENTS.get(text) or quote(text, safe="", errors="replace")


def _make_list(value: list[JsonValue], makes: list[Make | None]) -> Make | None:
    if not any(makes):
        return None
    skeleton: list[JsonValue] = [None if isinstance(item, (list, dict)) else item for item in value]
    changing = [
        (position, make or _make_constant(item))
        for position, (make, item) in enumerate(zip(makes, value, strict=True))
        if make is not None or isinstance(item, (list, dict))
    ]

    def evaluate(context: Context) -> JsonValue:
        made = skeleton.copy()
        for position, make in changing:
            made[position] = make(context)
        return made

    return evaluate


def _make_object(value: dict[str, JsonValue], makes: dict[str, Make | None]) -> Make | None:
    if not any(makes.values()):
        return None
    # A copy of the skeleton keeps the order of the fields, whichever of them change.
    skeleton: dict[str, JsonValue] = {key: None if isinstance(item, (list, dict)) else item for key, item in value.items()}
    changing = [
        (key, makes[key] or _make_constant(item)) for key, item in value.items() if makes[key] or isinstance(item, (list, dict))
    ]

    def evaluate(context: Context) -> JsonValue:
        made = skeleton.copy()
        for key, make in changing:
            made[key] = make(context)
        return made

    return evaluate


def _make_text(parts: list[_Part], path: str, limits: Limits) -> Make:
    texts = [part if isinstance(part, str) else part.text for part in parts]

    def evaluate(context: Context) -> JsonValue:
        made: list[str] = []
        characters = 0
        for text in texts:
            made.append(text if isinstance(text, str) else text(context))
            characters += len(made[-1])
            if characters > limits.text_characters:
                raise _refuse_length(path, limits)
        return "".join(made)

    return evaluate


def _refuse_length(path: str, limits: Limits) -> ExpressionError:
    error = ExpressionError("expression_budget", f"The text is longer than {limits.text_characters} characters.")
    error.field = path
    return error


def _make_secret_text(parts: list[_Part]) -> Make:
    def evaluate(context: Context) -> JsonValue:
        made: list[tuple[bool, str]] = []
        for part in parts:
            if isinstance(part, str):
                made.append((False, part))
            elif part.expression.secret is not None:
                made.append((True, part.expression.secret))
            else:
                made.append((False, part.text(context)))
        return cast("JsonValue", SecretText(tuple(made)))

    return evaluate
