"""Lists that are in memory as a whole: filtered, sorted and cut there. For those that are short by their nature."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import ge, gt, le, lt
from typing import Any, Final, TypeVar

from flowforge.kit.values import JsonValue
from flowforge.web.lists import (
    RANGE,
    TEXT,
    Asked,
    Condition,
    cut_page,
    mark_list,
    read_cursor,
    read_flag,
    read_moment,
    read_sort,
    read_where,
)

RowT = TypeVar("RowT")
Get = Callable[[Any], Any]
Holds = Callable[[Any], bool]

_RELATIONS: Final[Mapping[str, Callable[[int, int], bool]]] = {"lt": lt, "le": le, "gt": gt, "ge": ge}


@dataclass(frozen=True, slots=True)
class ShortFilter:
    """One field of `where`: the relations that it takes, and what says of a row whether it is meant."""

    relations: tuple[str, ...]
    make: Callable[[Condition], Holds]


@dataclass(frozen=True, slots=True)
class ShortForm:
    """What a short list can be asked for. Without `default` it is sorted as it comes. Cursors count the rows before."""

    name: str
    filters: Mapping[str, ShortFilter] = field(default_factory=dict[str, ShortFilter])
    sorts: Mapping[str, Get] = field(default_factory=dict[str, Get])
    default: str = ""
    search: Mapping[str, Get] = field(default_factory=dict[str, Get])

    @property
    def fields(self) -> Mapping[str, tuple[str, ...]]:
        return {name: known.relations for name, known in self.filters.items()}

    def page(self, rows: Sequence[RowT], asked: Asked, *scope: JsonValue) -> tuple[list[RowT], str | None]:
        """The rows of one page of all, and the next cursor. `scope`: what else the list is bound to.

        Raises:
            ParameterError: `where_unknown`, `where_invalid`, `sort_unknown`, `cursor_invalid`.
        """
        conditions = [self.filters[one.field].make(one) for one in read_where(asked.where, self.fields)]
        mark = mark_list(self.name, *scope, list[JsonValue](asked.where), asked.q, asked.sort)
        place = read_cursor(asked.cursor, mark, (int,))
        found = [row for row in rows if self._is_found(row, asked.q) and all(holds(row) for holds in conditions)]
        if asked.sort is not None or self.default:
            name, is_descending = read_sort(asked.sort, tuple(self.sorts), self.default)
            found.sort(key=self.sorts[name], reverse=is_descending)
        first = 0 if place is None else max(0, int(place[0]))
        kept, following = cut_page(
            list(enumerate(found))[first : first + asked.limit + 1], asked.limit, mark, lambda row: (row[0] + 1,)
        )
        return [row for _, row in kept], following

    def _is_found(self, row: object, text: str) -> bool:
        return not text or any(text.lower() in str(get(row)).lower() for get in self.search.values())


def short_text(get: Get) -> ShortFilter:
    """A text: as it is, or a part of it in upper or lower case."""

    def make(wanted: Condition) -> Holds:
        part = wanted.value.lower()
        kinds: dict[str, Holds] = {
            "ne": lambda row: get(row) != wanted.value,
            "contains": lambda row: part in str(get(row)).lower(),
            "starts_with": lambda row: str(get(row)).lower().startswith(part),
        }
        return kinds.get(wanted.op, lambda row: get(row) in wanted.values)

    return ShortFilter(TEXT, make)


def short_moment(get: Get) -> ShortFilter:
    """A time, in milliseconds since 1970; rows that have none are left out."""

    def make(wanted: Condition) -> Holds:
        holds, at_ms = _RELATIONS[wanted.op], read_moment(wanted)
        return lambda row: get(row) is not None and holds(get(row), at_ms)

    return ShortFilter(RANGE, make)


def short_flag(get: Get) -> ShortFilter:
    """True or false."""

    def make(wanted: Condition) -> Holds:
        is_wanted = read_flag(wanted)
        return lambda row: bool(get(row)) is is_wanted

    return ShortFilter(("eq",), make)
