import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, MetaData, create_engine, inspect
from tests.kit.database.statements import connect, execute, fetch

from flowforge.kit.crashpoint import crash_hook
from flowforge.kit.database import creating, migrating
from flowforge.kit.database.connect import connect_sqlite
from flowforge.kit.database.creating import create_sqlite
from flowforge.kit.database.errors import (
    DatabaseCorruptError,
    DatabaseLockedError,
    DatabaseNewerError,
    DatabaseOlderError,
    DatabaseUnreachableError,
)
from flowforge.kit.database.metadata import metadata
from flowforge.kit.database.migrating import MIGRATIONS, migrate_to
from flowforge.kit.database.reading import reading
from flowforge.kit.database.schema import (
    HEAD,
    REVISIONS,
    Schema,
    SchemaState,
    check_schema,
    read_schema,
    require_current,
    rollback_database,
    upgrade_database,
)
from flowforge.kit.database.url import DatabaseKind, DatabaseUrl, name_sqlite, parse_database_url
from flowforge.kit.errors import StorageFullError


def register_models() -> MetaData:
    """The metadata, once the models of all domains have told it their tables."""
    import_module("flowforge.upkeep.tables")
    return metadata


def make_engine(url: DatabaseUrl) -> Engine:
    scheme = {"sqlite": "sqlite://", "postgres": "postgresql+psycopg://", "mysql": "mysql+pymysql://"}[url.kind]
    return create_engine(scheme, creator=partial(connect, url))


def read_tables(url: DatabaseUrl) -> set[str]:
    engine = make_engine(url)
    tables = set(inspect(engine).get_table_names())
    engine.dispose()
    return tables


def set_revision(url: DatabaseUrl, revision: str) -> None:
    execute(url, f"UPDATE alembic_version SET version_num='{revision}'")


def kill_after(statements: int) -> AbstractContextManager[object]:
    """Ends what runs inside after so many statements of a migration."""
    left = statements

    def count(name: str) -> None:
        nonlocal left
        left -= name == "CP26"
        if left <= 0:
            raise ConnectionAbortedError

    return crash_hook(count)


def find_differences(url: DatabaseUrl) -> list[object]:
    """Between the tables that are there and those of the models."""
    engine = make_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences: list[object] = [*compare_metadata(context, register_models())]
    engine.dispose()
    return differences


def test_new_database_is_upgraded_to_head(url: DatabaseUrl):
    assert upgrade_database(url) == Schema(SchemaState.EMPTY, None)
    assert check_schema(url) == Schema(SchemaState.CURRENT, HEAD)
    assert upgrade_database(url) == Schema(SchemaState.CURRENT, HEAD)
    require_current(url)


def test_migrated_schema_is_that_of_the_models(url: DatabaseUrl):
    upgrade_database(url)
    assert find_differences(url) == []


def test_migrated_constraints_and_indexes_are_those_of_the_models(path: Path, tmp_path: Path):
    url, other = name_sqlite(path), name_sqlite(tmp_path / "models.db")
    upgrade_database(url)
    engine = make_engine(other)
    register_models().create_all(engine)
    engine.dispose()

    def read(database: DatabaseUrl) -> set[tuple[str, str]]:
        rows = fetch(
            database, "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND type<>'trigger' AND name<>'alembic_version'"
        )
        return {(name, " ".join(sorted(re.findall(r"[\w']+", sql)))) for name, sql in rows}

    assert read(url) == read(other)


def test_known_revisions_are_those_of_the_files():
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    script = ScriptDirectory.from_config(config)
    assert [revision.revision for revision in reversed(list(script.walk_revisions()))] == list(REVISIONS)
    assert script.get_heads() == [HEAD]


def test_rollback_takes_one_revision_back_and_upgrade_brings_it_again(url: DatabaseUrl):
    upgrade_database(url)
    for number in range(len(REVISIONS) - 1, 0, -1):
        assert rollback_database(url).found == REVISIONS[number]
        assert check_schema(url) == Schema(SchemaState.OLDER, REVISIONS[number - 1])
    assert rollback_database(url) == Schema(SchemaState.OLDER, REVISIONS[0])
    assert check_schema(url) == Schema(SchemaState.EMPTY, None)
    assert read_tables(url) <= {"alembic_version"}
    upgrade_database(url)
    assert check_schema(url).state is SchemaState.CURRENT


