"""Lists that go on over all their pages."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar, cast

RowT = TypeVar("RowT")


class AsyncPages(Generic[RowT]):
    """The rows of a list, read page by page while they are looked at."""

    def __init__(self, read: Callable[[str | None], Awaitable[Any]]) -> None:
        self._read = read

    def __aiter__(self) -> AsyncIterator[RowT]:
        return self._walk()

    async def list(self) -> Sequence[RowT]:
        """All rows at once."""
        return [row async for row in self]

    async def _walk(self) -> AsyncGenerator[RowT]:
        cursor: str | None = None
        while True:
            page = cast("Mapping[str, Any]", await self._read(cursor))
            for row in page["data"]:
                yield row
            cursor = page.get("next_cursor")
            if cursor is None:
                return
