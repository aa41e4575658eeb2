"""Names, paths, lists and maps to closures."""

from typing import cast

from flowforge.language.expressions.compilation import Code, Compilation, LinkCode, Run, suggest
from flowforge.language.expressions.context import Context
from flowforge.language.expressions.errors import ExpressionError, problem
from flowforge.language.expressions.reading import (
    has_field,
    index,
    index_optionally,
    report_missing,
    select,
    select_optionally,
)
from flowforge.language.expressions.scope import Reference
from flowforge.language.expressions.syntax import IndexLink, Link, ListNode, Literal, MapNode, Name, Node, SelectLink
from flowforge.language.expressions.values import (
    MISSING,
    Key,
    Kind,
    Missing,
    OptionalValue,
    Value,
    is_lazy,
    name_kind,
    to_key,
    with_article,
)

SECRETS = "secrets"
_WITHOUT_FIELDS = frozenset({Kind.STRING, Kind.NUMBER, Kind.BOOLEAN, Kind.LIST, Kind.TIMESTAMP, Kind.DURATION, Kind.TYPE})
_TYPE_NAMES = {
    "bool": Kind.BOOLEAN,
    "int": Kind.NUMBER,
    "double": Kind.NUMBER,
    "string": Kind.STRING,
    "list": Kind.LIST,
    "map": Kind.OBJECT,
    "null_type": Kind.NULL,
    "optional_type": Kind.OPTIONAL,
    "type": Kind.TYPE,
}


def compile_literal(_compilation: Compilation, node: Node) -> Code:
    """A constant."""
    value = cast("Literal", node).value
    kind = Kind.NULL if value is None else _LITERAL_KINDS[type(value)]
    return Code(lambda _context: value, kind)


_LITERAL_KINDS: dict[type, Kind] = {bool: Kind.BOOLEAN, int: Kind.NUMBER, float: Kind.NUMBER, str: Kind.STRING}


def compile_name(compilation: Compilation, node: Node) -> Code:
    """A root, a variable, or the name of a type."""
    name = cast("Name", node)
    if compilation.is_known(name.name):
        note_reference(compilation, name, (), is_optional=False)
        return compile_path(compilation, name, ())
    if name.name == SECRETS:
        return note_secrets(compilation, name.offset)
    if name.name in _TYPE_NAMES:
        kind = _TYPE_NAMES[name.name]
        return Code(lambda _context: kind, Kind.TYPE)
    known = [*compilation.variables, *compilation.scope.roots]
    message = f"There is no {name.name!r} here."
    return compilation.note("name_unknown", message, name.offset, suggest(name.name, known))


def note_secrets(compilation: Compilation, offset: int) -> Code:
    """Notes the fault of a secret that is more than handed on."""
    message = "A secret can only be handed on: write ${{ secrets.NAME }} alone, in a parameter that takes secrets."
    return compilation.note("secret_context", message, offset)


def compile_path(compilation: Compilation, base: Name, links: tuple[SelectLink | IndexLink, ...]) -> Code:
    """A root or variable, and fields whose names are known."""
    names = tuple(static_name(link) or "" for link in links)
    paths = tuple(compilation.path(base.offset, link.end) for link in links)
    if base.name in compilation.variables:
        return Code(_read_variable(compilation.variables[base.name], names, paths, base.offset))
    if not names:
        return Code(_read_root(base.name, base.offset))
    if len(names) == 1:
        return Code(_read_field(base.name, names[0], paths[0], base.offset))
    return Code(_read_path(base.name, names, paths, base.offset))


def static_name(link: Link) -> str | None:
    """The field's name where it is known and must be there."""
    if isinstance(link, SelectLink) and not link.optional:
        return link.name
    if isinstance(link, IndexLink) and not link.optional and isinstance(link.key, Literal) and isinstance(link.key.value, str):
        return link.key.value
    return None


def note_reference(compilation: Compilation, base: Name, links: tuple[Link, ...], *, is_optional: bool) -> None:
    """Notes what a chain of links reads from a root."""
    if base.name in compilation.variables:
        return
    path = [base.name]
    end = base.end
    for position, link in enumerate(links):
        name = link.name if isinstance(link, SelectLink) else static_name(link)
        if name is None:
            is_exact = not isinstance(links[position], IndexLink)
            compilation.references.append(Reference(tuple(path), base.offset, end, is_optional, is_exact))
            return
        is_optional = is_optional or (isinstance(link, SelectLink) and link.optional)
        path.append(name)
        end = link.end
    compilation.references.append(Reference(tuple(path), base.offset, end, is_optional))


def _read_root(root: str, offset: int) -> Run:
    def run(context: Context) -> Value:
        try:
            return context.roots[root]
        except KeyError:
            error = problem("missing_field", f"{root} does not exist here.", root)
            error.place(offset)
            raise error from None

    return run


def _read_field(root: str, name: str, path: str, offset: int) -> Run:
    def run(context: Context) -> Value:
        value = context.roots.get(root)
        if type(value) is dict:
            found = value.get(name, MISSING)
            if found is not MISSING:
                return found
        try:
            return select(value, name, path)
        except ExpressionError as error:
            error.place(offset)
            raise

    return run


def _read_path(root: str, names: tuple[str, ...], paths: tuple[str, ...], offset: int) -> Run:
    def run(context: Context) -> Value:
        return _read_fields(context.roots.get(root), names, paths, offset)

    return run


