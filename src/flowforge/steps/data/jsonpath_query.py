"""JSONPath (RFC 9535). The library reads the query; what it stands for is worked out here, with a bound on the work.

The library's own evaluation has none, takes the regular expressions of `match` and `search` to an engine that can hang, and reads a
text at the root as JSON.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, cast

import re2
from jsonpath import JSONPath, JSONPathEnvironment
from jsonpath import filter as filters
from jsonpath import selectors as chosen
from jsonpath.exceptions import JSONPathError
from jsonpath.segments import JSONPathRecursiveDescentSegment

from flowforge.kit.values import JsonValue
from flowforge.steps.data.fields import ABSENT, Absent, are_equal, is_number
from flowforge.steps.data.query_budget import QueryBudget, refuse_query

_Found = JsonValue | Absent
_ENVIRONMENT: Final = JSONPathEnvironment(strict=True)
_NODE_UNITS: Final = 2
_PATTERN_MAX_BYTES: Final = 2**20
_DOT: Final = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|\.", re.DOTALL)


@dataclass(slots=True)
class Node:
    """A value that was found, under a name or number in its parent; the root has none."""

    value: JsonValue
    part: str | int = ""
    parent: "Node | None" = None

    def list_parts(self) -> list[str | int]:
        """The names and numbers on the way from the root."""
        parts: list[str | int] = []
        node: Node = self
        while node.parent is not None:
            parts.append(node.part)
            node = node.parent
        return parts[::-1]


def query_jsonpath(query: str, data: JsonValue, budget: QueryBudget) -> list[Node]:
    """What the query finds, in the order of RFC 9535; objects are gone through in the order of their fields.

    Raises:
        FatalError: `query_invalid`, with the position; `query_limit`.
    """
    path = _compile(query)
    try:
        return [*_Evaluation(data, budget).find(path, Node(data))]
    except RecursionError:
        raise refuse_query("JSONPath", "it has too many parts", 1) from None


def format_path(node: Node) -> str:
    """The normalized path (RFC 9535, 2.7): `$['orders'][0]`."""
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f"['{_escape(part)}']" for part in node.list_parts())


def _escape(name: str) -> str:
    known = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", "'": "\\'", "\\": "\\\\"}
    return "".join(known.get(char) or (f"\\u{ord(char):04x}" if char < " " else char) for char in name)


def _compile(query: str) -> JSONPath:
    try:
        path = _ENVIRONMENT.compile(query)
    except RecursionError:
        raise refuse_query("JSONPath", "it is nested too deeply", 1) from None
    except JSONPathError as error:
        index = error.token.index if error.token else 0
        position = index + 1 if 0 <= index < len(query) else len(query) + 1
        raise refuse_query("JSONPath", str(error.message), position) from None
    if not isinstance(path, JSONPath):
        raise refuse_query("JSONPath", "queries cannot be combined", 1)
    return path


@dataclass(slots=True)
class _Evaluation:
    """One query over one value."""

    root: JsonValue
    budget: QueryBudget
    _from_root: dict[int, list[Node]] = field(default_factory=dict[int, list[Node]])

    def find(self, path: JSONPath, start: Node) -> Iterable[Node]:
        nodes: Iterable[Node] = [start]
        for segment in path.segments:
            is_deep = isinstance(segment, JSONPathRecursiveDescentSegment)
            nodes = self._step(nodes, cast("Sequence[Any]", segment.selectors), is_deep=is_deep)
        return nodes

    def _step(self, nodes: Iterable[Node], selectors: Sequence[Any], *, is_deep: bool) -> Iterator[Node]:
        for node in nodes:
            for visited in self._descend(node) if is_deep else (node,):
                for selector in selectors:
                    yield from self._select(selector, visited)

    def _descend(self, node: Node) -> Iterator[Node]:
        """The node and all lists and objects below it, each before what it holds."""
        waiting = [node]
        while waiting:
            current = waiting.pop()
            yield current
            children = [child for child in _list_children(current) if isinstance(child.value, dict | list)]
            self.budget.charge(_NODE_UNITS + len(children))
            waiting.extend(reversed(children))

    def _select(self, selector: object, node: Node) -> Iterator[Node]:
        self.budget.charge(_NODE_UNITS)
        value = node.value
        match selector:
            case chosen.NameSelector():
                if isinstance(value, dict) and selector.name in value:
                    yield Node(value[selector.name], selector.name, node)
            case chosen.IndexSelector():
                if isinstance(value, list) and -len(value) <= selector.index < len(value):
                    at = selector.index % len(value)
                    yield Node(value[at], at, node)
            case chosen.SliceSelector():
                if isinstance(value, list) and selector.slice.step != 0:
                    for at in range(*selector.slice.indices(len(value))):
                        self.budget.charge(_NODE_UNITS)
                        yield Node(value[at], at, node)
            case chosen.WildcardSelector():
                for child in _list_children(node):
                    self.budget.charge(_NODE_UNITS)
                    yield child
            case chosen.Filter():
                for child in _list_children(node):
                    self.budget.charge(_NODE_UNITS)
                    if self._holds(selector.expression, child):
                        yield child
            case _:
                raise refuse_query("JSONPath", f"{selector} is no part of RFC 9535", 1)

    def _holds(self, expression: object, current: Node) -> bool:
        """A test or a comparison (RFC 9535, 2.3.5)."""
        self.budget.charge(_NODE_UNITS)
        match expression:
            case filters.FilterExpression():
                return self._holds(expression.expression, current)
            case filters.PrefixExpression():
                return not self._holds(expression.right, current)
            case filters.InfixExpression() if expression.operator == "&&":
                return self._holds(expression.left, current) and self._holds(expression.right, current)
            case filters.InfixExpression() if expression.operator == "||":
                return self._holds(expression.left, current) or self._holds(expression.right, current)
            case filters.InfixExpression():
                left, right = self._evaluate(expression.left, current), self._evaluate(expression.right, current)
                return _compare(left, expression.operator, right, self.budget)
            case filters.FilterQuery():
                return any(True for _ in self._list_nodes(expression, current))
            case _:
                return self._evaluate(expression, current) is True

    def _evaluate(self, expression: object, current: Node) -> _Found:
        """A literal, the one value of a singular query, or a function's value."""
        match expression:
            case filters.FilterQuery():
                found = next(iter(self._list_nodes(expression, current)), None)
                return ABSENT if found is None else found.value
            case filters.Nil():
                return None
            case filters.FunctionExtension():
                return self._call(expression.name, expression.args, current)
            case filters.StringLiteral() | filters.IntegerLiteral() | filters.FloatLiteral() | filters.BooleanLiteral():
                return expression.value
            case _:
                return self._holds(expression, current)

    def _list_nodes(self, query: filters.FilterQuery, current: Node) -> Iterable[Node]:
        if isinstance(query, filters.RelativeFilterQuery):
            return self.find(query.path, current)
        # From the root it finds the same for every node.
        if id(query) not in self._from_root:
            self._from_root[id(query)] = [*self.find(query.path, Node(self.root))]
        return self._from_root[id(query)]

    def _call(self, name: str, arguments: Sequence[object], current: Node) -> _Found:
        first = arguments[0]
        if name in ("count", "value"):
            nodes = [*self._list_nodes(first, current)] if isinstance(first, filters.FilterQuery) else []
            if name == "count":
                return len(nodes)
            return nodes[0].value if len(nodes) == 1 else ABSENT
        values = [self._evaluate(argument, current) for argument in arguments]
        if name == "length":
            return len(values[0]) if isinstance(values[0], str | list | dict) else ABSENT
        text, pattern = values
        if not isinstance(text, str) or not isinstance(pattern, str):
            return False
        self.budget.charge_text(len(text) * (1 + len(pattern) // 16))
        compiled = _compile_pattern(pattern)
        if compiled is None:
            return False
        return (compiled.fullmatch(text) if name == "match" else compiled.search(text)) is not None


def _list_children(node: Node) -> Iterator[Node]:
    value = node.value
    if isinstance(value, dict):
        for name, item in value.items():
            yield Node(item, name, node)
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield Node(item, at, node)


def _compare(left: _Found, operator: str, right: _Found, budget: QueryBudget) -> bool:
    """RFC 9535, 2.3.5.2.2: what is absent equals what is absent; only numbers, and texts, are less or greater."""
    match operator:
        case "==":
            return _are_same(left, right, budget)
        case "!=":
            return not _are_same(left, right, budget)
        case "<":
            return _is_less(left, right)
        case ">":
            return _is_less(right, left)
        case "<=":
            return _is_less(left, right) or _are_same(left, right, budget)
        case _:
            return _is_less(right, left) or _are_same(left, right, budget)


def _are_same(left: _Found, right: _Found, budget: QueryBudget) -> bool:
    if isinstance(left, Absent) or isinstance(right, Absent):
        return left is right
    if isinstance(left, list | dict) and isinstance(right, list | dict):
        budget.charge_whole(left)
    return are_equal(left, right)


def _is_less(left: _Found, right: _Found) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return left < right
    if is_number(left) and is_number(right):
        return cast("float", left) < cast("float", right)
    return False


@lru_cache(maxsize=256)
def _compile_pattern(pattern: str) -> Any:
    """An I-Regexp (RFC 9485) for an engine of linear time; None where it is none, which matches nothing."""
    options = re2.Options()
    options.max_mem = _PATTERN_MAX_BYTES
    options.log_errors = False
    translated = _DOT.sub(lambda match: r"[^\n\r]" if match.group() == "." else match.group(), pattern)
    engine: Any = re2  # it has no types
    try:
        return engine.compile(translated, options=options)
    except engine.error:
        return None
