"""Copying an installation's database to another one, of any kind: row by row, each read back, resumable.

Until all of it is there, the target's revision is a word that keeps everybody away, and which names the source. A copy that was killed
and is made again passes over the rows that are there, comparing them: the source must not have changed meanwhile.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, Engine, RowMapping, Table, func, insert, select, tuple_
from sqlalchemy.exc import DBAPIError

from flowforge.kit.clock import Clock
from flowforge.kit.crashpoint import crashpoint
from flowforge.kit.database.faults import is_content_fault
from flowforge.kit.database.guards import lift_guards, set_guards
from flowforge.kit.database.schema import HEAD, require_current, upgrade_database
from flowforge.kit.database.url import DatabaseUrl
from flowforge.kit.folder import DataFolder
from flowforge.upkeep.connecting import explained_upkeep, make_engine, read_time_ms, reading, writing
from flowforge.upkeep.errors import CopyUnfitError, CountDiffersError, RowDiffersError, TargetNotEmptyError
from flowforge.upkeep.fencing import Fenced, fence
from flowforge.upkeep.living import refuse_living
from flowforge.upkeep.tables import (
    KEPT_BY_MIGRATIONS,
    SEEDED,
    count_rows,
    keep_away,
    let_in,
    list_present,
    list_strangers,
    list_tables,
    raise_next_numbers,
    read_next_numbers,
    read_revision,
)

COPYING: Final = "copy-not-finished-"
_DIGITS: Final = 12
_BATCH_ROWS: Final = 500
_BATCH_BYTES: Final = 4 * 2**20
_FETCH_ROWS: Final = 100

Key: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class CopyPlan:
    """`is_forced`: although somebody works on the source. `is_anew`: what an unfinished copy has left is deleted first."""

    is_forced: bool = False
    is_anew: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` rows of a table are there and compared."""

    table: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Copied:
    """`found`: rows that an unfinished copy had left there; `tables`: rows of each table."""

    tables: Mapping[str, int]
    found: int
    fenced: Fenced


Tell: TypeAlias = Callable[[Progress], None]


def copy_database(
    source: DatabaseUrl, target: DatabaseUrl, folder: DataFolder, plan: CopyPlan, clock: Clock, tell: Tell
) -> Copied:
    """Copies all rows to an empty database, or goes on with a copy of the same source; then nobody of before may work on the copy.

    The source is only read, at one moment. `folder`: its data folder.

    Raises:
        CopyUnfitError: source and target are the same, or an unfinished copy is one of another source.
        TargetNotEmptyError, WorkersAliveError: nothing was changed.
        RowDiffersError: a row is not taken, or does not come back as it was; or the source has changed since the copy was begun.
        CountDiffersError: there are more rows than in the source.
        StorageError: a database cannot be used; the copy can be gone on with.
    """
    if source == target:
        raise CopyUnfitError(f"{target.shown} is the database that is to be copied; name another one with --to.")
    require_current(source)
    mark = _mark(source)
    from_engine, to_engine = make_engine(source), make_engine(target)
    try:
        with explained_upkeep(source), reading(from_engine) as origin:
            if not plan.is_forced:
                locks = None if source.is_server else folder.run / "workers"
                refuse_living(origin, read_time_ms(origin, clock), locks, source.shown)
            with explained_upkeep(target):
                _prepare(to_engine, target, mark, plan)
                found = sum(_copy_table(origin, to_engine, table, tell) for table in _list_copied())
                return _finish(origin, to_engine, clock, found)
    finally:
        from_engine.dispose()
        to_engine.dispose()


def _list_copied() -> list[Table]:
    return [table for table in list_tables() if table.name not in KEPT_BY_MIGRATIONS]


def _mark(source: DatabaseUrl) -> str:
    shown = str(source.file.absolute()) if source.path is not None else source.shown
    return COPYING + blake2b(shown.encode()).hexdigest()[:_DIGITS]


def _prepare(engine: Engine, target: DatabaseUrl, mark: str, plan: CopyPlan) -> None:
    """Makes sure that the target is empty, or an unfinished copy of this source, and keeps everybody away from it."""
    with writing(engine) as connection:
        present = list_present(connection)
        strangers = list_strangers(present)
        if strangers:
            raise TargetNotEmptyError(f"{target.shown} holds tables of another program ({strangers[0]}): name another database.")
        word = read_revision(connection) or ""
        if word == mark:
            if plan.is_anew:
                _empty(connection)
            return
        if word.startswith(COPYING):
            raise CopyUnfitError(f"{target.shown} holds an unfinished copy of another database: name an empty one.")
    upgrade_database(target)
    with writing(engine) as connection:
        counts = {name: rows for name, rows in count_rows(connection).items() if name not in KEPT_BY_MIGRATIONS}
        filled = [table for table, rows in counts.items() if rows > (table in SEEDED)]
        if filled:
            raise TargetNotEmptyError(f"{target.shown} holds rows in {', '.join(filled[:3])}: name an empty database.")
        for table in _list_copied():
            if table.name in SEEDED:
                connection.execute(table.delete())
        keep_away(connection, mark)


