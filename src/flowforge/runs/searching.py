"""How the rows of a list of runs are found: by the index that leaves the fewest to look at.

A list is sorted by `started_at`, so one of three ways is taken:

- along an index that begins with the value of a filter and goes on by time (status, subject, a label ...): the first rows are the page;
- all rows of an index range that is not in the order of time (a beginning of a text, `finished_at`), sorted: only while they are few;
- along time, leaving out what does not match: where so many match that a page is full soon.

Which way, is decided by counting what each filter leaves, up to `FEW`. SQLite's planner keeps no figures of values: conditions of the
other filters are written with a unary plus there, which takes them out of its choice. Plans: tests/runs/test_plans.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    Table,
    and_,
    exists,
    func,
    literal_column,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from flowforge.engine.tables import RUNS_BY_TRIGGERS, run_labels, runs
from flowforge.runs.criteria import Criterion, Value
from flowforge.runs.types import TERMINAL_STATUSES

FEW: Final = 5_000
"""So many rows are sorted or passed over within a few milliseconds."""
_MANY: Final = 50_000
TRIGGER_ACTOR: Final = "trigger:"
_BRANCHES_MAX: Final = 8
_LAST_CODE_POINT: Final = 0x10FFFF
_SURROGATES: Final = range(0xD800, 0xE000)

_COLUMNS: Final[Mapping[str, ColumnElement[Any]]] = {
    "id": runs.c.id,
    "status": runs.c.status,
    "workflow_id": runs.c.workflow_id,
    "version": runs.c.version,
    "started_at": runs.c.started_at,
    "finished_at": runs.c.finished_at,
    "subject": runs.c.subject,
    "error_code": runs.c.error_code,
    "trigger_id": runs.c.actor,
}
_BY_TIME: Final = frozenset({"status", "workflow_id", "version", "subject", "error_code", "trigger_id", "labels"})
"""Filters with an index that goes on by time."""

_IS_BY_TRIGGER: Final[ColumnElement[bool]] = literal_column(RUNS_BY_TRIGGERS)
"""In the words of the index, by which SQLite knows it again."""

Columns = tuple[ColumnElement[int], ColumnElement[int]]
"""Time and number, by which lists are sorted."""


class set_aside(FunctionElement[Any]):  # noqa: N801 (written like a function of SQL)
    """A column that SQLite looks for no index of."""

    inherit_cache = True


@compiles(set_aside)
def _write_column(element: set_aside, compiler: SQLCompiler, **how: Any) -> str:
    return compiler.process(element.clauses, **how)


@compiles(set_aside, "sqlite")
def _write_signed_column(element: set_aside, compiler: SQLCompiler, **how: Any) -> str:
    return f"+{compiler.process(element.clauses, **how)}"


@dataclass(frozen=True, slots=True)
class Search:
    """Runs of one workspace that meet all criteria, the newest first unless `is_rising`."""

    workspace_id: str
    criteria: tuple[Criterion, ...] = ()
    is_rising: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a list: behind the run that began then and has this number."""

    started_at_ms: int
    no: int


async def find_numbers(session: AsyncSession, search: Search, after: Mark | None, limit: int) -> list[int]:
    """The numbers of at most `limit` runs behind `after`, in the order of their start, the newest first unless `is_rising`."""
    driver = await _choose_driver(session, search)
    if driver is None or driver.op != "in":
        query = _select_page(search, driver, after, limit)
    else:
        singles = [replace(driver, op="eq", values=(value,)) for value in dict.fromkeys(driver.values)]
        pages = [_select_page(search, single, after, limit, driver).subquery() for single in singles]
        merged = union_all(*(select(page.c.no, page.c.started_at) for page in pages)).subquery()
        query = _sort(select(merged.c.no, merged.c.started_at), (merged.c.started_at, merged.c.no), search).limit(limit)
    return list((await session.execute(query)).scalars())


def match_all(search: Search) -> list[ColumnElement[bool]]:
    """The search as conditions on `runs`, for who looks at all that it finds."""
    times = _compare_times(search, runs.c.started_at)
    return [
        runs.c.workspace_id == search.workspace_id,
        *times,
        *(_match(search, criterion) for criterion in _list_others(search)),
    ]


