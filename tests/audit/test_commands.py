"""`flowforge audit`, as a person calls it."""

import asyncio
import json
from pathlib import Path

import pytest
from tests.audit.logbook import sign, write
from tests.entrypoints.cli.conftest import Cli

from flowforge.entrypoints.wiring import open_installation
from flowforge.kit.database.session import open_sessions
from flowforge.kit.database.url import name_sqlite
from flowforge.kit.folder import open_data_folder
from flowforge.kit.settings import Settings
from flowforge.kit.signing import SigningKeys, open_signing


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """A data folder whose log has three rows, two of them signed."""
    monkeypatch.chdir(tmp_path)
    settings = Settings(data=tmp_path / "data")
    open_installation(settings).close()
    asyncio.run(fill(settings))
    return Cli(tmp_path / "data")


def find_keys(data: Path) -> SigningKeys:
    return open_signing(Settings(data=data), open_data_folder(data))


async def fill(settings: Settings) -> None:
    database = open_sessions(name_sqlite(settings.data / "flowforge.db"))
    await write(database, 2)
    await sign(database, find_keys(settings.data))
    await write(database)
    await database.close()


def test_rows_and_checkpoints_are_listed(cli: Cli):
    assert [row["no"] for row in cli.ok("audit", "list").rows] == [3, 2, 1]
    assert [row["no"] for row in cli.ok("audit", "list", "--id", "thing_1", "--action", "thing.").rows] == [2]
    assert cli.ok("audit", "list", "--actor", "user:nobody").out == ""
    assert [row["no"] for row in cli.ok("audit", "checkpoints").rows] == [2]


def test_an_export_is_verified_without_the_data_folder(cli: Cli, tmp_path: Path):
    cli.ok("audit", "export", "log.jsonl")
    (jwk,) = find_keys(cli.data).list_public_jwks()
    (tmp_path / "key.json").write_text(json.dumps({"keys": [jwk]}))
    elsewhere = Cli(tmp_path / "nowhere")
    for key in ("key.json", json.dumps(jwk)):
        told = elsewhere.ok("audit", "verify", "log.jsonl", "--key", key).row
        assert (told["valid"], told["checked"], told["signed_up_to"]) == (True, 3, 2)
    assert not elsewhere.data.exists()


def test_a_changed_export_names_the_row_and_fails(cli: Cli, tmp_path: Path):
    cli.ok("audit", "export", "log.jsonl")
    text = (tmp_path / "log.jsonl").read_text()
    (tmp_path / "log.jsonl").write_text(text.replace("thing_1", "thing_9"))
    said = cli("audit", "verify", "log.jsonl")
    assert said.code == 1
    assert (said.row["valid"], said.row["first_bad"], said.row["reason"]) == (False, 2, "changed")


def test_another_key_does_not_prove_it(cli: Cli):
    cli.ok("audit", "export", "log.jsonl")
    (jwk,) = SigningKeys(b"x" * 32).list_public_jwks()
    said = cli("audit", "verify", "log.jsonl", "--key", json.dumps(jwk))
    assert (said.code, said.row["reason"]) == (1, "key_unknown")


def test_the_data_folder_is_verified_where_no_file_is_named(cli: Cli):
    assert cli.ok("audit", "verify").row["valid"] is True


def test_a_table_is_written(cli: Cli, tmp_path: Path):
    cli.ok("audit", "export", "log.csv", "--csv")
    assert (tmp_path / "log.csv").read_text().startswith("no,time,workspace_id,action")
    said = cli("audit", "verify", "log.csv")
    assert (said.code, said.error["code"]) == (2, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("audit", "verify", "missing.jsonl"), 2),
        (("audit", "verify", "--key", "{}"), 2),
        (("audit", "export", "data"), 2),
        (("audit", "export", "nowhere/log"), 7),
    ],
)
def test_what_cannot_be_done_says_so(cli: Cli, command: tuple[str, ...], code: int):
    assert cli(*command).code == code
