"""Postfix chains, calls and pure operations to closures."""

from dataclasses import replace
from typing import cast

from flowforge.kit.values import JsonObject
from flowforge.language.expressions.catalog import NAMESPACES, Function
from flowforge.language.expressions.compilation import Code, Compilation, LinkCode, LinkRun, Run, suggest
from flowforge.language.expressions.compiling_macros import compile_bind, compile_member_macro
from flowforge.language.expressions.compiling_reads import (
    SECRETS,
    compile_has,
    compile_index,
    compile_path,
    compile_select,
    note_reference,
    static_name,
)
from flowforge.language.expressions.context import Context
from flowforge.language.expressions.errors import ExpressionError, problem
from flowforge.language.expressions.functions import FUNCTIONS
from flowforge.language.expressions.leaving import charge_whole, take_whole
from flowforge.language.expressions.regexes import compile_pattern
from flowforge.language.expressions.scope import PureFunction
from flowforge.language.expressions.syntax import CallLink, IndexLink, Link, Literal, Name, Node, Postfix, SelectLink
from flowforge.language.expressions.values import Kind, Value, name_kind, with_article
from flowforge.operations.definition import FatalError, RetryableError


def compile_postfix(compilation: Compilation, node: Node) -> Code:
    """A value, and what is read from it and called on it."""
    postfix = cast("Postfix", node)
    base, links = postfix.base, postfix.links
    if isinstance(base, Name):
        position = _find_global_call(compilation, base, links)
        if position is not None:
            code = _compile_global(compilation, base, links[: position + 1])
            return _follow(compilation, code, links[position + 1 :], postfix.offset)
        return _compile_read(compilation, base, links, postfix.offset)
    return _follow(compilation, compilation.compile(base), links, postfix.offset)


def _compile_read(compilation: Compilation, base: Name, links: tuple[Link, ...], start: int) -> Code:
    if not compilation.is_known(base.name):
        return _follow(compilation, compilation.compile(base), links, start)
    note_reference(compilation, base, links, is_optional=False)
    static = 0
    while static < len(links) and static_name(links[static]) is not None:
        static += 1
    path = cast("tuple[SelectLink | IndexLink, ...]", links[:static])
    return _follow(compilation, compile_path(compilation, base, path), links[static:], start)


def _find_global_call(compilation: Compilation, base: Name, links: tuple[Link, ...]) -> int | None:
    if isinstance(links[0], CallLink) and not links[0].name:
        return 0
    if compilation.is_known(base.name) or base.name == SECRETS:
        return None
    name = base.name
    for position, link in enumerate(links):
        if isinstance(link, IndexLink) or (isinstance(link, SelectLink) and link.optional):
            return None
        name = f"{name}.{link.name}"
        if isinstance(link, CallLink):
            is_function = base.name in NAMESPACES or any(key.startswith(f"{base.name}.") for key in compilation.functions)
            return position if is_function or name in FUNCTIONS else None
    return None


def _follow(compilation: Compilation, code: Code, links: tuple[Link, ...], start: int) -> Code:
    runs: list[LinkRun] = []
    kind = code.kind
    for link in links:
        compilation.cost += 1
        linked = _compile_link(compilation, link, start, kind)
        runs.append(linked.run)
        kind = linked.kind
    if not runs:
        return code
    return Code(_run_links(code.run, runs), kind)


def _run_links(base: Run, links: list[LinkRun]) -> Run:
    first = links[0]

    def run_one(context: Context) -> Value:
        return first(context, base(context))

    def run_all(context: Context) -> Value:
        value = base(context)
        for link in links:
            value = link(context, value)
        return value

    return run_one if len(links) == 1 else run_all


def _compile_link(compilation: Compilation, link: Link, start: int, kind: Kind | None) -> LinkCode:
    if isinstance(link, SelectLink):
        return compile_select(compilation, link, start, kind)
    if isinstance(link, IndexLink):
        return compile_index(compilation, link, start, kind)
    return _compile_member(compilation, link)


def _compile_member(compilation: Compilation, link: CallLink) -> LinkCode:
    compilation.is_dynamic = True
    function = FUNCTIONS.get(link.name)
    if function is None or not function.is_member:
        known = [name for name, other in FUNCTIONS.items() if other.is_member]
        message = f"There is no function {link.name!r} to call on a value."
        return compilation.note_link("function_unknown", message, link.offset, suggest(link.name, known))
    compilation.called.add(function.name)
    if function.is_macro:
        return compile_member_macro(compilation, function, link)
    if not function.accepts(1 + len(link.arguments)):
        return _note_arguments(compilation, function, link.offset)
    if function.name == "matches" and isinstance(link.arguments[0], Literal):
        return _compile_literal_pattern(compilation, function, link.arguments[0])
    arguments = [compilation.compile(argument).run for argument in link.arguments]
    return LinkCode(make_call(function, arguments, link.offset), function.result)


def _note_arguments(compilation: Compilation, function: Function, offset: int) -> LinkCode:
    return compilation.note_link("function_arguments", f"The function is called as {function.signature}.", offset)