def test_rollback_of_an_empty_database_does_nothing(url: DatabaseUrl):
    assert rollback_database(url) == Schema(SchemaState.EMPTY, None)


def test_f30_migration_killed_again_and_again_is_completed(url: DatabaseUrl):
    for statements in range(3, 1_000, 23 if url.kind is DatabaseKind.MYSQL else 83):
        with kill_after(statements), suppress(ConnectionAbortedError):
            upgrade_database(url)
            break
        with pytest.raises(DatabaseOlderError, match="run `flowforge db upgrade`"):
            require_current(url)
        if url.kind is not DatabaseKind.MYSQL:
            assert read_tables(url) == set()
    require_current(url)
    assert find_differences(url) == []


def test_f30_rollback_killed_again_and_again_is_completed(mysql: DatabaseUrl):
    upgrade_database(mysql)
    for statements in range(3, 1_000, 11):
        with kill_after(statements):
            try:
                rollback_database(mysql)
            except ConnectionAbortedError:
                assert check_schema(mysql).state in {SchemaState.HALF, SchemaState.CURRENT, SchemaState.OLDER}
            else:
                break
    assert check_schema(mysql).found in {REVISIONS[-2], None}
    upgrade_database(mysql)
    assert find_differences(mysql) == []


def test_f30_rollback_killed_half_way_may_be_taken_back_by_an_upgrade(mysql: DatabaseUrl):
    upgrade_database(mysql)
    whole = read_tables(mysql)
    with kill_after(11), pytest.raises(ConnectionAbortedError):
        rollback_database(mysql)
    assert check_schema(mysql) == Schema(SchemaState.HALF, HEAD)
    assert read_tables(mysql) < whole | {"schema_change"}
    with pytest.raises(DatabaseOlderError, match=r"A change of the schema of .* was killed half-way: run `flowforge db upgrade`"):
        require_current(mysql)
    upgrade_database(mysql)
    assert read_tables(mysql) == whole
    assert find_differences(mysql) == []


