"""Commands on a database of a server: what they do, and what they say when it cannot be used."""

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.entrypoints.cli.conftest import Cli, Said
from tests.kit.database.statements import execute
from tests.support.databases import Database, Kind, open_database

from flowforge.kit.database.errors import driver_errors
from flowforge.kit.database.schema import HEAD, REVISIONS
from flowforge.kit.database.url import parse_database_url


@pytest.fixture(params=["postgres", "mysql"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """An empty database."""
    kind: Kind = request.param
    async with open_database(kind) as database:
        yield database


@pytest.fixture
def forgotten_drivers() -> Iterator[None]:
    driver_errors.cache_clear()
    yield
    driver_errors.cache_clear()


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """On a data folder that is not there yet."""
    return Cli(tmp_path / "data")


def on(url: str, **more: str) -> dict[str, str]:
    return {"FLOWFORGE_DATABASE_URL": url, **more}


def refused(said: Said, code: int, *, kind: str) -> str:
    """The one sentence of a call that was refused so."""
    assert (said.code, said.out) == (code, ""), said
    assert str(said.error["details"]).count(kind) == 1, said.error
    message = str(said.error["message"])
    assert message.endswith(".")
    assert "\n" not in message
    return message


def test_database_is_upgraded_checked_and_rolled_back(cli: Cli, server: Database):
    env = on(server.url)
    assert cli("db", "check", env=env).row == {"state": "empty", "found": None, "wanted": HEAD}
    assert cli("db", "check", env=env).code == 1
    assert cli("db", "upgrade", env=env).code == 0
    assert cli("db", "upgrade", env=env).code == 0
    assert cli("db", "check", env=env).row == {"state": "current", "found": HEAD, "wanted": HEAD}
    asked = cli("db", "rollback", env=env)
    assert asked.code == 2
    assert f"127.0.0.1:{server.port}/{server.name} first, then say --yes" in str(asked.error["message"])
    assert cli("db", "rollback", "--yes", env=env).code == 0
    assert cli("db", "check", env=env).row == {"state": "older", "found": REVISIONS[-2], "wanted": HEAD}
    assert not (cli.data / "flowforge.db").exists()


def test_commands_work_on_the_server(cli: Cli, server: Database):
    env = on(server.url)
    cli("db", "upgrade", env=env)
    assert cli("variables", "set", "REGION", "eu", env=env).code == 0
    assert [row["name"] for row in cli("variables", "list", env=env).rows] == ["REGION"]
    assert cli("runs", "list", env=env).code == 0
    assert not (cli.data / "flowforge.db").exists()


def test_f30_server_is_never_upgraded_by_another_command(cli: Cli, server: Database):
    message = refused(cli("runs", "list", env=on(server.url)), 7, kind="database_older")
    assert message.endswith(f"is at revision none, {HEAD} is needed: run `flowforge db upgrade`.")
    assert cli("db", "check", env=on(server.url)).row["state"] == "empty"


def test_f30_newer_schema_is_refused(cli: Cli, server: Database):
    env = on(server.url)
    cli("db", "upgrade", env=env)
    url = parse_database_url(server.url)
    execute(url, "UPDATE alembic_version SET version_num='0099'", "UPDATE schema_compatibility SET oldest='0099'")
    for command in (("runs", "list"), ("db", "upgrade"), ("db", "rollback", "--yes")):
        message = refused(cli(*command, env=env), 7, kind="database_newer")
        assert "was written by a newer FlowForge (revision 0099" in message


@pytest.mark.parametrize("scheme", ["postgresql+psycopg", "mysql+aiomysql"])
@pytest.mark.parametrize("command", [("db", "upgrade"), ("db", "check"), ("runs", "list")])
def test_host_that_does_not_answer_is_told(cli: Cli, scheme: str, command: tuple[str, ...]):
    said = cli(*command, env=on(f"{scheme}://ann:s3cret@127.0.0.1:1/flowforge"))
    message = refused(said, 7, kind="database_unreachable")
    assert message.endswith("check that it runs and answers at 127.0.0.1:1.")
    assert "s3cret" not in said.err


def test_missing_database_is_told(cli: Cli, server: Database):
    message = refused(cli("db", "upgrade", env=on(server.url + "_gone")), 7, kind="database_refused")
    assert message.startswith(f"There is no database '{server.name}_gone' at 127.0.0.1:{server.port}; make it")


def test_wrong_user_is_told(cli: Cli, server: Database):
    stranger = server.url.replace(f"{server.user}:", "nobody_of_ours:s3cret")
    said = cli("db", "upgrade", env=on(stranger))
    assert "refuses the user 'nobody_of_ours'" in refused(said, 7, kind="database_refused")
    assert "s3cret" not in said.err


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (
            "postgres//ann@h/n",
            "DATABASE_URL cannot be used: it begins with no database that FlowForge knows; write postgresql+psycopg://",
        ),
        ("mysql+aiomysql://ann:s3cret@h", "DATABASE_URL cannot be used: it names no database"),
        ("postgresql://ann:s3cret@h:port/n", "DATABASE_URL cannot be used: its host or port cannot be read"),
    ],
)
def test_wrong_url_is_told_and_not_shown(cli: Cli, url: str, reason: str):
    for command in (("db", "upgrade"), ("runs", "list")):
        said = cli(*command, env=on(url))
        assert refused(said, 2, kind="setting_invalid").startswith(reason)
        assert "s3cret" not in said.err


def test_wrong_url_of_the_replica_is_told(cli: Cli, server: Database):
    said = cli("runs", "list", env=on(server.url, FLOWFORGE_DATABASE_READ_URL="redis://h"))
    assert refused(said, 2, kind="setting_invalid").startswith("DATABASE_READ_URL cannot be used")


@pytest.mark.usefixtures("forgotten_drivers")
@pytest.mark.parametrize(
    ("url", "module", "extra"),
    [("postgresql://ann@127.0.0.1/n", "psycopg", "postgres"), ("mysql://ann@127.0.0.1/n", "pymysql", "mysql")],
)
def test_missing_driver_is_told(cli: Cli, url: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    message = refused(cli("db", "check", env=on(url)), 7, kind="not_installed")
    assert message.endswith(f"is not installed: `pip install 'flowforge[{extra}]'`.")
