"""Macros to closures: they name a variable, and run an expression for each element."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, cast

from flowforge.language.expressions.catalog import Function
from flowforge.language.expressions.compilation import Code, Compilation, LinkCode, LinkRun, Run
from flowforge.language.expressions.compiling_operators import BUDGET
from flowforge.language.expressions.compiling_reads import add_entry
from flowforge.language.expressions.context import Context
from flowforge.language.expressions.errors import ExpressionError, problem
from flowforge.language.expressions.functions.lists import sort_by_keys
from flowforge.language.expressions.reading import to_items, to_pairs
from flowforge.language.expressions.syntax import CallLink, Name, Node
from flowforge.language.expressions.values import (
    ABSENT,
    MISSING,
    Key,
    OptionalValue,
    Value,
    name_kind,
    to_key,
    with_article,
)


@dataclass(frozen=True, slots=True)
class Loop:
    """The loop of a macro: where its variables are kept, and what one round costs. Without `second` it has one variable."""

    name: str
    offset: int
    first: int
    second: int | None
    ticks: int
    bodies: tuple[Run, ...]

    def each(self, context: Context, value: Value) -> Iterator[Value]:
        """The elements of a list or the keys of a map (with two variables: the elements or values), each with the variables set."""
        slots = context.slots
        try:
            if self.second is None:
                for item in to_items(value, self.name):
                    context.charge(self.ticks)
                    slots[self.first] = item
                    yield item
            else:
                for key, item in to_pairs(value, self.name):
                    context.charge(self.ticks)
                    slots[self.first] = key
                    slots[self.second] = item
                    yield item
        except ExpressionError as error:
            error.place(self.offset)
            raise


def compile_bind(compilation: Compilation, function: Function, call: CallLink) -> Code:
    """`cel.bind(name, value, expression)`."""
    if len(call.arguments) != 3 or not isinstance(call.arguments[0], Name):
        return compilation.note("function_arguments", f"The macro is called as {function.signature}.", call.offset)
    value = compilation.compile(call.arguments[1]).run
    with compilation.declare(call.arguments[0].name) as slots:
        body = compilation.compile(call.arguments[2])
    slot = slots[0]

    def run(context: Context) -> Value:
        context.slots[slot] = value(context)
        return body.run(context)

    return Code(run, body.kind)


@dataclass(frozen=True, slots=True)
class _Shape:
    """`variables`: how many variables come first, by the number of arguments. `is_loop`: the rest is run again and again."""

    variables: dict[int, int]
    make: Callable[[Loop], LinkRun]
    is_loop: bool = True


def compile_member_macro(compilation: Compilation, function: Function, link: CallLink) -> LinkCode:
    """A macro that is called on a value."""
    shape = _SHAPES[function.name]
    count = shape.variables.get(len(link.arguments), -1)
    names = [argument.name for argument in link.arguments[: max(count, 0)] if isinstance(argument, Name)]
    if len(set(names)) != count:
        return compilation.note_link("function_arguments", f"The macro is called as {function.signature}.", link.offset)
    loop = _compile_loop(compilation, function, link, names)
    if not shape.is_loop:
        compilation.cost += loop.ticks
    return LinkCode(shape.make(loop), function.result)


def _compile_loop(compilation: Compilation, function: Function, link: CallLink, names: list[str]) -> Loop:
    bodies: list[Node] = list(link.arguments[len(names) :])
    with compilation.declare(*names) as slots, compilation.count_apart() as counted:
        runs = tuple(compilation.compile(body).run for body in bodies)
    first = slots[0] if slots else 0
    second = slots[1] if len(slots) > 1 else None
    return Loop(f"{function.name}()", link.offset, first, second, counted[0] + 1, runs)


def _holds(loop: Loop, condition: Run, context: Context) -> bool:
    value = condition(context)
    if type(value) is bool:
        return value
    raise _refuse(loop, value)


def _refuse(loop: Loop, value: Value) -> ExpressionError:
    error = problem("type_mismatch", f"The condition of {loop.name} must be a boolean; got {with_article(name_kind(value))}.")
    error.place(loop.offset)
    return error


def _make_quantifier(*, decisive: bool) -> Callable[[Loop], LinkRun]:
    """`exists` (true decides) and `all` (false decides): a deciding element wins over errors in the others."""

    def make(loop: Loop) -> LinkRun:
        condition = loop.bodies[0]

        def run(context: Context, value: Value) -> Value:
            pending: ExpressionError | None = None
            for _ in loop.each(context, value):
                try:
                    if _holds(loop, condition, context) is decisive:
                        return decisive
                except ExpressionError as error:
                    if error.code == BUDGET:
                        raise
                    pending = pending or error
            if pending is not None:
                raise pending
            return not decisive

        return run

    return make


def _make_exists_one(loop: Loop) -> LinkRun:
    condition = loop.bodies[0]

    def run(context: Context, value: Value) -> Value:
        return sum(_holds(loop, condition, context) for _ in loop.each(context, value)) == 1

    return run


def _make_map(loop: Loop) -> LinkRun:
    make_value = loop.bodies[-1]

    def run(context: Context, value: Value) -> Value:
        return context.keep_list([make_value(context) for _ in loop.each(context, value)])

    def run_filtered(context: Context, value: Value) -> Value:
        condition = loop.bodies[0]
        return context.keep_list([make_value(context) for _ in loop.each(context, value) if _holds(loop, condition, context)])

    return run if len(loop.bodies) == 1 else run_filtered


def _make_filter(loop: Loop) -> LinkRun:
    condition = loop.bodies[0]

    def run(context: Context, value: Value) -> Value:
        return context.keep_list([item for item in loop.each(context, value) if _holds(loop, condition, context)])

    return run


def _make_sort_by(loop: Loop) -> LinkRun:
    make_key = loop.bodies[0]

    def run(context: Context, value: Value) -> Value:
        keys = [make_key(context) for _ in loop.each(context, value)]
        try:
            return sort_by_keys(context, to_items(value, loop.name), keys)
        except ExpressionError as error:
            error.place(loop.offset)
            raise

    return run


def _make_transform_map(loop: Loop) -> LinkRun:
    make_value = loop.bodies[-1]
    condition = loop.bodies[0] if len(loop.bodies) == 2 else None
    first = loop.first

    def run(context: Context, value: Value) -> Value:
        made: dict[Key, Value] = {}
        for _ in loop.each(context, value):
            if condition is None or _holds(loop, condition, context):
                key = to_key(context.slots[first])
                made[key] = make_value(context)
        context.made[id(made)] = made
        return made

    return run


def _make_transform_entries(loop: Loop) -> LinkRun:
    make_entry = loop.bodies[-1]
    condition = loop.bodies[0] if len(loop.bodies) == 2 else None

    def run(context: Context, value: Value) -> Value:
        made: dict[Key, Value] = {}
        for _ in loop.each(context, value):
            if condition is None or _holds(loop, condition, context):
                _add_entries(context, loop, made, make_entry(context))
        context.made[id(made)] = made
        return made

    return run


def _add_entries(context: Context, loop: Loop, made: dict[Key, Value], entry: Value) -> None:
    if type(entry) is not dict:
        error = problem(
            "type_mismatch", f"{loop.name} takes an object of the new key and value; got {with_article(name_kind(entry))}."
        )
        error.place(loop.offset)
        raise error
    context.charge(len(entry))
    for key, value in cast("dict[Key, Value]", entry).items():
        add_entry(made, key, value, loop.offset)


def _need_optional(loop: Loop, value: Value) -> OptionalValue:
    if type(value) is OptionalValue:
        return value
    error = problem("type_mismatch", f"{loop.name} takes an optional (a.?b); got {with_article(name_kind(value))}.")
    error.place(loop.offset)
    raise error


def _make_or(loop: Loop) -> LinkRun:
    other = loop.bodies[0]

    def run(context: Context, value: Value) -> Value:
        maybe = _need_optional(loop, value)
        return maybe if maybe.value is not MISSING else _need_optional(loop, other(context))

    return run


def _make_or_value(loop: Loop) -> LinkRun:
    other = loop.bodies[0]

    def run(context: Context, value: Value) -> Value:
        maybe = _need_optional(loop, value).value
        return other(context) if maybe is MISSING else maybe

    return run


def _make_optional_map(*, is_flat: bool) -> Callable[[Loop], LinkRun]:
    def make(loop: Loop) -> LinkRun:
        make_value = loop.bodies[0]
        slot = loop.first

        def run(context: Context, value: Value) -> Value:
            maybe = _need_optional(loop, value).value
            if maybe is MISSING:
                return ABSENT
            context.slots[slot] = maybe
            made = make_value(context)
            return _need_optional(loop, made) if is_flat else OptionalValue(made)

        return run

    return make


_ONE_OR_TWO: Final = {2: 1, 3: 2}
_SHAPES: Final = {
    "all": _Shape(_ONE_OR_TWO, _make_quantifier(decisive=False)),
    "exists": _Shape(_ONE_OR_TWO, _make_quantifier(decisive=True)),
    "exists_one": _Shape(_ONE_OR_TWO, _make_exists_one),
    "existsOne": _Shape(_ONE_OR_TWO, _make_exists_one),
    "map": _Shape({2: 1, 3: 1}, _make_map),
    "filter": _Shape({2: 1}, _make_filter),
    "sortBy": _Shape({2: 1}, _make_sort_by),
    "transformList": _Shape({3: 2, 4: 2}, _make_map),
    "transformMap": _Shape({3: 2, 4: 2}, _make_transform_map),
    "transformMapEntry": _Shape({3: 2, 4: 2}, _make_transform_entries),
    "or": _Shape({1: 0}, _make_or, is_loop=False),
    "orValue": _Shape({1: 0}, _make_or_value, is_loop=False),
    "optMap": _Shape({2: 1}, _make_optional_map(is_flat=False), is_loop=False),
    "optFlatMap": _Shape({2: 1}, _make_optional_map(is_flat=True), is_loop=False),
}
