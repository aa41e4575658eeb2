"""The query parameters of lists, as endpoints declare them."""

from typing import Annotated

from fastapi import Query
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from flowforge.web.lists import LIMIT_MAX, WHERE_MAX


def _refuse_zero(text: str) -> str:
    # PostgreSQL takes no such character, not even to look for it.
    if "\x00" in text:
        raise PydanticCustomError("control_char", "It holds a control character (U+0000).")
    return text


LimitIn = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="How many at most.")]
"""`limit: LimitIn = LIMIT_DEFAULT`."""
CursorIn = Annotated[str | None, Query(max_length=2_000, description="`next_cursor` of the page before.")]
"""`cursor: CursorIn = None`."""
WhereIn = Annotated[
    list[str] | None,
    Query(
        description="`field:op:value`, repeatable, all hold; op: eq ne lt le gt ge in contains starts_with.",
        max_length=WHERE_MAX,
    ),
]
"""`where: WhereIn = None`; read it with `read_where`."""
SortIn = Annotated[str | None, Query(max_length=100, description="A field, with `-` before it for the greatest first.")]
"""`sort: SortIn = None`; read it with `read_sort`."""
SearchIn = Annotated[str, AfterValidator(_refuse_zero), Query(max_length=200, description="A text that is looked for literally.")]
"""`q: SearchIn = ""`."""
IncludeDeletedIn = Annotated[bool, Query(description="Also what was deleted and can be restored.")]
