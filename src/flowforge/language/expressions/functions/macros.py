"""The table's entries for macros, which the compiler expands itself."""

from typing import Final

from flowforge.kit.values import JsonValue
from flowforge.language.expressions.catalog import NAMESPACES, Example, Function, Style
from flowforge.language.expressions.values import Kind


def _macro(signature: str, summary: str, example: str, gives: JsonValue, result: Kind | None = None) -> Function:
    head = signature.split("(", maxsplit=1)[0]
    receiver, _, last = head.rpartition(".")
    is_member = bool(receiver) and receiver not in NAMESPACES
    style = Style.MEMBER_MACRO if is_member else Style.MACRO
    return Function(last if is_member else head, style, signature, summary, Example(example, gives), result=result)


MACROS: Final = (
    _macro(
        "has(value.field)",
        "Whether the field is there; false also where null or nothing stands before it.",
        "has({'a': null}.a)",
        True,
        Kind.BOOLEAN,
    ),
    _macro("cel.bind(name, value, expression)", "The expression with a name for a value in it.", "cel.bind(x, 2, x * x)", 4),
    _macro(
        "list.all(x, condition)",
        "Whether the condition holds for every element; with (k, v, …) for every pair.",
        "[1, 2].all(x, x > 0)",
        True,
        Kind.BOOLEAN,
    ),
    _macro(
        "list.exists(x, condition)", "Whether it holds for one element at least.", "[1, 2].exists(x, x > 1)", True, Kind.BOOLEAN
    ),
    _macro(
        "list.exists_one(x, condition)",
        "Whether it holds for exactly one element.",
        "[1, 2].exists_one(x, x > 1)",
        True,
        Kind.BOOLEAN,
    ),
    _macro(
        "list.existsOne(k, v, condition)",
        "Whether it holds for exactly one element; the newer name.",
        "[5, 6].existsOne(i, v, v - i == 5)",
        False,
        Kind.BOOLEAN,
    ),
    _macro(
        "list.map(x[, condition], value)",
        "A value for each element (that meets the condition).",
        "[1, 2, 3].map(x, x > 1, x * 10)",
        [20, 30],
        Kind.LIST,
    ),
    _macro("list.filter(x, condition)", "The elements that meet the condition.", "[1, 2, 3].filter(x, x > 1)", [2, 3], Kind.LIST),
    _macro(
        "list.sortBy(x, key)",
        "The elements in the rising order of a key.",
        "['bb', 'a'].sortBy(x, size(x))",
        ["a", "bb"],
        Kind.LIST,
    ),
    _macro(
        "list.transformList(k, v[, condition], value)",
        "As map, with index (or key) and value.",
        "['a', 'b'].transformList(i, v, v + string(i))",
        ["a0", "b1"],
        Kind.LIST,
    ),
    _macro(
        "map.transformMap(k, v[, condition], value)",
        "An object with the same keys and new values.",
        "{'a': 1}.transformMap(k, v, v + 1)",
        {"a": 2},
        Kind.OBJECT,
    ),
    _macro(
        "map.transformMapEntry(k, v[, condition], {key: value})",
        "An object with new keys and values.",
        "{'a': 'b'}.transformMapEntry(k, v, {v: k})",
        {"b": "a"},
        Kind.OBJECT,
    ),
    _macro(
        "maybe.or(other)",
        "This optional, or the other one where it is absent.",
        "optional.none().or(optional.of(1)).value()",
        1,
        Kind.OPTIONAL,
    ),
    _macro("maybe.orValue(value)", "The value, or the given one where it is absent.", "{'a': 1}.?b.orValue(0)", 0),
    _macro(
        "maybe.optMap(x, value)",
        "An optional of a value made from the one inside.",
        "optional.of(2).optMap(x, x + 1).value()",
        3,
        Kind.OPTIONAL,
    ),
    _macro(
        "maybe.optFlatMap(x, optional)",
        "The optional made from the value inside.",
        "optional.of({'a': 1}).optFlatMap(x, x.?a).value()",
        1,
        Kind.OPTIONAL,
    ),
)
