"""What the compiler asks of the registry of operations."""

from collections.abc import Iterable
from typing import Protocol

from flowforge.operations.definition import Operation


class Catalog(Protocol):
    """The operations that are installed."""

    def find(self, name: str) -> Operation | None: ...

    def names(self) -> Iterable[str]: ...
