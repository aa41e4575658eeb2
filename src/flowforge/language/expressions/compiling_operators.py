"""Operators to closures. The commonest shapes (a comparison with a literal) have closures of their own."""

from collections.abc import Callable
from typing import cast

from flowforge.language.expressions.compilation import Code, Compilation, Run
from flowforge.language.expressions.context import Context
from flowforge.language.expressions.errors import ExpressionError, problem
from flowforge.language.expressions.operators import BINARY, ORDERINGS, Binary, compare, negate
from flowforge.language.expressions.syntax import Chain, Conditional, Literal, Logic, Negate, Node, Not, Operation, Operator
from flowforge.language.expressions.values import Kind, Value, is_number, name_kind, with_article

BUDGET = "expression_budget"
_COMPARISONS = frozenset({*ORDERINGS, Operator.EQUAL, Operator.NOT_EQUAL, Operator.IN})
_FREE = frozenset({*ORDERINGS, Operator.SUBTRACT, Operator.MULTIPLY, Operator.DIVIDE, Operator.MODULO})


def compile_chain(compilation: Compilation, node: Node) -> Code:
    """`a + b - c`, `a < b`, `a in b`."""
    chain = cast("Chain", node)
    first = compilation.compile(chain.first)
    if len(chain.rest) == 1 and isinstance(chain.rest[0].operand, Literal):
        shortcut = _compare_literal(first.run, chain.rest[0].operator, chain.rest[0].operand, chain.rest[0].offset)
        if shortcut is not None:
            compilation.cost += 1
            return Code(shortcut, Kind.BOOLEAN)
    operands = [compilation.compile(operation.operand) for operation in chain.rest]
    compilation.is_dynamic |= any(operation.operator not in _FREE for operation in chain.rest)
    kind = first.kind
    for operation, operand in zip(chain.rest, operands, strict=True):
        kind = _kind_of(operation.operator, kind, operand.kind)
    if len(operands) == 1:
        operation = chain.rest[0]
        return Code(_apply_one(first.run, BINARY[operation.operator], operands[0].run, operation.offset), kind)
    return Code(_apply_all(first.run, chain.rest, [operand.run for operand in operands]), kind)


def _kind_of(operator: Operator, left: Kind | None, right: Kind | None) -> Kind | None:
    if operator in _COMPARISONS:
        return Kind.BOOLEAN
    if operator in {Operator.MULTIPLY, Operator.DIVIDE, Operator.MODULO}:
        return Kind.NUMBER
    return left if left is right and left in {Kind.NUMBER, Kind.STRING, Kind.LIST} else None


def _apply_one(left: Run, apply: Binary, right: Run, offset: int) -> Run:
    def run(context: Context) -> Value:
        first = left(context)
        second = right(context)
        try:
            return apply(context, first, second)
        except ExpressionError as error:
            error.place(offset)
            raise

    return run


def _apply_all(first: Run, rest: tuple[Operation, ...], operands: list[Run]) -> Run:
    steps = [(BINARY[step.operator], operand, step.offset) for step, operand in zip(rest, operands, strict=True)]

    def run(context: Context) -> Value:
        value = first(context)
        for apply, operand, offset in steps:
            following = operand(context)
            try:
                value = apply(context, value, following)
            except ExpressionError as error:
                error.place(offset)
                raise
        return value

    return run


def _compare_literal(left: Run, operator: Operator, literal: Literal, offset: int) -> Run | None:
    value = literal.value
    if operator is Operator.EQUAL or operator is Operator.NOT_EQUAL:
        return _equal_literal(left, value, wanted=operator is Operator.EQUAL)
    if operator in ORDERINGS and is_number(value):
        return _order_literal(left, operator, value, offset)
    return None


def _equal_literal(left: Run, literal: Value, *, wanted: bool) -> Run:
    def run(context: Context) -> Value:
        value = left(context)
        return (value == literal and (type(value) is type(literal) or is_number(value))) is wanted

    def run_singleton(context: Context) -> Value:
        return (left(context) is literal) is wanted

    return run_singleton if literal is None or literal is True or literal is False else run


def _order_literal(left: Run, operator: Operator, literal: float, offset: int) -> Run:
    apply: Callable[[Value, Value], bool] = ORDERINGS[operator]

    def run(context: Context) -> Value:
        value = left(context)
        if type(value) is int or type(value) is float:
            return apply(value, literal)
        try:
            return compare(operator, value, literal)
        except ExpressionError as error:
            error.place(offset)
            raise

    return run


def compile_logic(compilation: Compilation, node: Node) -> Code:
    """`&&` and `||`: an operand that decides wins over errors in the others, on either side of it."""
    logic = cast("Logic", node)
    operands = [(compilation.compile(operand).run, operand.offset) for operand in logic.operands]
    decisive = logic.stops_at
    symbol = "||" if decisive else "&&"

    def run(context: Context) -> Value:
        pending: ExpressionError | None = None
        for operand, offset in operands:
            try:
                value = operand(context)
            except ExpressionError as error:
                if error.code == BUDGET:
                    raise
                pending = pending or error
                continue
            if value is decisive:
                return value
            if type(value) is not bool:
                pending = pending or _need_boolean(symbol, value, offset)
        if pending is not None:
            raise pending
        return not decisive

    return Code(run, Kind.BOOLEAN)


def _need_boolean(symbol: str, value: Value, offset: int) -> ExpressionError:
    error = problem("type_mismatch", f"{symbol} takes booleans; got {with_article(name_kind(value))}.")
    error.place(offset)
    return error


def compile_not(compilation: Compilation, node: Node) -> Code:
    """One or more `!`."""
    negation = cast("Not", node)
    operand = compilation.compile(negation.operand).run
    is_turned = negation.count % 2 == 1

    def run(context: Context) -> Value:
        value = operand(context)
        if type(value) is not bool:
            raise _need_boolean("!", value, negation.offset)
        return value is not is_turned

    return Code(run, Kind.BOOLEAN)


def compile_negate(compilation: Compilation, node: Node) -> Code:
    """One or more `-`."""
    negation = cast("Negate", node)
    operand = compilation.compile(negation.operand).run
    times = 2 - negation.count % 2  # twice is enough to find the least integer, whose negation does not fit

    def run(context: Context) -> Value:
        value = operand(context)
        try:
            for _ in range(times):
                value = negate(value)
        except ExpressionError as error:
            error.place(negation.offset)
            raise
        return value

    return Code(run, Kind.NUMBER)


def compile_conditional(compilation: Compilation, node: Node) -> Code:
    """`condition ? value : otherwise`."""
    conditional = cast("Conditional", node)
    branches: list[tuple[Run, Run, int]] = []
    kinds: set[Kind | None] = set()
    for branch in conditional.branches:
        condition, value = compilation.compile(branch.condition), compilation.compile(branch.value)
        branches.append((condition.run, value.run, branch.condition.offset))
        kinds.add(value.kind)
    otherwise = compilation.compile(conditional.otherwise)
    kinds.add(otherwise.kind)

    def run(context: Context) -> Value:
        for condition, value, offset in branches:
            holds = condition(context)
            if holds is True:
                return value(context)
            if holds is not False:
                raise _need_boolean("?", holds, offset)
        return otherwise.run(context)

    return Code(run, kinds.pop() if len(kinds) == 1 else None)
