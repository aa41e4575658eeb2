"""What an expression sees while it is evaluated."""

from collections.abc import Mapping

from flowforge.kit.values import JsonValue
from flowforge.language.expressions.errors import problem
from flowforge.language.expressions.limits import DEFAULT_LIMITS
from flowforge.language.expressions.values import MISSING, Lazy, Missing, Value

__all__ = ["MISSING", "Context", "Lazy", "Missing"]

BYTES_PER_TICK = 64


class Context:
    """One evaluation: the roots that can be read, the time that `now()` gives, and the seed from which `uuid()` derives.

    `now_ms` is in milliseconds since 1970 (UTC). `seed` differs for each evaluated step and is the same at every replay.
    One context may serve many expressions, one after the other; each has its own budget.
    """

    __slots__ = ("calls", "limits", "made", "now_ms", "patterns", "roots", "seed", "slots", "ticks")

    def __init__(self, roots: "Mapping[str, JsonValue | Lazy]", now_ms: int = 0, seed: bytes = b"") -> None:
        self.roots = roots
        self.now_ms = now_ms
        self.seed = seed
        self.ticks = 0
        """Cost of the last expression so far: one a node, an item and each 64 bytes."""
        self.calls = 0
        """How many values `uuid()` has given."""
        self.limits = DEFAULT_LIMITS
        self.slots: list[Value] = []
        """The variables of macros, by their place."""
        self.made: dict[int, Value] = {}
        """Texts and containers that the expression made, by identity; all others are handed on and do not count."""
        self.patterns: set[str] = set()
        """Computed regular expressions that were paid for."""

    def charge(self, ticks: int) -> None:
        """Adds to the cost.

        Raises:
            ExpressionError: the budget is used up.
        """
        self.ticks += ticks
        if self.ticks > self.limits.ticks:
            raise problem("expression_budget", f"The expression does more than {self.limits.ticks} ticks of work.")

    def charge_text(self, characters: int) -> None:
        """Pays for a text of so many characters, before it is made or searched."""
        self.charge(1 + characters // BYTES_PER_TICK)

    def keep_text(self, text: str) -> str:
        """Marks a text as made here. Short ones always count, so they need no mark."""
        if len(text) > BYTES_PER_TICK:
            self.made[id(text)] = text
        return text

    def keep_list(self, items: list[Value]) -> list[Value]:
        """Marks a list as made here."""
        self.made[id(items)] = items
        return items
