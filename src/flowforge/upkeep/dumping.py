"""One database as one file, while work goes on, with the number of rows of each table at the same moment; and back again.

A dump has no `alembic_version`: the manifest knows the revision, and it is written last, so that nobody works on half a restore.
"""

import re
import sqlite3
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, func, select

from flowforge.kit.database.connect import connect_sqlite
from flowforge.kit.database.errors import explained
from flowforge.kit.database.url import DatabaseKind, DatabaseUrl, name_sqlite
from flowforge.upkeep.connecting import open_upkeep, reading
from flowforge.upkeep.errors import CountDiffersError, ProgramFailedError
from flowforge.upkeep.programs import (
    Call,
    find_mysql_program,
    find_postgres_program,
    mysql_options_file,
    postgres_environment,
    run_program,
)
from flowforge.upkeep.tables import count_rows, read_revision, version_table

_DUMP_PROGRAMS: Final = ("mariadb-dump", "mysqldump")
_CLIENT_PROGRAMS: Final = ("mariadb", "mysql")
_ROW: Final = re.compile(rb"INSERT INTO `([A-Za-z0-9_]+)` ")
_DONE: Final = b"-- Dump completed"
_DIALECT_KINDS: Final = {"sqlite": "sqlite", "postgresql": "postgres", "mysql": "mysql", "mariadb": "mysql"}


@dataclass(frozen=True, slots=True)
class Dump:
    """What a dump holds. `server`: the database's name and version."""

    server: str
    revision: str
    tables: Mapping[str, int]


def kind_of(engine: Engine) -> str:
    """sqlite, postgres or mysql."""
    return _DIALECT_KINDS[engine.dialect.name]


def name_server(connection: Connection) -> str:
    """What answers, for people: `PostgreSQL 15.4`, `10.11.6-MariaDB`, `SQLite 3.40.1`."""
    match connection.dialect.name:
        case "postgresql":
            return f"PostgreSQL {connection.exec_driver_sql('SHOW server_version').scalar_one()}"
        case "sqlite":
            return f"SQLite {sqlite3.sqlite_version}"
        case _:
            return str(connection.exec_driver_sql("SELECT VERSION()").scalar_one())


def dump_database(url: DatabaseUrl, engine: Engine, target: Path) -> Dump:
    """Writes the dump to `target`, which must not be there.

    Raises:
        StorageError: the database cannot be used.
        ProgramMissingError, ProgramFailedError: the database's tool is not there, or did not do its work.
    """
    match url.kind:
        case DatabaseKind.SQLITE:
            return _dump_sqlite(url, target)
        case DatabaseKind.POSTGRES:
            return _dump_postgres(url, engine, target)
        case DatabaseKind.MYSQL:
            return _dump_mysql(url, engine, target)


def load_dump(url: DatabaseUrl, engine: Engine, source: Path) -> None:
    """Fills the database of a server, which has no tables, from a dump.

    Raises:
        ProgramMissingError, ProgramFailedError: as `dump_database`.
    """
    if url.kind is DatabaseKind.POSTGRES:
        with engine.connect() as connection:
            program = find_postgres_program("pg_restore", _read_major(connection))
        options = ("--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges", "--dbname", url.name)
        run_program(Call([program, *options, str(source)], postgres_environment(url)))
        return
    with engine.connect() as connection:
        is_mariadb = "mariadb" in name_server(connection).lower()
    program = find_mysql_program(_CLIENT_PROGRAMS, is_mariadb=is_mariadb)
    with mysql_options_file(url, program) as options_file, source.open("rb") as file:
        run_program(Call([program, f"--defaults-extra-file={options_file}", "--batch", url.name], source=file))


def compare_counts(found: Mapping[str, int], wanted: Mapping[str, int]) -> None:
    """Raises CountDiffersError where a table has not as many rows as it should."""
    for table in sorted({*found, *wanted}):
        if found.get(table, 0) != wanted.get(table, 0):
            raise CountDiffersError(table, found.get(table, 0), wanted.get(table, 0))


def check_sqlite_file(path: Path) -> None:
    """Raises DatabaseCorruptError where SQLite finds damage in the file."""
    connection = connect_sqlite(path)
    try:
        with explained(name_sqlite(path)):
            found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if found != "ok":
                fault = sqlite3.DatabaseError(" ".join(str(found).split()))
                fault.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
                raise fault
    finally:
        connection.close()


def _dump_sqlite(url: DatabaseUrl, target: Path) -> Dump:
    source, copy = connect_sqlite(url.file), sqlite3.connect(target, isolation_level=None)
    try:
        with explained(url):
            # In one step: that is one snapshot, in which writers go on; many steps would begin anew at each of their commits.
            source.backup(copy, pages=-1)
    finally:
        copy.close()
        source.close()
    check_sqlite_file(target)
    with open_upkeep(name_sqlite(target)) as engine, reading(engine) as connection:
        dump = Dump(name_server(connection), read_revision(connection) or "", count_rows(connection))
    _fold_log(target)
    return dump


def _fold_log(path: Path) -> None:
    """Leaves one file, without a log beside it."""
    connection = connect_sqlite(path)
    try:
        with explained(name_sqlite(path)):
            connection.execute("PRAGMA journal_mode=DELETE")
    finally:
        connection.close()


def _dump_postgres(url: DatabaseUrl, engine: Engine, target: Path) -> Dump:
    with reading(engine) as connection:
        # Both see the same moment: what is counted here is what is dumped there.
        snapshot = connection.scalar(select(func.pg_export_snapshot()))
        dump = Dump(name_server(connection), read_revision(connection) or "", count_rows(connection))
        program = find_postgres_program("pg_dump", _read_major(connection))
        options = ("--format=custom", "--no-owner", "--no-privileges", "--no-comments", f"--snapshot={snapshot}")
        tables = f"--exclude-table={version_table.name}"
        run_program(Call([program, *options, tables, f"--file={target}"], postgres_environment(url)))
    return dump


def _read_major(connection: Connection) -> int:
    return int(connection.exec_driver_sql("SHOW server_version_num").scalar_one()) // 10_000


def _dump_mysql(url: DatabaseUrl, engine: Engine, target: Path) -> Dump:
    with engine.connect() as connection:
        server, revision = name_server(connection), read_revision(connection) or ""
    program = find_mysql_program(_DUMP_PROGRAMS, is_mariadb="mariadb" in server.lower())
    # A row a line, so that rows can be counted in the dump itself: no second connection sees its snapshot.
    options = ["--single-transaction", "--quick", "--skip-extended-insert", "--hex-blob", "--no-autocommit", "--skip-add-locks"]
    options += ["--skip-triggers", "--no-tablespaces", f"--ignore-table={url.name}.{version_table.name}"]
    with mysql_options_file(url, program) as options_file, target.open("wb") as file:
        run_program(Call([program, f"--defaults-extra-file={options_file}", *options, url.name], target=file))
    return Dump(server, revision, _count_dumped(program, target))


def _count_dumped(program: str, path: Path) -> dict[str, int]:
    """The rows of each table in a dump with a row a line.

    Raises:
        ProgramFailedError: the dump does not end as one does that was brought to its end.
    """
    counts: Counter[str] = Counter()
    last = b""
    with path.open("rb") as file:
        for line in file:
            if (row := _ROW.match(line)) is not None:
                counts[row[1].decode()] += 1
            elif line.strip():
                last = line
    if not last.startswith(_DONE):
        raise ProgramFailedError(Path(program).name, 0, "its dump has no end, so that something may be missing")
    return dict(counts)
