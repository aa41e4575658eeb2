"""What an expression sees while it is evaluated."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Final

from flowforge.kit.values import JsonValue


class Missing:
    """The type of `MISSING`: an optional read found nothing."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()


class Lazy(ABC):
    """An object whose fields are looked up when an expression reads them (`steps`, a step, `run`). Looks like an object."""

    __slots__ = ()

    @abstractmethod
    def find(self, name: str) -> "JsonValue | Lazy | Missing":
        """The field's value, or MISSING."""

    @abstractmethod
    def plain(self) -> JsonValue:
        """The whole as a JSON object, for an expression that hands it on."""


class Context:
    """One evaluation: the roots that can be read, the time that `now()` gives, and the seed from which `uuid()` derives.

    `now_ms` is in milliseconds since 1970 (UTC). `seed` differs for each evaluated step and is the same at every replay.
    """

    __slots__ = ("calls", "now_ms", "roots", "seed", "ticks")

    def __init__(self, roots: Mapping[str, JsonValue | Lazy], now_ms: int = 0, seed: bytes = b"") -> None:
        self.roots = roots
        self.now_ms = now_ms
        self.seed = seed
        self.ticks = 0
        """Cost so far: one a node, an item and each 64 bytes."""
        self.calls = 0
        """How many values `uuid()` has given."""