def _compile_literal_pattern(compilation: Compilation, function: Function, literal: Literal) -> LinkCode:
    check = function.checks(1)[0]
    try:
        pattern = compile_pattern(literal.value) if isinstance(literal.value, str) else None
    except ExpressionError as error:
        return compilation.note_link(error.code, error.message, literal.offset)
    if pattern is None or check is None:
        return compilation.note_link("function_arguments", "matches() takes a regular expression in a string.", literal.offset)

    def run(context: Context, value: Value) -> Value:
        try:
            text = cast("str", check(value))
            context.charge_text(len(text))
        except ExpressionError as error:
            error.place(literal.offset)
            raise
        return pattern.isinstance_python(text)

    return LinkCode(run, Kind.BOOLEAN)


def make_call(function: Function, arguments: list[Run], offset: int) -> LinkRun:
    """The call of a function on a value, with more arguments behind it."""
    implement = function.implement
    checks = function.checks(1 + len(arguments))
    check = checks[0]
    assert implement is not None

    def run_alone(context: Context, value: Value) -> Value:
        try:
            return implement(context, value if check is None else check(value))
        except ExpressionError as error:
            error.place(offset)
            raise

    def run(context: Context, value: Value) -> Value:
        given = [value, *[argument(context) for argument in arguments]]
        try:
            taken = [item if check is None else check(item) for item, check in zip(given, checks, strict=True)]
            return implement(context, *taken)
        except ExpressionError as error:
            error.place(offset)
            raise

    return run if arguments else run_alone


def _compile_global(compilation: Compilation, base: Name, links: tuple[Link, ...]) -> Code:
    call = cast("CallLink", links[-1])
    name = ".".join([base.name, *[cast("SelectLink | CallLink", link).name for link in links if cast("CallLink", link).name]])
    compilation.cost += 1
    compilation.is_dynamic = True
    function = FUNCTIONS.get(name)
    if function is not None and function.is_global:
        compilation.called.add(name)
        return _compile_call(compilation, function, call, base.offset)
    if name in compilation.functions:
        compilation.called.add(name)
        return _compile_pure(compilation, name, compilation.functions[name], call, base.offset)
    known = [key for key, other in FUNCTIONS.items() if other.is_global] + list(compilation.functions)
    hint = f" It is called on a value: {function.signature}." if function is not None else ""
    return compilation.note("function_unknown", f"There is no function {name!r}.{hint}", base.offset, suggest(name, known))


def _compile_call(compilation: Compilation, function: Function, call: CallLink, offset: int) -> Code:
    if function.name == "has":
        return _compile_has(compilation, function, call, offset)
    if function.name == "cel.bind":
        return compile_bind(compilation, function, call)
    if not function.accepts(len(call.arguments)):
        return compilation.note("function_arguments", f"The function is called as {function.signature}.", offset)
    if not call.arguments:
        return _compile_constant_call(function)
    first = compilation.compile(call.arguments[0]).run
    if function.name == "matches" and isinstance(call.arguments[1], Literal):
        link = _compile_literal_pattern(compilation, function, call.arguments[1]).run
    else:
        link = make_call(function, [compilation.compile(argument).run for argument in call.arguments[1:]], offset)
    return Code(lambda context: link(context, first(context)), function.result)


def _compile_constant_call(function: Function) -> Code:
    implement = function.implement
    assert implement is not None
    return Code(implement, function.result)


def _compile_has(compilation: Compilation, function: Function, call: CallLink, offset: int) -> Code:
    postfix = call.arguments[0] if len(call.arguments) == 1 else None
    link = postfix.links[-1] if isinstance(postfix, Postfix) else None
    if not isinstance(postfix, Postfix) or not isinstance(link, SelectLink):
        return compilation.note("function_arguments", f"has() takes the reading of a field: {function.signature}.", offset)
    links = tuple(other if isinstance(other, CallLink) else replace(other, optional=True) for other in postfix.links[:-1])
    if isinstance(postfix.base, Name) and compilation.is_known(postfix.base.name):
        note_reference(compilation, postfix.base, postfix.links, is_optional=True)
        operand = _follow(compilation, compile_path(compilation, postfix.base, ()), links, postfix.offset)
    elif links:
        operand = compile_postfix(compilation, replace(postfix, links=links))
    else:
        operand = compilation.compile(postfix.base)
    return compile_has(compilation, operand, link, postfix.offset)


def _compile_pure(compilation: Compilation, name: str, pure: PureFunction, call: CallLink, offset: int) -> Code:
    if len(call.arguments) != 1:
        return compilation.note("function_arguments", f"The operation is called with one object: {name}({{…}}).", offset)
    argument = compilation.compile(call.arguments[0]).run

    def run(context: Context) -> Value:
        given = argument(context)
        try:
            return _call_pure(context, name, pure, take_whole(context, given))
        except ExpressionError as error:
            error.place(offset)
            raise

    return Code(run)


def _call_pure(context: Context, name: str, pure: PureFunction, parameters: object) -> Value:
    if type(parameters) is not dict:
        raise problem("type_mismatch", f"{name}() takes an object; got {with_article(name_kind(cast('Value', parameters)))}.")
    try:
        result = pure(cast("JsonObject", parameters))
    except (FatalError, RetryableError) as error:
        raise problem(error.code, error.message) from None
    charge_whole(context, result)
    return result


def find_secret(node: Node) -> tuple[str, int] | None:
    """The name and place of the secret that is the whole expression."""
    if isinstance(node, Postfix) and isinstance(node.base, Name) and node.base.name == SECRETS and len(node.links) == 1:
        link = node.links[0]
        if isinstance(link, SelectLink) and not link.optional:
            return link.name, link.offset
    return None
