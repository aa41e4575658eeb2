"""Lists as tables of fields: by what each is filtered, sorted and searched, and the query that comes of what was asked.

A list with a table in the database declares a `ListForm`; `queries.make_asked` makes its parameters of it, so that the document tells
what the list can do, and nothing else.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Select, and_, false, func, or_
from sqlalchemy.orm import InstrumentedAttribute

from flowforge.kit.values import INTEGER_MAX, JsonValue
from flowforge.web.lists import (
    EXACT,
    LIMIT_MAX,
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
    refuse_value,
)

RowT = TypeVar("RowT")
QueryT = TypeVar("QueryT", bound=Select[*tuple[Any, ...]])
Column = InstrumentedAttribute[Any] | ColumnElement[Any]


@dataclass(frozen=True, slots=True)
class Filter:
    """One field of `where`: the relations that it takes, and the condition that comes of one."""

    relations: tuple[str, ...]
    make: Callable[[Condition], ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Sort:
    """One field of `sort`. `get`: its value in a row as the list has it, of the type `kind`."""

    column: Column
    get: Callable[[Any], str | int]
    kind: type


@dataclass(frozen=True, slots=True)
class Selection:
    """What a list was asked for, as conditions and an order. `sorts`: what places a row, the last one unique."""

    conditions: Sequence[ColumnElement[bool]]
    sorts: Sequence[Sort]
    is_descending: bool
    limit: int
    mark: str

    def narrow(self, query: QueryT) -> QueryT:
        """The query for one page of it, and one row more where there are more."""
        order = [sort.column.desc() if self.is_descending else sort.column.asc() for sort in self.sorts]
        return query.where(*self.conditions).order_by(*order).limit(self.limit + 1)

    def cut(self, rows: Sequence[RowT]) -> tuple[list[RowT], str | None]:
        """The rows of the page, of what `narrow` gave, and the cursor of the next."""
        return cut_page(rows, self.limit, self.mark, lambda row: [sort.get(row) for sort in self.sorts])


@dataclass(frozen=True, slots=True)
class ListForm:
    """What a list can be asked for. `default`: how it is sorted else, with `-` for the greatest first; `unique`: what no two rows share.

    `search`: where `q` looks, by the name that it has for users.
    """

    name: str
    sorts: Mapping[str, Sort]
    default: str
    unique: Sort
    filters: Mapping[str, Filter] = field(default_factory=dict[str, Filter])
    search: Mapping[str, Column] = field(default_factory=dict[str, Column])

    @property
    def fields(self) -> Mapping[str, tuple[str, ...]]:
        return {name: known.relations for name, known in self.filters.items()}

    def read(self, asked: Asked, *scope: JsonValue) -> Selection:
        """`scope`: what else the list is bound to (the workspace, other parameters), so that no cursor of another is taken.

        Raises:
            ParameterError: `where_unknown`, `where_invalid`, `sort_unknown`, `cursor_invalid`.
        """
        wanted = read_where(asked.where, self.fields)
        conditions = [self._find(one.field).make(one) for one in wanted]
        if asked.q:
            conditions.append(or_(false(), *(_contains(column, asked.q) for column in self.search.values())))
        name, is_descending = read_sort(asked.sort, tuple(self.sorts), self.default)
        first = self.sorts[name]
        sorts = (first,) if first.column is self.unique.column else (first, self.unique)
        mark = mark_list(self.name, *scope, list[JsonValue](asked.where), asked.q, name, is_descending)
        place = read_cursor(asked.cursor, mark, [sort.kind for sort in sorts])
        if place is not None:
            conditions.append(_is_behind(sorts, place, is_descending=is_descending))
        return Selection(conditions, sorts, is_descending, asked.limit, mark)

    def _find(self, name: str) -> Filter:
        return self.filters.get(name) or self.filters[f"{name.partition('.')[0]}.*"]


async def read_all(form: ListForm, read: Callable[[Selection], Awaitable[Sequence[RowT]]], sort: str | None = None) -> list[RowT]:
    """All rows of a list, page by page."""
    found: list[RowT] = []
    cursor: str | None = None
    while True:
        selection = form.read(Asked(LIMIT_MAX, cursor, sort=sort))
        rows, cursor = selection.cut(await read(selection))
        found += rows
        if cursor is None:
            return found


def _is_behind(sorts: Sequence[Sort], place: Sequence[str | int], *, is_descending: bool) -> ColumnElement[bool]:
    steps: list[ColumnElement[bool]] = []
    for number, (sort, value) in enumerate(zip(sorts, place, strict=True)):
        same = [before.column == known for before, known in zip(sorts[:number], place, strict=False)]
        steps.append(and_(*same, sort.column < value if is_descending else sort.column > value))
    return or_(*steps)


# --- fields of `sort` --------------------------------------------------------------------------------------------------------------


def by(column: InstrumentedAttribute[Any], attribute: str | None = None) -> Sort:
    """By a column without NULL. `attribute`: its name in the rows of the list, where they are no rows of the table."""
    return Sort(column, attrgetter(attribute or column.key), column.type.python_type)


def by_time_or(column: InstrumentedAttribute[int | None], missing: int, get: Callable[[Any], int | None]) -> Sort:
    """By a time that may be missing, which then counts as `missing`."""

    def read(row: Any) -> int:
        found = get(row)
        return missing if found is None else found

    return Sort(func.coalesce(column, missing), read, int)


# --- fields of `where` -------------------------------------------------------------------------------------------------------------


def text(column: InstrumentedAttribute[Any]) -> Filter:
    """A text: as it is, or a part of it in upper or lower case."""

    def make(wanted: Condition) -> ColumnElement[bool]:
        if wanted.op == "contains":
            return _contains(column, wanted.value)
        if wanted.op == "starts_with":
            return func.lower(column).startswith(wanted.value.lower(), autoescape=True)
        return _compare_exactly(column, wanted)

    return Filter(TEXT, make)


def exact(column: InstrumentedAttribute[Any], allowed: Sequence[str] | None = None) -> Filter:
    """An id or a word; one of `allowed`, where these are known."""

    def make(wanted: Condition) -> ColumnElement[bool]:
        if allowed is not None and any(value not in allowed for value in wanted.values):
            raise refuse_value(wanted, f"one of {', '.join(allowed or ())}")
        return _compare_exactly(column, wanted)

    return Filter(EXACT, make)


def moment(column: InstrumentedAttribute[Any]) -> Filter:
    """A time; rows that have none are left out."""

    def make(wanted: Condition) -> ColumnElement[bool]:
        return _compare(column, wanted.op, read_moment(wanted))

    return Filter(RANGE, make)


def number(column: InstrumentedAttribute[Any]) -> Filter:
    """A number from 0 on."""

    def make(wanted: Condition) -> ColumnElement[bool]:
        if any(not value.isascii() or not value.isdigit() or len(value) > 16 for value in wanted.values):
            raise refuse_value(wanted, "a whole number")
        values = [min(int(value), INTEGER_MAX) for value in wanted.values]
        return _compare(column, wanted.op, values[0]) if wanted.op in RANGE else column.in_(values)

    return Filter(("eq", "in", *RANGE), make)


def flag(condition: ColumnElement[bool]) -> Filter:
    """Whether something holds: true or false."""

    def make(wanted: Condition) -> ColumnElement[bool]:
        return condition if read_flag(wanted) else ~condition

    return Filter(("eq",), make)


def state(conditions: Mapping[str, ColumnElement[bool]]) -> Filter:
    """A word that stands for a condition."""

    def make(wanted: Condition) -> ColumnElement[bool]:
        if any(value not in conditions for value in wanted.values):
            raise refuse_value(wanted, f"one of {', '.join(conditions)}")
        return or_(false(), *(conditions[value] for value in wanted.values))

    return Filter(("eq", "in"), make)


def _contains(column: Column, part: str) -> ColumnElement[bool]:
    return func.lower(column).contains(part.lower(), autoescape=True)


def _compare_exactly(column: InstrumentedAttribute[Any], wanted: Condition) -> ColumnElement[bool]:
    return column != wanted.value if wanted.op == "ne" else column.in_(wanted.values)


def _compare(column: InstrumentedAttribute[Any], relation: str, value: int) -> ColumnElement[bool]:
    conditions = {"lt": column < value, "le": column <= value, "gt": column > value, "ge": column >= value}
    return conditions[relation]
