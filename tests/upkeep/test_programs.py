import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.support.databases import Kind
from tests.support.filled import fill, read_rows
from tests.support.ground import Ground

from flowforge.engine.tables import runs
from flowforge.kit.clock import SystemClock
from flowforge.kit.crashpoint import crash_hook
from flowforge.kit.database.errors import DatabaseNewerError
from flowforge.kit.database.schema import require_current, upgrade_database
from flowforge.kit.database.url import parse_database_url
from flowforge.upkeep.backup import BackupPlan, make_backup
from flowforge.upkeep.errors import ProgramFailedError, ProgramMissingError
from flowforge.upkeep.programs import (
    Call,
    find_mysql_program,
    find_postgres_program,
    mysql_options_file,
    postgres_environment,
    run_program,
)
from flowforge.upkeep.restore import RestorePlan, restore_backup

CLOCK = SystemClock()
BARE = BackupPlan(has_files=False, has_keys=False)
MakeProgram = Callable[[str, str], Path]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeProgram:
    """Makes programs of the test's own; no others are found."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr("flowforge.upkeep.programs._POSTGRES_FOLDERS", (f"{tmp_path}/pg-*/bin",))

    def make(name: str, script: str) -> Path:
        path = folder / name if "/" not in name else tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return make


class TestFinding:
    def test_there_is_none(self, programs: MakeProgram):
        with pytest.raises(ProgramMissingError, match=r"not on PATH.*postgresql-client-16"):
            find_postgres_program("pg_dump", 16)
        with pytest.raises(ProgramMissingError, match="mariadb-client"):
            find_mysql_program(("mariadb-dump", "mysqldump"), is_mariadb=True)

    def test_older_than_the_server(self, programs: MakeProgram):
        programs("pg_dump", "echo 'pg_dump (PostgreSQL) 14.9 (Debian 14.9-1)'")
        with pytest.raises(ProgramMissingError, match="of version 14, and the server of version 16"):
            find_postgres_program("pg_dump", 16)

    def test_nearest_of_those_that_are_new_enough(self, programs: MakeProgram):
        programs("pg_dump", "echo 'pg_dump (PostgreSQL) 14.9'")
        programs("pg-17/bin/pg_dump", "echo 'pg_dump (PostgreSQL) 17.0'")
        wanted = programs("pg-16/bin/pg_dump", "echo 'pg_dump (PostgreSQL) 16.1'")
        programs("pg-18/bin/pg_dump", "exit 3")
        assert find_postgres_program("pg_dump", 16) == str(wanted)

    def test_program_of_the_servers_own_make(self, programs: MakeProgram):
        maria = programs("mariadb-dump", "echo 'mariadb-dump  Ver 10.19 Distrib 10.11.4-MariaDB'")
        mysql = programs("mysqldump", "echo 'mysqldump  Ver 8.0.36 for Linux'")
        names = ("mariadb-dump", "mysqldump")
        assert find_mysql_program(names, is_mariadb=True) == str(maria)
        assert find_mysql_program(names, is_mariadb=False) == str(mysql)
        mysql.unlink()
        assert find_mysql_program(names, is_mariadb=False) == str(maria)


class TestCalling:
    def test_exit_code_and_what_was_said(self, programs: MakeProgram):
        path = programs("bad", "echo 'bad: no room' >&2; exit 3")
        with pytest.raises(ProgramFailedError, match="bad ended with the code 3: bad: no room"):
            run_program(Call([str(path)]))

    @pytest.mark.parametrize("said", ["pg_restore: error: could not open", "ERROR 1045 (28000)", "mariadb-dump: Error: 'denied'"])
    def test_complaint_in_spite_of_a_good_exit_code(self, programs: MakeProgram, said: str):
        path = programs("sly", f'echo "{said}" >&2')
        with pytest.raises(ProgramFailedError):
            run_program(Call([str(path)]))

    def test_warning_is_none(self, programs: MakeProgram):
        path = programs("chatty", "echo 'pg_dump: warning: something' >&2")
        assert "warning" in run_program(Call([str(path)]))

    def test_environment_is_no_ones_but_ours(self, programs: MakeProgram, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
        monkeypatch.setenv("PGOPTIONS", "-c statement_timeout=1")
        monkeypatch.setenv("FLOWFORGE_ENCRYPTION_KEY", "secret")
        path = programs("show", "/usr/bin/env")
        with (tmp_path / "out").open("wb") as target:
            run_program(Call([str(path)], {"PGPASSWORD": "p"}, target=target))
        shown = (tmp_path / "out").read_text()
        assert "PGPASSWORD=p" in shown
        assert "PGOPTIONS" not in shown
        assert "FLOWFORGE" not in shown


class TestPasswords:
    def test_postgres_gets_it_by_the_environment(self):
        url = parse_database_url("postgresql://me:p%40ss@db:6543/name?sslmode=verify-full&sslrootcert=/ca.pem")
        environment = postgres_environment(url)
        assert environment["PGPASSWORD"] == "p@ss"
        assert (environment["PGHOST"], environment["PGPORT"], environment["PGDATABASE"]) == ("db", "6543", "name")
        assert (environment["PGSSLMODE"], environment["PGSSLROOTCERT"]) == ("verify-full", "/ca.pem")

    def test_mysql_gets_it_by_a_file_that_goes(self):
        url = parse_database_url("mysql://me:%22p%5C%23%22@db:3307/name")
        with mysql_options_file(url, "mysqldump") as name:
            path = Path(name)
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert 'password="\\"p\\\\#\\""' in path.read_text()
        assert not path.exists()

    @pytest.mark.parametrize("kind", ["postgres", "mysql"])
    def test_no_command_line_has_it(self, ground: Ground, tmp_path: Path, kind: Kind, monkeypatch: pytest.MonkeyPatch):
        calls: list[Call] = []

        def watch(call: Call) -> str:
            calls.append(call)
            return run_program(call)

        monkeypatch.setattr("flowforge.upkeep.dumping.run_program", watch)
        url = ground.upgraded(kind)
        make_backup(url, ground.folder(), tmp_path / "one", BARE, CLOCK)
        restore_backup(ground.bare(kind), ground.folder(), tmp_path / "one", RestorePlan(), CLOCK)
        assert len(calls) == 2
        assert not any("password" in word.lower() or "://" in word for call in calls for word in call.command)


class TestFailing:
    def test_dump_that_fails_leaves_no_backup(self, ground: Ground, tmp_path: Path, programs: MakeProgram):
        programs("pg_dump", 'case "$1" in --version) echo "pg_dump (PostgreSQL) 99.1";; *) echo half > /dev/null; exit 1;; esac')
        path = tmp_path / "out" / "one"
        path.parent.mkdir()
        with pytest.raises(ProgramFailedError):
            make_backup(ground.upgraded("postgres"), ground.folder(), path, BARE, CLOCK)
        assert list(path.parent.iterdir()) == []

    def test_dump_that_was_cut_off_is_no_backup(self, ground: Ground, tmp_path: Path, programs: MakeProgram):
        programs("mariadb-dump", 'case "$1" in --version) echo MariaDB;; *) echo "CREATE TABLE x (y INT);";; esac')
        with pytest.raises(ProgramFailedError, match="no end"):
            make_backup(ground.upgraded("mysql"), ground.folder(), tmp_path / "one", BARE, CLOCK)

    @pytest.mark.parametrize("kind", ["postgres", "mysql"])
    def test_restore_that_was_killed_before_it_was_fenced(self, ground: Ground, tmp_path: Path, kind: Kind):
        class Killed(BaseException):
            pass

        def kill(name: str) -> None:
            if name == "CP31":
                raise Killed

        url, target = ground.upgraded(kind), ground.bare(kind)
        fill(url, size=3)
        make_backup(url, ground.folder(), tmp_path / "one", BARE, CLOCK)
        with crash_hook(kill), pytest.raises(Killed):
            restore_backup(target, ground.folder(), tmp_path / "one", RestorePlan(), CLOCK)
        assert len(read_rows(target, select(runs.c.no))) == 7
        for use in (require_current, upgrade_database):
            with pytest.raises(DatabaseNewerError, match="restore-not-finished"):
                use(target)
        restore_backup(target, ground.folder(), tmp_path / "one", RestorePlan(is_replacing=True), CLOCK)
        require_current(target)
