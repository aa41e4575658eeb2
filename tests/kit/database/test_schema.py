import sqlite3
import subprocess
import sys
from contextlib import closing
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, create_engine

from flowforge.kit.crashpoint import crash_hook
from flowforge.kit.database import migrating
from flowforge.kit.database.connect import connect_sqlite
from flowforge.kit.database.errors import DatabaseCorruptError, DatabaseLockedError, DatabaseNewerError, DatabaseOlderError
from flowforge.kit.database.metadata import metadata
from flowforge.kit.database.migrating import MIGRATIONS
from flowforge.kit.database.schema import (
    HEAD,
    REVISIONS,
    Schema,
    SchemaState,
    check_schema,
    require_current,
    rollback_database,
    upgrade_database,
)
from flowforge.kit.errors import StorageFullError


def register_models() -> MetaData:
    """The metadata, once the models of all domains have told it their tables."""
    for module in ("flowforge.engine.tables", "flowforge.vault.models", "flowforge.workflows.models"):
        import_module(module)
    return metadata


def read_tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")}


def set_revision(path: Path, revision: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num=?", (revision,))


def test_new_database_is_upgraded_to_head(path: Path):
    assert upgrade_database(path) == Schema(SchemaState.EMPTY, None)
    assert check_schema(path) == Schema(SchemaState.CURRENT, HEAD)
    assert upgrade_database(path) == Schema(SchemaState.CURRENT, HEAD)


def test_migrated_schema_is_that_of_the_models(path: Path):
    upgrade_database(path)
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences: list[object] = [*compare_metadata(context, register_models())]
    engine.dispose()
    assert differences == []


def test_migrated_constraints_and_indexes_are_those_of_the_models(path: Path, tmp_path: Path):
    upgrade_database(path)
    other = tmp_path / "models.db"
    engine = create_engine(f"sqlite:///{other}")
    register_models().create_all(engine)
    engine.dispose()

    def read(database: Path) -> set[tuple[str, str]]:
        with closing(sqlite3.connect(database)) as connection:
            rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name<>'alembic_version'")
            return {(name, " ".join(sorted(sql.replace(",", " ").split()))) for name, sql in rows.fetchall()}

    assert read(path) == read(other)


def test_known_revisions_are_those_of_the_files():
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    script = ScriptDirectory.from_config(config)
    assert [revision.revision for revision in reversed(list(script.walk_revisions()))] == list(REVISIONS)
    assert script.get_heads() == [HEAD]


def test_rollback_takes_one_revision_back_and_upgrade_brings_it_again(path: Path):
    upgrade_database(path)
    assert rollback_database(path) == Schema(SchemaState.CURRENT, HEAD)
    assert check_schema(path) == Schema(SchemaState.EMPTY, None)
    assert read_tables(path) <= {"alembic_version", "sqlite_sequence"}
    upgrade_database(path)
    assert check_schema(path).state is SchemaState.CURRENT


def test_rollback_of_an_empty_database_does_nothing(path: Path):
    assert rollback_database(path) == Schema(SchemaState.EMPTY, None)


def test_f30_killed_migration_leaves_no_trace_and_is_done_again(path: Path):
    for step in (1, 2, 7, 19):
        left = step

        def kill(name: str) -> None:
            nonlocal left
            left -= name == "CP26"
            if left == 0:
                raise ConnectionAbortedError

        with crash_hook(kill), pytest.raises(ConnectionAbortedError):
            upgrade_database(path)
        assert read_tables(path) == set()
    upgrade_database(path)
    require_current(path)


def test_f30_killed_process_leaves_no_half_schema(path: Path):
    program = (
        "import os, sys, pathlib\n"
        "from flowforge.kit.crashpoint import crash_hook\n"
        "from flowforge.kit.database.schema import upgrade_database\n"
        "reached = []\n"
        "def kill(name):\n"
        "    reached.append(name)\n"
        "    if len(reached) == 12: os.kill(os.getpid(), 9)\n"
        "with crash_hook(kill): upgrade_database(pathlib.Path(sys.argv[1]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert done.returncode == -9
    assert read_tables(path) == set()
    upgrade_database(path)
    require_current(path)


def test_f30_newer_database_is_refused_and_left_alone(path: Path):
    upgrade_database(path)
    set_revision(path, "0099")
    for refuse in (upgrade_database, rollback_database, require_current):
        with pytest.raises(
            DatabaseNewerError, match=r"was written by a newer FlowForge \(revision 0099, this one knows up to 0001\)"
        ):
            refuse(path)
    assert check_schema(path) == Schema(SchemaState.NEWER, "0099")


def test_f30_database_without_schema_is_refused(path: Path):
    with pytest.raises(DatabaseOlderError, match=r"is at revision none, 0001 is needed: run `flowforge db upgrade`"):
        require_current(path)


def test_database_of_another_program_is_refused(path: Path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bookmarks(url)")
    for refuse in (upgrade_database, require_current):
        with pytest.raises(DatabaseCorruptError, match="is a database of another program"):
            refuse(path)
    assert read_tables(path) == {"bookmarks"}


def test_many_may_upgrade_at_once(path: Path):
    program = "import sys, pathlib\nfrom flowforge.kit.database.schema import *\nupgrade_database(pathlib.Path(sys.argv[1]))"
    processes = [subprocess.Popen([sys.executable, "-c", program, str(path)]) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    require_current(path)


def test_full_disk_while_upgrading_gives_one_sentence(path: Path, monkeypatch: pytest.MonkeyPatch):
    connect = migrating.connect_sqlite

    def connect_to_small_disk(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.execute("PRAGMA max_page_count=8")
        return connection

    # A full disk cannot be had in a test; SQLite's own bound fails in the same way.
    monkeypatch.setattr(migrating, "connect_sqlite", connect_to_small_disk)
    with pytest.raises(StorageFullError, match="There is no room left"):
        upgrade_database(path)
    monkeypatch.undo()
    assert read_tables(path) == set()


def test_locked_database_gives_one_sentence(locked: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(migrating, "connect_sqlite", partial(connect_sqlite, busy_timeout_ms=0))
    with pytest.raises(DatabaseLockedError, match="is locked by another process"):
        upgrade_database(locked)


def test_check_of_a_current_database_imports_neither_sqlalchemy_nor_alembic(path: Path):
    upgrade_database(path)
    program = (
        "import sys, pathlib\n"
        "from flowforge.kit.database.schema import upgrade_database\n"
        "import flowforge.engine.sqlite.store\n"
        "upgrade_database(pathlib.Path(sys.argv[1]))\n"
        "print([name for name in ('sqlalchemy', 'alembic') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, check=True, text=True)
    assert done.stdout == "[]\n"
