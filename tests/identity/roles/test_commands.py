"""`flowforge roles` and `flowforge access`."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from tests.entrypoints.cli.conftest import Cli
from tests.support.people import make_person

from flowforge.entrypoints.wiring import open_installation
from flowforge.kit.database.session import Database
from flowforge.kit.settings import Settings


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path / "data")


def do(cli: Cli, *emails: str) -> None:
    """Puts people into the data folder."""
    installation = open_installation(Settings(data=cli.data))

    async def work(database: Database) -> None:
        for email in emails:
            await make_person(database, email=email)
        await installation.aclose()

    run(work(installation.database))


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def test_a_role_is_given_explained_and_taken(cli: Cli):
    do(cli, "ann@example.com", "bob@example.com")
    assert cli("access", "explain", "ann@example.com", "workflow:start").code == 1
    cli.ok("roles", "give", "ann@example.com", "operator")
    cli.ok("roles", "give", "ann@example.com", "operator")
    told = cli.ok("access", "explain", "Ann@example.com", "workflow:start").rows
    assert [(row["effect"], row["role"], row["scope"]) for row in told] == [("allow", "operator", "installation")]
    assert [row["email"] for row in cli.ok("access", "who-can", "workflow:start").rows] == ["ann@example.com"]
    assert len(cli.ok("roles", "given", "--to", "ann@example.com").rows) == 1
    cli.ok("roles", "take", "ann@example.com", "operator")
    assert cli.ok("access", "who-can", "workflow:start").rows == []


def test_the_last_owner_stays_one(cli: Cli):
    do(cli, "ann@example.com")
    cli.ok("roles", "give", "ann@example.com", "owner")
    said = cli("roles", "take", "ann@example.com", "owner")
    assert (said.code, said.error["code"]) == (6, "CONFLICT")


def test_roles_are_listed_and_shown(cli: Cli):
    assert [row["name"] for row in cli.ok("roles", "list").rows][:3] == ["viewer", "requester", "approver"]
    assert {"permission": "workflow:publish"} in cli.ok("roles", "show", "builder").rows


def test_a_role_of_a_workspace_holds_there(cli: Cli):
    do(cli, "ann@example.com")
    cli.ok("roles", "give", "ann@example.com", "builder", "--in", "default")
    assert cli("access", "explain", "ann@example.com", "workflow:publish", "--in", "default").code == 0
    cli.ok("roles", "take", "ann@example.com", "builder", "--in", "default")
    assert [row["action"] for row in cli.ok("audit", "list").rows] == ["role.unassigned", "role.assigned"]
    assert cli("roles", "give", "ann@example.com", "builder", "--in", "nowhere").code == 4


@pytest.mark.parametrize(
    "said",
    [
        ("roles", "give", "nobody@example.com", "owner"),
        ("roles", "show", "emperor"),
        ("access", "explain", "usr_" + "1" * 26, "run:read"),
    ],
)
def test_what_is_not_there_is_said(said: tuple[str, ...], cli: Cli):
    assert cli(*said).code == 4


def test_an_unknown_permission_is_refused(cli: Cli):
    assert cli("access", "who-can", "workflow:fly").code == 2
