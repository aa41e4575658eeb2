"""One draw or several."""

from collections.abc import Callable
from typing import Annotated, Final

from pydantic import Field

from flowforge.kit.values import JsonValue

COUNT_MAX: Final = 10_000

Count = Annotated[int | None, Field(ge=1, le=COUNT_MAX)]
"""How many draws; none for a single one, which is not put into a list."""


def draw_each(count: int | None, draw: Callable[[], JsonValue]) -> JsonValue:
    """One draw, or a list of so many."""
    return draw() if count is None else [draw() for _ in range(count)]
