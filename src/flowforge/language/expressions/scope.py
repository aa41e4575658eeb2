"""What the checker of a document tells about an expression's surroundings, and what it learns from the expression."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from flowforge.kit.values import JsonObject, JsonValue

PureFunction: TypeAlias = Callable[[JsonObject], JsonValue]
"""A pure operation: takes one object, changes nothing, raises `FatalError` or `RetryableError` with the code that the workflow sees."""

PureFunctions: TypeAlias = Mapping[str, PureFunction]
"""Pure operations by their dotted names (`crypto.hash`)."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which names can be read (`input`, `steps`, …), and whether `secrets.NAME` may stand here as a whole expression."""

    roots: frozenset[str]
    allows_secrets: bool = False


@dataclass(frozen=True, slots=True)
class Reference:
    """One read of a root: the path as far as it is known without evaluating (`("steps", "fetch", "output")`).

    `offset` and `end` are characters in the expression. `is_optional`: the reading stands in `has` or holds an optional read.
    `is_exact`: nothing computed follows the path (an index, a field whose name is computed).
    """

    path: tuple[str, ...]
    offset: int
    end: int
    is_optional: bool = False
    is_exact: bool = True
