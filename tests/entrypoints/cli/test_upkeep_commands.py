"""`flowforge backup`, `restore` and `db copy`, as a person calls them."""

import os
import sqlite3
from collections.abc import Generator
from pathlib import Path
from typing import cast

import pytest
from tests.entrypoints.cli.conftest import Cli
from tests.entrypoints.cli.test_cluster_commands import write_url
from tests.support.ground import Ground, prepare_ground

from flowforge.kit.values import JsonObject


@pytest.fixture
def ground(tmp_path: Path) -> Generator[Ground]:
    with prepare_ground(tmp_path) as made:
        yield made


def list_runs(cli: Cli, env: dict[str, str] | None = None) -> list[JsonObject]:
    return cli("runs", "list", env=env).rows


def test_backup_is_restored_to_an_empty_folder(cli: Cli, hello: str, tmp_path: Path):
    cli.start(hello)
    cli.ok("secrets", "set", "TOKEN", stdin="hush")
    said = cli.ok("backup", "all.flowforge")
    assert said.row["rows"] == sum(cast("dict[str, int]", said.row["tables"]).values())
    assert "keys are NOT in it" in said.err
    checked = cli.ok("restore", "all.flowforge", "--check").row
    assert checked["tables"] == said.row["tables"]
    other = Cli(tmp_path / "other")
    restored = other.ok("restore", "all.flowforge")
    assert "The keys were not in it" in restored.err
    assert list_runs(other) == list_runs(cli)
    assert other.start(hello)[0] == 0


def test_folder_of_a_backup_is_not_made(cli: Cli, tmp_path: Path):
    said = cli("backup", str(tmp_path / "not-mounted" / "all.flowforge"))
    assert (said.code, said.error["code"]) == (4, "NOT_FOUND")
    assert not (tmp_path / "not-mounted").exists()


def test_keys_go_with_it_when_asked_for(cli: Cli, tmp_path: Path):
    cli.ok("secrets", "set", "TOKEN", stdin="hush")
    said = cli.ok("backup", "all.flowforge", "--with-keys")
    assert "CAREFUL" in said.err
    other = Cli(tmp_path / "other")
    other.ok("restore", "all.flowforge")
    assert (other.data / "keys" / "keyring.json").read_bytes() == (cli.data / "keys" / "keyring.json").read_bytes()
    assert (other.data / "keys" / "keyring.json").stat().st_mode & 0o077 == 0


def test_what_is_there_is_only_replaced_when_that_is_said(cli: Cli, hello: str):
    cli.start(hello)
    cli.ok("backup", "all.flowforge")
    cli.start(hello)
    assert cli("backup", "all.flowforge").code == 6
    refused = cli("restore", "all.flowforge")
    assert (refused.code, refused.error["code"]) == (6, "CONFLICT")
    assert cli("restore", "all.flowforge", "--replace").code == 2
    assert len(list_runs(cli)) == 2
    cli.ok("restore", "all.flowforge", "--replace", "--yes")
    assert len(list_runs(cli)) == 1


def test_file_that_is_no_backup(cli: Cli, tmp_path: Path):
    (tmp_path / "other").write_text("hello")
    for words in (("restore", "other"), ("restore", "missing"), ("restore", "other", "--check")):
        said = cli(*words)
        assert said.code == 2, said
        assert len(said.err.splitlines()) == 1


def test_installation_moves_to_a_server(cli: Cli, ground: Ground, hello: str):
    cli.start(hello)
    run_id = cli.ok("run", hello, "--detach").row["run_id"]
    env = {"FLOWFORGE_DATABASE_URL": write_url(ground.bare("postgres")), "FLOWFORGE_ENCRYPTION_KEY": os.urandom(32).hex()}
    said = cli("db", "copy", "--to", "-", stdin=env["FLOWFORGE_DATABASE_URL"])
    assert said.code == 0, said
    assert said.rows[-1]["type"] == "result"
    assert all(row["type"] == "progress" for row in said.rows[:-1])
    assert "OBJECT_STORE_URL" in said.err
    assert [row["id"] for row in list_runs(cli, env)] == [row["id"] for row in list_runs(cli)]
    went_on = cli("runs", "continue", cast("str", run_id), "--quiet", env=env)
    assert (went_on.code, went_on.rows[-1]["status"]) == (0, "completed"), went_on
    assert cli("db", "copy", "--to", env["FLOWFORGE_DATABASE_URL"]).code == 6, "it is not empty any more"


def test_copy_tells_what_it_does_not_understand(cli: Cli):
    for url in ("", "oracle://x", "postgresql://u:hunter2@h/db?options=x"):
        said = cli("db", "copy", "--to", url)
        assert said.code == 2
        assert "hunter2" not in said.err
    assert cli("db", "copy").code == 2
    said = cli("db", "copy", "--to", "postgresql://u:hunter2@127.0.0.1:1/db")
    assert said.code == 7
    assert "hunter2" not in said.err


def test_backup_of_a_damaged_database_is_refused(cli: Cli, hello: str):
    cli.start(hello)
    path = cli.data / "flowforge.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(path.read_bytes())
    data[4096 * 3 : 4096 * 6] = os.urandom(4096 * 3)
    path.write_bytes(data)
    said = cli("backup", "all.flowforge")
    assert said.code == 7, said
    assert not Path("all.flowforge").exists()