def _empty(connection: Connection) -> None:
    lift_guards(connection)
    for table in reversed(_list_copied()):
        connection.execute(table.delete())


def _copy_table(origin: Connection, engine: Engine, table: Table, tell: Tell) -> int:
    """How many rows were there already."""
    total = origin.scalar(select(func.count()).select_from(table)) or 0
    tell(Progress(table.name, 0, total))
    done = found = 0
    for batch in _read_batches(origin, table):
        found += _copy_batch(engine, table, batch)
        done += len(batch)
        tell(Progress(table.name, done, total))
        crashpoint("CP30")
    return found


def _read_batches(origin: Connection, table: Table) -> Iterator[dict[Key, RowMapping]]:
    """The rows in the order of their keys, some at a time; those of one table are never all in memory."""
    names = [column.name for column in table.primary_key.columns]
    query = select(table).order_by(*table.primary_key.columns)
    batch: dict[Key, RowMapping] = {}
    size_bytes = 0
    streamed = origin.execute(query, execution_options={"stream_results": True, "yield_per": _FETCH_ROWS})
    with streamed:
        for row in streamed.mappings():
            batch[tuple(row[name] for name in names)] = row
            size_bytes += sum(len(value) for value in row.values() if isinstance(value, str | bytes))
            if len(batch) >= _BATCH_ROWS or size_bytes >= _BATCH_BYTES:
                yield batch
                batch, size_bytes = {}, 0
    if batch:
        yield batch


def _copy_batch(engine: Engine, table: Table, batch: Mapping[Key, RowMapping]) -> int:
    """Writes what is not there and reads it back in the same transaction; compares what is there. Returns how many were there."""
    with writing(engine) as connection:
        there = _read_rows(connection, table, list(batch))
        for key, row in there.items():
            _compare(table, key, batch.get(key), row, "the source has changed since the copy was begun; begin again with --anew")
        missing = [key for key in batch if key not in there]
        if missing:
            _insert(connection, table, {key: batch[key] for key in missing})
            written = _read_rows(connection, table, missing)
            for key in missing:
                _compare(table, key, batch[key], written.get(key), "it does not come back as it was written")
    return len(there)


def _insert(connection: Connection, table: Table, rows: Mapping[Key, RowMapping]) -> None:
    try:
        with connection.begin_nested():
            connection.execute(insert(table), [dict(row) for row in rows.values()])
    except DBAPIError as fault:
        if fault.orig is None or not is_content_fault(fault.orig):
            raise
        _find_refused(connection, table, rows)
        raise


def _find_refused(connection: Connection, table: Table, rows: Mapping[Key, RowMapping]) -> None:
    """Raises RowDiffersError with the row of a batch that the database does not take."""
    for key, row in rows.items():
        try:
            with connection.begin_nested():
                connection.execute(insert(table), dict(row))
        except DBAPIError as fault:
            raise RowDiffersError(
                table.name, _show_key(table, key), f"the target does not take it ({_first_line(fault)})"
            ) from fault


def _first_line(fault: DBAPIError) -> str:
    return (str(fault.orig).splitlines() or [""])[0]


def _read_rows(connection: Connection, table: Table, keys: Sequence[Key]) -> dict[Key, RowMapping]:
    columns = list(table.primary_key.columns)
    wanted = tuple_(*columns).in_(keys) if len(columns) > 1 else columns[0].in_([key[0] for key in keys])
    rows = connection.execute(select(table).where(wanted)).mappings()
    return {tuple(row[column.name] for column in columns): row for row in rows}


def _compare(table: Table, key: Key, wanted: RowMapping | None, found: RowMapping | None, reason: str) -> None:
    """Values must be equal and of the same type: 1 is not "1", and bytes are no text."""
    if wanted is None or found is None:
        raise RowDiffersError(table.name, _show_key(table, key), reason)
    for name, value in wanted.items():
        if type(found[name]) is not type(value) or found[name] != value:
            raise RowDiffersError(table.name, _show_key(table, key), f"in the column {name} {reason}")


def _show_key(table: Table, key: Key) -> str:
    return ", ".join(f"{column.name}={str(value)[:80]}" for column, value in zip(table.primary_key.columns, key, strict=True))


def _finish(origin: Connection, engine: Engine, clock: Clock, found: int) -> Copied:
    counts = {name: rows for name, rows in count_rows(origin).items() if name not in KEPT_BY_MIGRATIONS}
    with writing(engine) as connection:
        set_guards(connection)
    with writing(engine) as connection:
        raise_next_numbers(connection, read_next_numbers(origin))
        there = count_rows(connection)
        for table, rows in counts.items():
            if there[table] != rows:
                raise CountDiffersError(table, there[table], rows)
        fenced = fence(connection, max(read_time_ms(connection, clock), clock.now_ms()))
        let_in(connection, HEAD)
    return Copied(counts, found, fenced)