def _read_variable(slot: int, names: tuple[str, ...], paths: tuple[str, ...], offset: int) -> Run:
    def run_alone(context: Context) -> Value:
        return context.slots[slot]

    def run(context: Context) -> Value:
        return _read_fields(context.slots[slot], names, paths, offset)

    return run if names else run_alone


def _read_fields(value: Value, names: tuple[str, ...], paths: tuple[str, ...], offset: int) -> Value:
    for position, name in enumerate(names):
        if type(value) is dict:
            found = value.get(name, MISSING)
        elif is_lazy(value):
            found = value.find(name)
        else:
            found = _select_placed(value, name, paths[position], offset)
        if found is MISSING:
            error = report_missing(value, paths[position])
            error.place(offset)
            raise error
        value = found
    return value


def _select_placed(value: Value, name: str, path: str, offset: int) -> Value:
    try:
        return select(value, name, path)
    except ExpressionError as error:
        error.place(offset)
        raise


def compile_select(compilation: Compilation, link: SelectLink, start: int, kind: Kind | None) -> LinkCode:
    """`.name` or `.?name` behind a value that was computed."""
    if kind in _WITHOUT_FIELDS:
        return note_member(compilation, link.name, kind, link.offset)
    name, offset = link.name, link.offset
    path = compilation.path(start, link.end)
    read = select_optionally if link.optional else select

    def run(_context: Context, value: Value) -> Value:
        try:
            return read(value, name, path)
        except ExpressionError as error:
            error.place(offset)
            raise

    return LinkCode(run, Kind.OPTIONAL if link.optional or kind is Kind.OPTIONAL else None)


def note_member(compilation: Compilation, name: str, kind: Kind | None, offset: int) -> LinkCode:
    """Notes that a value of this kind has no fields."""
    noun = with_article(kind.value).capitalize() if kind is not None else "This"
    return compilation.note_link("expr_unknown_member", f"{noun} has no field {name!r}.", offset)


def compile_index(compilation: Compilation, link: IndexLink, start: int, kind: Kind | None) -> LinkCode:
    """`[key]` or `[?key]`."""
    key = compilation.compile(link.key).run
    offset = link.offset
    path = compilation.path(start, link.offset)
    read = index_optionally if link.optional else index

    def run(context: Context, value: Value) -> Value:
        wanted = key(context)
        try:
            return read(value, wanted, path)
        except ExpressionError as error:
            error.place(offset)
            raise

    return LinkCode(run, Kind.OPTIONAL if link.optional or kind is Kind.OPTIONAL else None)


def compile_has(compilation: Compilation, operand: Code, link: SelectLink, start: int) -> Code:
    """`has(operand.name)`, the operand being read optionally."""
    if operand.kind in _WITHOUT_FIELDS:
        note_member(compilation, link.name, operand.kind, link.offset)
    name, offset = link.name, link.offset
    path = compilation.path(start, link.end)

    def run(context: Context) -> Value:
        value = operand.run(context)
        try:
            return has_field(value, name, path)
        except ExpressionError as error:
            error.place(offset)
            raise

    return Code(run, Kind.BOOLEAN)


def compile_list(compilation: Compilation, node: Node) -> Code:
    """A list literal."""
    elements = [(compilation.compile(element.value).run, element.optional) for element in cast("ListNode", node).elements]
    compilation.is_dynamic = True
    if any(is_optional for _, is_optional in elements):
        return Code(_make_optional_list(elements, node.offset), Kind.LIST)
    runs = [run for run, _ in elements]

    def run(context: Context) -> Value:
        return context.keep_list([element(context) for element in runs])

    return Code(run, Kind.LIST)


def _make_optional_list(elements: list[tuple[Run, bool]], offset: int) -> Run:
    def run(context: Context) -> Value:
        made: list[Value] = []
        for element, is_optional in elements:
            value = element(context)
            if is_optional:
                value = _unwrap(value, offset)
            if value is not MISSING:
                made.append(value)
        return context.keep_list(made)

    return run


def _unwrap(value: Value, offset: int) -> "Value | Missing":
    if type(value) is OptionalValue:
        return value.value
    error = problem("type_mismatch", f"? takes an optional; got {with_article(name_kind(value))}.")
    error.place(offset)
    raise error


def compile_map(compilation: Compilation, node: Node) -> Code:
    """A map literal. Literal keys are checked, and paid for, once."""
    entries: list[tuple[Run, Run, bool]] = []
    seen: set[object] = set()
    for entry in cast("MapNode", node).entries:
        entries.append((compilation.compile(entry.key).run, compilation.compile(entry.value).run, entry.optional))
        if isinstance(entry.key, Literal):
            key = (type(entry.key.value), entry.key.value)
            if key in seen:
                compilation.note("expr_syntax", "The key stands twice in this object.", entry.key.offset)
            seen.add(key)
    compilation.is_dynamic = True
    offset = node.offset

    def run(context: Context) -> Value:
        made: dict[Key, Value] = {}
        for key_run, value_run, is_optional in entries:
            try:
                key = to_key(key_run(context))
            except ExpressionError as error:
                error.place(offset)
                raise
            value = value_run(context)
            if is_optional:
                value = _unwrap(value, offset)
            if value is not MISSING:
                add_entry(made, key, value, offset)
        context.made[id(made)] = made
        return made

    return Code(run, Kind.OBJECT)


def add_entry(made: dict[Key, Value], key: Key, value: Value, offset: int) -> None:
    """Puts a field into a map that is being made.

    Raises:
        ExpressionError: `type_mismatch` where the key is there already.
    """
    if key in made:
        error = problem("type_mismatch", "A key stands twice in an object.")
        error.place(offset)
        raise error
    made[key] = value
