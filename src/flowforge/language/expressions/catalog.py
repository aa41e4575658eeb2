"""What a function of the language is: one entry in the table from which calls, checks and the reference come."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from flowforge.kit.values import JsonValue
from flowforge.language.expressions.errors import ExpressionError, problem
from flowforge.language.expressions.values import (
    Kind,
    OptionalValue,
    Timestamp,
    Value,
    name_kind,
    with_article,
)


class Style(StrEnum):
    """How a function is called: `f(x)`, `x.f()`, either way, or as a macro, which sees its arguments before they are evaluated."""

    GLOBAL = "global"
    MEMBER = "member"
    BOTH = "both"
    MACRO = "macro"
    MEMBER_MACRO = "member macro"


class Take(StrEnum):
    """What a parameter takes; the value is the word for messages. WHOLE takes 2.0 as 2."""

    ANY = "any value"
    TEXT = "a string"
    NUMBER = "a number"
    WHOLE = "a whole number"
    LIST = "a list"
    TIMESTAMP = "a timestamp"
    OPTIONAL = "an optional"


NAMESPACES: Final = frozenset({"base64", "cel", "lists", "math", "optional", "strings"})


@dataclass(frozen=True, slots=True)
class Example:
    """An expression without roots, and its value."""

    expression: str
    gives: JsonValue


@dataclass(frozen=True, slots=True)
class Function:
    """One function.

    `takes` are its parameters, for a member with the receiver first; those behind `required` may be left out. With `is_variadic` the last
    one may be repeated. `implement` gets the context and the arguments, already checked; a macro has none.
    """

    name: str
    style: Style
    signature: str
    summary: str
    example: Example
    takes: tuple[Take, ...] = ()
    required: int = 0
    is_variadic: bool = False
    implement: Callable[..., Value] | None = None
    result: Kind | None = None

    @property
    def is_macro(self) -> bool:
        return self.style in {Style.MACRO, Style.MEMBER_MACRO}

    @property
    def is_member(self) -> bool:
        return self.style in {Style.MEMBER, Style.MEMBER_MACRO, Style.BOTH}

    @property
    def is_global(self) -> bool:
        return self.style in {Style.GLOBAL, Style.MACRO, Style.BOTH}

    def accepts(self, count: int) -> bool:
        """Whether it can be called with so many arguments, the receiver included."""
        return count >= self.required and (self.is_variadic or count <= len(self.takes))

    def checks(self, count: int) -> tuple[Callable[[Value], Value] | None, ...]:
        """For each of `count` arguments the function that lets it pass or raises `type_mismatch`; None where any value will do."""
        takes = self.takes + self.takes[-1:] * (count - len(self.takes))
        return tuple(None if take is Take.ANY else make_check(self.name, take) for take in takes[:count])


def define(
    signature: str,
    summary: str,
    example: tuple[str, JsonValue],
    *takes: Take,
    result: Kind | None = None,
    style: Style | None = None,
) -> Callable[[Callable[..., Value]], Function]:
    """Makes a table entry of the function below it. Name and style are read from the signature (`text.trim()` is a member, `math.abs(x)`
    and `int(x)` are global), and from the function itself which parameters may be left out or repeated."""
    head = signature.split("(", maxsplit=1)[0]
    receiver, _, last = head.rpartition(".")
    is_member = bool(receiver) and receiver not in NAMESPACES

    def enter(implement: Callable[..., Value]) -> Function:
        parameters = list(inspect.signature(implement).parameters.values())[1:]
        return Function(
            name=last if is_member else head,
            style=style or (Style.MEMBER if is_member else Style.GLOBAL),
            signature=signature,
            summary=summary,
            example=Example(*example),
            takes=takes,
            required=sum(
                parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL
                for parameter in parameters
            ),
            is_variadic=any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters),
            implement=implement,
            result=result,
        )

    return enter


_PYTHON_TYPES: Final[dict[Take, frozenset[type]]] = {
    Take.TEXT: frozenset({str}),
    Take.NUMBER: frozenset({int, float}),
    Take.WHOLE: frozenset({int}),
    Take.LIST: frozenset({list}),
    Take.TIMESTAMP: frozenset({Timestamp}),
    Take.OPTIONAL: frozenset({OptionalValue}),
}


def make_check(name: str, take: Take) -> Callable[[Value], Value]:
    """The function that checks one argument of the function `name`."""
    types = _PYTHON_TYPES[take]
    is_whole = take is Take.WHOLE

    def check(value: Value) -> Value:
        if type(value) in types:
            return value
        if is_whole and type(value) is float and value.is_integer():
            return int(value)
        given = "a fraction" if type(value) is float else with_article(name_kind(value))
        raise problem("type_mismatch", f"{name}() takes {take.value}; got {given}.")

    return check


def refuse(name: str, value: Value, *wanted: Kind) -> ExpressionError:
    """The error for an argument that is of none of the kinds a function takes."""
    kinds = " or ".join(with_article(kind.value) for kind in wanted)
    return problem("type_mismatch", f"{name}() takes {kinds}; got {with_article(name_kind(value))}.")
