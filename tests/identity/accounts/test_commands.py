"""`flowforge users`, `keys` and `login`."""

import asyncio
import json
import socket
import stat
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import typer
import uvicorn
from tests.support.accounts_lab import PASSWORD, AccountsLab, open_accounts_lab
from typer.testing import CliRunner, Result

from flowforge.entrypoints.cli.commands import keys, login, users
from flowforge.entrypoints.cli.logins import find_login
from flowforge.kit.errors import FlowForgeError


class Commands:
    """Calls a command on a data folder, for programs (JSON)."""

    def __init__(self, folder: Path, config: Path) -> None:
        self.environ = {"FLOWFORGE_DATA": str(folder), "XDG_CONFIG_HOME": str(config)}

    def call(self, app: typer.Typer, *words: str, stdin: str = "") -> Result:
        return CliRunner().invoke(app, words, input=stdin, env=self.environ)

    def ok(self, app: typer.Typer, *words: str, stdin: str = "") -> list[dict[str, Any]]:
        result = self.call(app, *words, stdin=stdin)
        assert result.exit_code == 0, (words, result.output, result.exception)
        return [json.loads(line) for line in result.stdout.splitlines()]

    def refused(self, app: typer.Typer, *words: str, stdin: str = "") -> FlowForgeError:
        fault = self.call(app, *words, stdin=stdin).exception
        assert isinstance(fault, FlowForgeError), fault
        return fault


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    made = Commands(tmp_path / "data", tmp_path / "config")
    for name, value in made.environ.items():
        monkeypatch.setenv(name, value)
    return made


def test_the_first_owner_of_a_server_is_made_on_its_command_line(commands: Commands):
    (made,) = commands.ok(users.app, "create", "anna@example.com", "--role", "owner")
    assert made["link"].startswith("http://127.0.0.1:0/sign-in#token=")  # the port of tests
    assert made["status"] == "active"
    assert commands.refused(users.app, "create", "ANNA@example.com").code == "ALREADY_EXISTS"
    assert commands.refused(users.app, "create", "no email").code == "VALIDATION_ERROR"
    assert commands.refused(users.app, "create", "bob@example.com", "--role", "emperor").code == "NOT_FOUND"
    assert [row["email"] for row in commands.ok(users.app, "list")] == ["anna@example.com"]
    assert commands.refused(users.app, "disable", "anna@example.com").code == "CONFLICT"


def test_people_are_disabled_and_let_in_again(commands: Commands):
    commands.ok(users.app, "create", "anna@example.com", "--role", "owner")
    commands.ok(users.app, "create", "bob@example.com", "--name", "Bob")
    assert commands.ok(users.app, "disable", "bob@example.com")[0]["status"] == "disabled"
    assert commands.ok(users.app, "enable", "bob@example.com")[0]["status"] == "active"
    assert "#token=" in commands.ok(users.app, "link", "bob@example.com")[0]["link"]
    assert commands.refused(users.app, "link", "nobody@example.com").code == "NOT_FOUND"


def test_keys_are_made_listed_and_revoked(commands: Commands):
    commands.ok(users.app, "create", "anna@example.com", "--role", "owner")
    words = ("create", "deploy", "--user", "anna@example.com", "--permission", "run:read", "--tier", "enterprise")
    (made,) = commands.ok(keys.app, *words)
    assert made["key"].startswith(made["prefix"] + "_")
    (listed,) = commands.ok(keys.app, "list")
    assert (listed["state"], listed["tier"]) == ("good", "enterprise")
    assert "key" not in listed
    assert commands.ok(keys.app, "revoke", made["prefix"])[0]["state"] == "revoked"
    assert commands.ok(keys.app, "list")[0]["state"] == "revoked"
    assert (
        commands.refused(keys.app, "create", "x", "--user", "anna@example.com", "--permission", "fly").code == "VALIDATION_ERROR"
    )
    assert commands.refused(keys.app, "revoke", "ff_123456789").code == "NOT_FOUND"


@contextmanager
def serve(folder: Path) -> Generator[tuple[str, str]]:
    """A server in a thread of its own, with a person in it; its address, and a key of the person."""
    found: list[tuple[str, str]] = []
    is_ready = threading.Event()
    server: list[uvicorn.Server] = []

    async def run() -> None:
        async with open_accounts_lab(folder, settings={"port": 0}) as lab:
            key = await fill(lab)
            with socket.create_server(("127.0.0.1", 0)) as listening:
                server.append(uvicorn.Server(uvicorn.Config(lab.app, log_config=None, lifespan="off")))
                found.append((f"http://127.0.0.1:{listening.getsockname()[1]}", key))
                is_ready.set()
                await server[0].serve([listening])

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        assert is_ready.wait(20)
        yield found[0]
    finally:
        server[0].should_exit = True
        thread.join()


async def fill(lab: AccountsLab) -> str:
    anna = await lab.enter("anna@example.com")
    return await lab.make_key(anna, "run:read")


def test_login_keeps_what_proves_it_where_only_its_user_reads_it(commands: Commands, tmp_path: Path):
    path = tmp_path / "config" / "flowforge" / "logins.json"
    with serve(tmp_path) as (url, key):
        (told,) = commands.ok(login.app, url, "--email", "anna@example.com", stdin=PASSWORD + "\n")
        assert told == {"url": url, "email": "anna@example.com"}
        kept = find_login(path, url)
        assert kept is not None
        assert kept.refresh_token
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert commands.refused(login.app, url, "--email", "anna@example.com", stdin="wrong").code == "FORBIDDEN"
        assert commands.refused(login.app, url, "--token", key[:-1] + "!").code == "FORBIDDEN"
        assert find_login(path, url) == kept
        commands.ok(login.app, url + "/", "--token", "-", stdin=key)
        kept = find_login(path, url)
        assert kept is not None
        assert (kept.token, kept.refresh_token) == (key, None)
        assert key not in commands.call(login.app, url, "--token", key).output


@pytest.mark.parametrize("url", ["ftp://x", "nonsense", "http://example.com", "https://user:pass@example.com", "https://x/?a=b"])
def test_login_sends_no_password_to_odd_or_unsafe_addresses(url: str, commands: Commands):
    assert commands.refused(login.app, url, "--token", "x").code == "BAD_REQUEST"


def test_login_says_that_nobody_answers(commands: Commands):
    assert commands.refused(login.app, "http://127.0.0.1:1", "--token", "x").code == "DEPENDENCY_FAILED"