async def _choose_driver(session: AsyncSession, search: Search) -> Criterion | None:
    """The criterion whose index is used; None: along time."""
    candidates = [criterion for criterion in _list_others(search) if len(criterion.values) <= _BRANCHES_MAX]
    if not candidates or (len(candidates) == 1 and _is_by_time(candidates[0])):
        return candidates[0] if candidates else None
    counts = [(int(await session.scalar(_count_few(search, criterion)) or 0), criterion) for criterion in candidates]
    few = [(count, criterion) for count, criterion in counts if count <= _find_most(search, criterion)]
    if few:
        return min(few, key=lambda pair: pair[0])[1]
    return next((criterion for criterion in candidates if _is_by_time(criterion)), None)


def _list_others(search: Search) -> list[Criterion]:
    """All criteria but those of the order itself."""
    return [criterion for criterion in search.criteria if criterion.field != "started_at"]


def _is_by_time(criterion: Criterion) -> bool:
    """Whether the criterion's index gives rows in the order of time."""
    if criterion.op not in {"eq", "in"} or criterion.field not in _BY_TIME:
        return False
    return criterion.field != "status" or TERMINAL_STATUSES.issuperset(str(value) for value in criterion.values)


def _find_most(search: Search, criterion: Criterion) -> int:
    """How many rows may be sorted.

    Runs that wait for long are old, and texts that begin alike are often of one time (numbers of orders): along time they may be behind all
    that came since. Of texts that holds while their index alone is read.
    """
    is_of_open = criterion.field == "status" and TERMINAL_STATUSES.isdisjoint(str(value) for value in criterion.values)
    is_alone = criterion.op == "starts_with" and len(_list_others(search)) == 1
    return _MANY if is_of_open or is_alone else FEW


def _count_few(search: Search, driver: Criterion) -> Select[int]:
    """How many rows a criterion leaves, at most one more than may be sorted. Of any workspace, where the index does not tell it."""
    table, columns = _find_place(driver)
    times = _compare_times(search, columns[0])
    parts = [
        select(literal_column("1", Integer))
        .select_from(table)
        .where(*_drive(search, part, is_counted=True), *times)
        .limit(_find_most(search, part) + 1)
        for part in _split(driver)
    ]
    counts = [select(func.count().label("rows")).select_from(part.subquery()) for part in parts]
    if len(counts) == 1:
        return counts[0]
    counted = union_all(*counts).subquery()
    return select(func.sum(counted.c.rows))


def _split(driver: Criterion) -> list[Criterion]:
    """Statuses of runs that have ended and of those that have not are in two indexes."""
    if driver.field != "status":
        return [driver]
    over = tuple(value for value in driver.values if value in TERMINAL_STATUSES)
    still = tuple(value for value in driver.values if value not in TERMINAL_STATUSES)
    return [replace(driver, op="in", values=values) for values in (over, still) if values]


def _select_page(
    search: Search, driver: Criterion | None, after: Mark | None, limit: int, origin: Criterion | None = None
) -> Select[int, int]:
    """Rows by one driver. `origin`: the criterion that the driver stands for one value of."""
    table, columns = _find_place(driver)
    others = [criterion for criterion in _list_others(search) if criterion not in (driver, origin)]
    query = select(columns[1].label("no"), columns[0].label("started_at")).select_from(table)
    if table is run_labels and others:
        query = query.join(runs, runs.c.no == run_labels.c.run_no)
    conditions = [*_drive(search, driver), *_compare_times(search, columns[0]), *(_match(search, other) for other in others)]
    if after is not None:
        place, mark = tuple_(*columns), (after.started_at_ms, after.no)
        conditions.append(place > mark if search.is_rising else place < mark)
    return _sort(query.where(*conditions), columns, search).limit(limit)


def _find_place(driver: Criterion | None) -> tuple[Table, Columns]:
    """The table whose index is used, and its columns of the order: a label's row has the run's time."""
    if driver is not None and driver.field == "labels":
        return run_labels, (run_labels.c.started_at, run_labels.c.run_no)
    return runs, (runs.c.started_at, runs.c.no)


