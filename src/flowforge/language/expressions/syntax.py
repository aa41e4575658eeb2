"""The syntax tree. Chains are flat lists, so that `1 + 1 + …` or `a.b.c…` of any length is no deeper than `1 + 1`.

Every `offset` counts characters from the start of the source.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class Operator(StrEnum):
    ADD = "+"
    SUBTRACT = "-"
    MULTIPLY = "*"
    DIVIDE = "/"
    MODULO = "%"
    LESS = "<"
    LESS_EQUAL = "<="
    GREATER = ">"
    GREATER_EQUAL = ">="
    EQUAL = "=="
    NOT_EQUAL = "!="
    IN = "in"


@dataclass(frozen=True, slots=True)
class Literal:
    value: bool | int | float | str | None
    offset: int
    end: int


@dataclass(frozen=True, slots=True)
class Name:
    name: str
    offset: int
    end: int


@dataclass(frozen=True, slots=True)
class SelectLink:
    """`.name`, or `.?name` (optional)."""

    name: str
    optional: bool
    offset: int
    end: int


@dataclass(frozen=True, slots=True)
class IndexLink:
    """`[key]`, or `[?key]` (optional)."""

    key: "Node"
    optional: bool
    offset: int
    end: int


@dataclass(frozen=True, slots=True)
class CallLink:
    """`.name(arguments)`, or `name(arguments)` as the first link behind a `Name` that is the function's name (`name` is then "")."""

    name: str
    arguments: tuple["Node", ...]
    offset: int
    end: int


Link: TypeAlias = SelectLink | IndexLink | CallLink


@dataclass(frozen=True, slots=True)
class Postfix:
    """A value, and what is read from it or called on it, from left to right."""

    base: "Node"
    links: tuple[Link, ...]
    offset: int
    end: int


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a list; `?element` (optional) is left out where it is absent."""

    value: "Node"
    optional: bool


@dataclass(frozen=True, slots=True)
class ListNode:
    elements: tuple[Element, ...]
    offset: int
    end: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a map; `?key: value` (optional) is left out where the value is absent."""

    key: "Node"
    value: "Node"
    optional: bool


@dataclass(frozen=True, slots=True)
class MapNode:
    entries: tuple[Entry, ...]
    offset: int
    end: int


@dataclass(frozen=True, slots=True)
class Not:
    """One or more `!`."""

    count: int
    operand: "Node"
    offset: int
    end: int


@dataclass(frozen=True, slots=True)
class Negate:
    """One or more `-` (that of a literal is part of the literal)."""

    count: int
    operand: "Node"
    offset: int
    end: int


@dataclass(frozen=True, slots=True)
class Operation:
    """The right side of one operator in a chain; `offset` is the operator's."""

    operator: Operator
    operand: "Node"
    offset: int


@dataclass(frozen=True, slots=True)
class Chain:
    """Operators of one precedence, from left to right."""

    first: "Node"
    rest: tuple[Operation, ...]
    offset: int
    end: int


@dataclass(frozen=True, slots=True)
class Logic:
    """`a && b && …` (`stops_at` False) or `a || b || …` (`stops_at` True)."""

    stops_at: bool
    operands: tuple["Node", ...]
    offset: int
    end: int


@dataclass(frozen=True, slots=True)
class Branch:
    condition: "Node"
    value: "Node"


@dataclass(frozen=True, slots=True)
class Conditional:
    """`c ? v : c ? v : … : otherwise`."""

    branches: tuple[Branch, ...]
    otherwise: "Node"
    offset: int
    end: int


Node: TypeAlias = Literal | Name | Postfix | ListNode | MapNode | Not | Negate | Chain | Logic | Conditional