def test_f30_killed_process_leaves_no_half_schema_behind(url: DatabaseUrl):
    program = (
        "import os, sys, pathlib\n"
        "from flowforge.kit.crashpoint import crash_hook\n"
        "from flowforge.kit.database.schema import upgrade_database\n"
        "from flowforge.kit.database.url import parse_database_url\n"
        "reached = []\n"
        "def kill(name):\n"
        "    reached.append(name)\n"
        "    if len(reached) == 42: os.kill(os.getpid(), 9)\n"
        "with crash_hook(kill): upgrade_database(parse_database_url(sys.argv[1]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, write_url(url)], check=False)
    assert done.returncode == -9
    assert check_schema(url).state in {SchemaState.EMPTY, SchemaState.HALF}
    if url.kind is not DatabaseKind.MYSQL:
        assert read_tables(url) == set()
    upgrade_database(url)
    require_current(url)
    assert find_differences(url) == []


def write_url(url: DatabaseUrl) -> str:
    return f"sqlite:///{url.file}" if url.kind is DatabaseKind.SQLITE else url.shown


def test_f30_newer_database_is_refused_and_left_alone(url: DatabaseUrl):
    upgrade_database(url)
    set_revision(url, "0099")
    execute(url, "UPDATE schema_compatibility SET oldest='0098'")
    for refuse in (upgrade_database, rollback_database, require_current):
        with pytest.raises(
            DatabaseNewerError, match=rf"was written by a newer FlowForge \(revision 0099, this one knows up to {HEAD}\)"
        ):
            refuse(url)
    assert check_schema(url) == Schema(SchemaState.NEWER, "0099")


def test_f30_newer_database_that_lets_this_version_go_on_is_worked_on_and_left_as_it_is(url: DatabaseUrl):
    upgrade_database(url)
    set_revision(url, "0099")
    require_current(url)
    assert upgrade_database(url) == Schema(SchemaState.AHEAD, "0099")
    assert check_schema(url) == Schema(SchemaState.AHEAD, "0099")
    with pytest.raises(DatabaseNewerError, match="install that version"):
        rollback_database(url)


def test_f30_database_without_schema_is_refused(url: DatabaseUrl):
    with pytest.raises(DatabaseOlderError, match=rf"is at revision none, {HEAD} is needed: run `flowforge db upgrade`"):
        require_current(url)


def test_f30_database_of_the_revision_before_is_refused(url: DatabaseUrl):
    upgrade_database(url)
    rollback_database(url)
    with pytest.raises(DatabaseOlderError, match=rf"is at revision {REVISIONS[-2]}, {HEAD} is needed"):
        require_current(url)


def test_database_of_another_program_is_refused(url: DatabaseUrl):
    execute(url, "CREATE TABLE bookmarks(url INT)")
    for refuse in (upgrade_database, require_current):
        with pytest.raises(DatabaseCorruptError, match="is a database of another program"):
            refuse(url)
    assert read_tables(url) == {"bookmarks"}


def test_database_of_another_program_that_uses_alembic_too_is_refused(url: DatabaseUrl):
    execute(url, "CREATE TABLE alembic_version(version_num VARCHAR(32))", "INSERT INTO alembic_version VALUES ('ae1027a6acf')")
    with pytest.raises(DatabaseCorruptError, match="is a database of another program"):
        upgrade_database(url)


def test_many_may_upgrade_at_once(url: DatabaseUrl):
    program = (
        "import sys\nfrom flowforge.kit.database.schema import upgrade_database\n"
        "from flowforge.kit.database.url import parse_database_url\nupgrade_database(parse_database_url(sys.argv[1]))"
    )
    processes = [subprocess.Popen([sys.executable, "-c", program, write_url(url)]) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    require_current(url)
    assert find_differences(url) == []


BY_BOTH_WAYS = pytest.mark.parametrize(
    ("module", "upgrade"), [(creating, upgrade_database), (migrating, partial(migrate_to, revision=HEAD))], ids=["new", "older"]
)


@BY_BOTH_WAYS
def test_full_disk_while_upgrading_gives_one_sentence(
    module: ModuleType, upgrade: Callable[[DatabaseUrl], object], path: Path, monkeypatch: pytest.MonkeyPatch
):
    def connect_to_small_disk(path: Path) -> object:
        connection = connect_sqlite(path)
        connection.execute("PRAGMA max_page_count=8")
        return connection

    # A full disk cannot be had in a test; SQLite's own bound fails in the same way.
    monkeypatch.setattr(module, "connect_sqlite", connect_to_small_disk)
    with pytest.raises(StorageFullError, match="There is no room left"):
        upgrade(name_sqlite(path))
    monkeypatch.undo()
    assert read_tables(name_sqlite(path)) == set()


@BY_BOTH_WAYS
def test_locked_database_gives_one_sentence(
    module: ModuleType, upgrade: Callable[[DatabaseUrl], object], locked: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "connect_sqlite", partial(connect_sqlite, busy_timeout_ms=0))
    with pytest.raises(DatabaseLockedError, match="is locked by another process"):
        upgrade(name_sqlite(locked))


@pytest.mark.parametrize("text", ["postgresql://flowforge@127.0.0.1:1/flowforge", "mysql://flowforge@127.0.0.1:1/flowforge"])
def test_server_that_does_not_answer_gives_one_sentence(text: str):
    with pytest.raises(
        DatabaseUnreachableError, match=r"cannot be reached \(.*\); check that it runs and answers at 127.0.0.1:1\."
    ):
        check_schema(parse_database_url(text))


def test_check_of_a_current_database_imports_neither_sqlalchemy_nor_alembic(path: Path):
    upgrade_database(name_sqlite(path))
    program = (
        "import sys, pathlib\n"
        "from flowforge.kit.database.schema import upgrade_database\n"
        "from flowforge.kit.database.url import name_sqlite\n"
        "import flowforge.engine.sqlite.store\n"
        "upgrade_database(name_sqlite(pathlib.Path(sys.argv[1])))\n"
        "print([name for name in ('sqlalchemy', 'alembic', 'psycopg', 'pymysql', 'ssl') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, check=True, text=True)
    assert done.stdout == "[]\n"


def test_a_new_sqlite_database_is_what_the_migrations_give(tmp_path: Path) -> None:
    made, migrated = name_sqlite(tmp_path / "made.db"), name_sqlite(tmp_path / "migrated.db")
    assert create_sqlite(made)
    assert not create_sqlite(made)
    migrate_to(migrated, HEAD)
    with reading(made) as one, reading(migrated) as other:
        for question in ("SELECT type, name, tbl_name FROM sqlite_master ORDER BY 1, 2", "SELECT * FROM workspaces"):
            assert one.fetch(question) == other.fetch(question)
        assert read_schema(one) == read_schema(other) == Schema(SchemaState.CURRENT, HEAD)
