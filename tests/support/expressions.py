"""Evaluating expressions in tests."""

from collections.abc import Mapping
from dataclasses import dataclass

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.expressions import (
    MISSING,
    Context,
    ExpressionError,
    ExpressionFault,
    Lazy,
    Missing,
    Scope,
    compile_expression,
)

ROOTS = frozenset({"input", "steps", "trigger", "run", "vars", "x"})


class Fields(Lazy):
    """A lazy object over plain fields, which notes what is read from it."""

    def __init__(self, fields: "Mapping[str, JsonValue | Lazy]") -> None:
        self.fields = fields
        self.read: list[str] = []

    def find(self, name: str) -> "JsonValue | Lazy | Missing":
        self.read.append(name)
        return self.fields.get(name, MISSING)

    def plain(self) -> JsonValue:
        return {name: value.plain() if isinstance(value, Lazy) else value for name, value in self.fields.items()}


@dataclass(frozen=True, slots=True)
class Failure:
    """How an expression failed: statically (`is_static`) or at run time."""

    code: str
    is_static: bool
    offset: int
    path: str = ""


def sample_input() -> JsonObject:
    return {"amount": 1_500, "id": "A-17", "empty": None, "_id": 5, "tags": ["a", "b"], "customer": {"name": "Ada"}, "length": 3}


def evaluate(source: str, /, **roots: JsonValue) -> JsonValue:
    """The value of an expression over some roots; `input` is a sample order."""
    given: dict[str, JsonValue | Lazy] = {"input": sample_input(), "steps": {}, **roots}
    return compile_expression(source, Scope(ROOTS)).evaluate(Context(given, now_ms=1_772_352_000_000, seed=b"seed"))


def fail(source: str, /, **roots: JsonValue) -> Failure:
    """How an expression fails."""
    try:
        value = evaluate(source, **roots)
    except ExpressionFault as fault:
        return Failure(fault.code, is_static=True, offset=fault.offset)
    except ExpressionError as error:
        return Failure(error.code, is_static=False, offset=error.offset, path=error.path)
    raise AssertionError(f"{source[:80]!r} has a value: {str(value)[:80]}")