def _drive(search: Search, driver: Criterion | None, *, is_counted: bool = False) -> list[ColumnElement[bool]]:
    """Conditions that an index is found for: exactly the one that is meant. `is_counted`: those of the index alone."""
    if driver is None:
        return [runs.c.workspace_id == search.workspace_id]
    apart = [] if is_counted else [set_aside(runs.c.workspace_id) == search.workspace_id]
    match driver.field:
        case "labels":
            is_label = (run_labels.c.workspace_id == search.workspace_id) & (run_labels.c.key == driver.label)
            return [is_label, _compare(run_labels.c.value, driver)]
        case "status" if driver.values[0] in TERMINAL_STATUSES:
            is_over = runs.c.finished_at.is_not(None)
            return [runs.c.workspace_id == search.workspace_id, _compare(runs.c.status, driver), is_over]
        case "status":
            is_status = [] if is_counted else [_compare(set_aside(runs.c.status), driver)]
            return [*apart, *is_status, runs.c.finished_at.is_(None)]
        case "trigger_id":
            return [runs.c.workspace_id == search.workspace_id, _compare(runs.c.actor, driver), _IS_BY_TRIGGER]
        case "finished_at":
            ends = [criterion for criterion in search.criteria if criterion.field == "finished_at"]
            return [*apart, *(_compare(runs.c.finished_at, end) for end in ends)]
        case "id" | "workflow_id":
            return [*apart, _compare(_COLUMNS[driver.field], driver)]
        case _:
            return [runs.c.workspace_id == search.workspace_id, _compare(_COLUMNS[driver.field], driver)]


def _match(search: Search, criterion: Criterion) -> ColumnElement[bool]:
    """A condition that is looked at row by row."""
    if criterion.field == "labels":
        is_label = (run_labels.c.run_no == runs.c.no) & (run_labels.c.key == criterion.label)
        is_own = run_labels.c.workspace_id == search.workspace_id
        return exists().where(is_label, is_own, _compare(set_aside(run_labels.c.value), criterion))
    return _compare(set_aside(_COLUMNS[criterion.field]), criterion)


def _compare_times(search: Search, started_at: ColumnElement[Any]) -> list[ColumnElement[bool]]:
    """What is known of the start; also that no run ends before it."""
    conditions = [_compare(started_at, criterion) for criterion in search.criteria if criterion.field == "started_at"]
    ends = [criterion for criterion in search.criteria if criterion.field == "finished_at" and criterion.op in {"lt", "le"}]
    return [*conditions, *(started_at <= end.value for end in ends)]


def _compare(column: ColumnElement[Any], criterion: Criterion) -> ColumnElement[bool]:
    values = criterion.values
    if criterion.field == "trigger_id":
        values = tuple(f"{TRIGGER_ACTOR}{value}" for value in values)
    match criterion.op:
        case "eq" | "in":
            return _is_any(column, values)
        case "starts_with":
            return begins_with(column, str(values[0]))
        case "lt":
            return column < values[0]
        case "le":
            return column <= values[0]
        case "gt":
            return column > values[0]
        case _:
            return column >= values[0]


def _is_any(column: ColumnElement[Any], values: Sequence[Value]) -> ColumnElement[bool]:
    return column == values[0] if len(values) == 1 else column.in_(values)


def begins_with(column: ColumnElement[Any], beginning: str) -> ColumnElement[bool]:
    """As a range, which no letter of the text can widen. Texts compare by code points on all three databases."""
    above = _find_next(beginning)
    return column >= beginning if above is None else and_(column >= beginning, column < above)


def _find_next(beginning: str) -> str | None:
    """The first text behind all that begin so; None where there is none."""
    kept = beginning.rstrip(chr(_LAST_CODE_POINT))
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(_SURROGATES.stop if following in _SURROGATES else following)


def _sort(query: Select[int, int], columns: Columns, search: Search) -> Select[int, int]:
    return query.order_by(*(column.asc() if search.is_rising else column.desc() for column in columns))
