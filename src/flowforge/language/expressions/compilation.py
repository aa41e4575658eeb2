"""The state of compiling one expression, shared by the parts of the compiler."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final, TypeAlias

from flowforge.language.expressions.context import Context
from flowforge.language.expressions.errors import ExpressionError, ExpressionFault
from flowforge.language.expressions.limits import Limits
from flowforge.language.expressions.scope import PureFunctions, Reference, Scope
from flowforge.language.expressions.syntax import Node
from flowforge.language.expressions.values import Kind, Value

Run: TypeAlias = Callable[[Context], Value]
LinkRun: TypeAlias = Callable[[Context, Value], Value]

HEIGHT_MAX: Final = 120
"""Nodes above each other in the tree: two Python frames each while compiling, well below the interpreter's own limit."""
PATH_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True)
class Code:
    """A compiled node, and the kind of its value where that is known."""

    run: Run
    kind: Kind | None = None


@dataclass(frozen=True, slots=True)
class LinkCode:
    """A compiled link of a postfix chain: gets the value to its left."""

    run: LinkRun
    kind: Kind | None = None


NodeCompiler: TypeAlias = Callable[["Compilation", Node], Code]


def _give_nothing(_context: Context) -> Value:
    raise ExpressionError("expr_syntax", "The expression has faults.")


class Compilation:
    """Compiles nodes, and gathers what they read, call and get wrong.

    `cost` counts the nodes outside loops, which are paid for at once; `is_dynamic` says whether evaluating can cost more than that,
    or make containers and texts.
    """

    def __init__(
        self, source: str, scope: Scope, functions: PureFunctions, limits: Limits, compilers: Mapping[type, NodeCompiler]
    ) -> None:
        self.source = source
        self.scope = scope
        self.functions = functions
        self.limits = limits
        self.faults: list[ExpressionFault] = []
        self.references: list[Reference] = []
        self.called: set[str] = set()
        self.variables: dict[str, int] = {}
        self.slots = 0
        self.max_slots = 0
        self.cost = 0
        self.is_dynamic = False
        self._height = 0
        self._compilers = compilers

    def compile(self, node: Node) -> Code:
        """The node's code; faults are noted, and the code is then never run.

        Raises:
            ExpressionFault: `expr_depth`.
        """
        self._height += 1
        if self._height > HEIGHT_MAX:
            raise ExpressionFault("expr_depth", f"More than {HEIGHT_MAX} operations are nested in each other.", node.offset)
        self.cost += 1
        code = self._compilers[type(node)](self, node)
        self._height -= 1
        return code

    def note(self, code: str, message: str, offset: int, suggestion: str | None = None) -> Code:
        """Notes a fault."""
        self.faults.append(ExpressionFault(code, message, offset, suggestion))
        return Code(_give_nothing)

    def note_link(self, code: str, message: str, offset: int, suggestion: str | None = None) -> LinkCode:
        """Notes a fault of a link."""
        self.note(code, message, offset, suggestion)
        return LinkCode(_link_nothing)

    @contextmanager
    def declare(self, *names: str) -> Generator[list[int]]:
        """The slots of new variables, which hide what has the same name; they end with the context."""
        hidden = dict(self.variables)
        slots = [self.slots + position for position in range(len(names))]
        self.variables.update(zip(names, slots, strict=True))
        self.slots += len(names)
        self.max_slots = max(self.max_slots, self.slots)
        yield slots
        self.slots -= len(names)
        self.variables = hidden

    @contextmanager
    def count_apart(self) -> Generator[list[int]]:
        """Counts the nodes compiled inside apart, into the list: they are paid for each time they run."""
        outside = self.cost
        counted = [0]
        self.cost = 0
        yield counted
        counted[0] = self.cost
        self.cost = outside

    def is_known(self, name: str) -> bool:
        """Whether the name is a variable or a root."""
        return name in self.variables or name in self.scope.roots

    def path(self, start: int, end: int) -> str:
        """The source's text there, as a path for messages."""
        text = "".join(self.source[start:end].split())
        return text if len(text) <= PATH_CHARACTERS else f"…{text[-PATH_CHARACTERS:]}"


def _link_nothing(context: Context, _value: Value) -> Value:
    return _give_nothing(context)


def suggest(name: str, known: list[str]) -> str | None:
    """The known name that was probably meant."""
    close = get_close_matches(name, known, n=1)
    return close[0] if close else None
