"""Lists: pages by an opaque cursor, filters of the form `field:op:value`, sorting by fields that have an index.

The parameters of endpoints are in `queries`: services, which the command line uses too, do not load the framework.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar, cast

from pydantic import BaseModel

from flowforge.kit.border import decode, digest_value, encode
from flowforge.kit.errors import InvariantError
from flowforge.kit.values import INTEGER_MAX, INTEGER_MIN, JsonValue
from flowforge.language.times import TimeFault, parse_timestamp_ms
from flowforge.web.errors import ParameterError

LIMIT_DEFAULT: Final = 50
LIMIT_MAX: Final = 200
WHERE_MAX: Final = 20
_WHERE_LENGTH_MAX: Final = 4_096

TEXT: Final = ("eq", "ne", "in", "contains", "starts_with")
EXACT: Final = ("eq", "ne", "in")
RANGE: Final = ("lt", "le", "gt", "ge")

RowT = TypeVar("RowT")


class Page(BaseModel, Generic[RowT]):
    """Some rows of a list. `next_cursor` is null on the last page."""

    data: list[RowT]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What a list is asked for, as it came."""

    limit: int = LIMIT_DEFAULT
    cursor: str | None = None
    where: tuple[str, ...] = ()
    sort: str | None = None
    q: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """One `where`: `in` has several values, all others one."""

    field: str
    op: str
    values: tuple[str, ...]

    @property
    def value(self) -> str:
        return self.values[0]


def read_where(given: Sequence[str] | None, allowed: Mapping[str, Sequence[str]]) -> list[Condition]:
    """The filters of a list. `allowed`: the ops by field; a field that ends in `.*` stands for all of that beginning (`labels.*`).

    Raises:
        ParameterError: `where_unknown` (a field or op that is not allowed), `where_invalid` (another form).
    """
    return [_read_condition(text, allowed) for text in given or ()]


def _read_condition(text: str, allowed: Mapping[str, Sequence[str]]) -> Condition:
    field, _, rest = text.partition(":")
    op, separator, value = rest.partition(":")
    if not separator or len(text) > _WHERE_LENGTH_MAX or "\x00" in text:
        raise ParameterError("where", "A filter is of the form field:op:value, like status:eq:failed.", "where_invalid")
    head, dot, tail = field.partition(".")
    ops = allowed.get(field) or (allowed.get(f"{head}.*") if dot and tail else None)
    if ops is None or op not in ops:
        known = ", ".join(f"{name} ({' '.join(words)})" for name, words in allowed.items())
        raise ParameterError("where", f"{field[:80]}:{op[:20]} is no filter here; these are: {known}.", "where_unknown")
    values = tuple(value.split(",")) if op == "in" else (value,)
    return Condition(field, op, values)


def refuse_value(wanted: Condition, known: str) -> ParameterError:
    """The field has no such value; `known`: what it has."""
    return ParameterError("where", f"{wanted.field} is {known}, not {','.join(wanted.values)[:80]!r}.", "where_invalid")


def read_moment(wanted: Condition) -> int:
    """The time that a filter names, in milliseconds since 1970. Raises ParameterError `where_invalid`."""
    try:
        return parse_timestamp_ms(wanted.value)
    except TimeFault:
        raise refuse_value(wanted, "a time of RFC 3339 with a zone, like 2026-03-01T08:00:00Z") from None


def read_flag(wanted: Condition) -> bool:
    """Raises ParameterError `where_invalid`."""
    if wanted.value not in {"true", "false"}:
        raise refuse_value(wanted, "true or false")
    return wanted.value == "true"


def read_sort(given: str | None, allowed: Sequence[str], default: str) -> tuple[str, bool]:
    """The field to sort by, and whether the greatest come first.

    Raises:
        ParameterError: `sort_unknown`.
    """
    text = given or default
    field, is_descending = text.removeprefix("-"), text.startswith("-")
    if field not in allowed:
        raise ParameterError(
            "sort", f"Sort by one of these, with - for the greatest first: {', '.join(allowed)}.", "sort_unknown"
        )
    return field, is_descending


def make_cursor(mark: str, place: Sequence[str | int]) -> str:
    """A cursor behind a row. `mark`: see `mark_list`; `place`: the values that the list is sorted by, the last one unique."""
    return urlsafe_b64encode(encode([mark, *place])).decode()


def read_cursor(cursor: str | None, mark: str, kinds: Sequence[type]) -> list[str | int] | None:
    """The place in the list, of values of these kinds (str, int); None: the beginning.

    Raises:
        ParameterError: `cursor_invalid`: it is none of ours, or of a list with another filter or order.
    """
    if cursor is None:
        return None
    try:
        found = decode(urlsafe_b64decode(cursor.encode()))
    except (InvariantError, Base64Error, ValueError):
        found = None
    if (
        isinstance(found, list)
        and found
        and found[0] == mark
        and [type(part) for part in found[1:]] == list(kinds)
        and all(map(_can_be_looked_for, found[1:]))
    ):
        return cast("list[str | int]", found[1:])
    message = "The cursor is not of this list with this filter and order; begin again without one."
    raise ParameterError("cursor", message, "cursor_invalid")


def _can_be_looked_for(part: JsonValue) -> bool:
    """Whether every database takes it: a cursor may be forged."""
    return "\x00" not in part if isinstance(part, str) else not isinstance(part, int) or INTEGER_MIN <= part <= INTEGER_MAX


def mark_list(*what: JsonValue) -> str:
    """What a list is about, digested: its filters, its order, its workspace."""
    return digest_value(list(what))


def cut_page(
    rows: Sequence[RowT], limit: int, mark: str, place: Callable[[RowT], Sequence[str | int]]
) -> tuple[list[RowT], str | None]:
    """The rows of one page and the next cursor, from `limit + 1` rows that were asked for."""
    kept = list(rows[:limit])
    return kept, make_cursor(mark, place(kept[-1])) if len(rows) > limit else None
