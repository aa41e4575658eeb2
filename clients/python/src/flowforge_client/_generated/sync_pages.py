# Made by scripts/client_models.py from the asynchronous twin; do not edit.
"""Lists that go on over all their pages."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar, cast

RowT = TypeVar("RowT")


class Pages(Generic[RowT]):
    """The rows of a list, read page by page while they are looked at."""

    def __init__(self, read: Callable[[str | None], Any]) -> None:
        self._read = read

    def __iter__(self) -> Iterator[RowT]:
        return self._walk()

    def list(self) -> Sequence[RowT]:
        """All rows at once."""
        return [row for row in self]

    def _walk(self) -> Generator[RowT]:
        cursor: str | None = None
        while True:
            page = cast("Mapping[str, Any]", self._read(cursor))
            for row in page["data"]:
                yield row
            cursor = page.get("next_cursor")
            if cursor is None:
                return
