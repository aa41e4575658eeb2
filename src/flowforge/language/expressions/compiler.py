"""`compile_expression`: source text to a closure, and what a checker wants to know of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, cast

from flowforge.kit.values import JsonValue
from flowforge.language.expressions.compilation import Code, Compilation, NodeCompiler
from flowforge.language.expressions.compiling_calls import compile_postfix, find_secret
from flowforge.language.expressions.compiling_operators import (
    compile_chain,
    compile_conditional,
    compile_logic,
    compile_negate,
    compile_not,
)
from flowforge.language.expressions.compiling_reads import compile_list, compile_literal, compile_map, compile_name
from flowforge.language.expressions.context import Context
from flowforge.language.expressions.errors import ExpressionError, ExpressionFault
from flowforge.language.expressions.leaving import leave
from flowforge.language.expressions.limits import DEFAULT_LIMITS, Limits
from flowforge.language.expressions.parser import parse_expression
from flowforge.language.expressions.scope import PureFunctions, Reference, Scope
from flowforge.language.expressions.secret_text import SecretText
from flowforge.language.expressions.syntax import (
    Chain,
    Conditional,
    ListNode,
    Literal,
    Logic,
    MapNode,
    Name,
    Negate,
    Not,
    Postfix,
)
from flowforge.language.expressions.values import SCALAR_TYPES, Kind

NO_FUNCTIONS: Final[PureFunctions] = MappingProxyType({})
_HANDED_ON_TYPES: Final = SCALAR_TYPES | {list, dict}


@dataclass(frozen=True, slots=True)
class Compiled:
    """An expression, ready to be evaluated.

    `evaluate` raises `ExpressionError`; its value shares what it hands on with the context, so the caller changes nothing inside it.
    `type` is the kind of the value where it is known without data. `secret` is the name, if the expression is one secret; `evaluate` then
    gives a `SecretText`. `functions` are the names of all functions and pure operations that it calls.
    """

    source: str
    evaluate: Callable[[Context], JsonValue]
    type: Kind | None
    references: tuple[Reference, ...]
    functions: tuple[str, ...]
    secret: str | None
    secret_offset: int = 0

    @property
    def path(self) -> tuple[str, ...] | None:
        """The path, if the expression does nothing but read one whose fields are all known."""
        exact = len(self.references) == 1 and self.references[0].is_exact and not self.references[0].is_optional
        reference = self.references[0] if exact else None
        is_whole = reference is not None and self.source[reference.offset : reference.end] == self.source.strip()
        return reference.path if reference is not None and is_whole else None


def compile_expression(
    source: str, scope: Scope, functions: PureFunctions = NO_FUNCTIONS, *, limits: Limits = DEFAULT_LIMITS
) -> Compiled:
    """Compiles one expression (without its `${{ }}`).

    Raises:
        ExpressionFault: the first fault; `check_expression` gives all of them.
    """
    compiled, faults = check_expression(source, scope, functions, limits=limits)
    if compiled is None:
        raise faults[0]
    return compiled


def check_expression(
    source: str, scope: Scope, functions: PureFunctions = NO_FUNCTIONS, *, limits: Limits = DEFAULT_LIMITS, field: str = ""
) -> tuple[Compiled | None, tuple[ExpressionFault, ...]]:
    """The compiled expression, or all its faults in the order of their places. `field` is what errors of its evaluation carry."""
    compilation = Compilation(source, scope, functions, limits, _COMPILERS)
    try:
        node = parse_expression(source, limits)
        secret = find_secret(node)
        if secret is not None and scope.allows_secrets:
            return _make_secret(source, *secret), ()
        code = compilation.compile(node)
    except ExpressionFault as fault:
        return None, (*compilation.faults, fault)
    if compilation.faults:
        return None, tuple(sorted(compilation.faults, key=lambda fault: fault.offset))
    return _make_compiled(compilation, code, field), ()


def _make_secret(source: str, name: str, offset: int) -> Compiled:
    value = cast("JsonValue", SecretText(((True, name),)))
    return Compiled(source, lambda _context: value, None, (), (), name, offset)


def _make_compiled(compilation: Compilation, code: Code, field: str) -> Compiled:
    make = _evaluate_dynamic if compilation.is_dynamic or compilation.max_slots else _evaluate_static
    evaluate = make(code, compilation.cost, compilation.max_slots, compilation.limits, field)
    references = tuple(sorted(compilation.references, key=lambda reference: reference.offset))
    return Compiled(compilation.source, evaluate, code.kind, references, tuple(sorted(compilation.called)), None)


def _evaluate_static(code: Code, ticks: int, _slots: int, limits: Limits, field: str) -> Callable[[Context], JsonValue]:
    """For an expression whose cost is known beforehand, and that makes no container and no text."""
    run = code.run
    result_bytes = limits.result_bytes

    def evaluate(context: Context) -> JsonValue:
        context.ticks = ticks
        try:
            value = run(context)
            return cast("JsonValue", value) if type(value) in _HANDED_ON_TYPES else leave(context, value, result_bytes)
        except ExpressionError as error:
            error.place(0)
            error.field = field
            raise

    return evaluate


def _evaluate_dynamic(code: Code, ticks: int, slots: int, limits: Limits, field: str) -> Callable[[Context], JsonValue]:
    run = code.run
    is_scalar = code.kind is Kind.BOOLEAN or code.kind is Kind.NUMBER
    result_bytes = limits.result_bytes

    def evaluate(context: Context) -> JsonValue:
        context.ticks = ticks
        context.limits = limits
        context.slots = [None] * slots
        if context.made:
            context.made.clear()
        if context.patterns:
            context.patterns.clear()
        try:
            value = run(context)
            return cast("JsonValue", value) if is_scalar else leave(context, value, result_bytes)
        except ExpressionError as error:
            error.place(0)
            error.field = field
            raise

    return evaluate


_COMPILERS: Final[Mapping[type, NodeCompiler]] = {
    Literal: compile_literal,
    Name: compile_name,
    Postfix: compile_postfix,
    ListNode: compile_list,
    MapNode: compile_map,
    Not: compile_not,
    Negate: compile_negate,
    Chain: compile_chain,
    Logic: compile_logic,
    Conditional: compile_conditional,
}
