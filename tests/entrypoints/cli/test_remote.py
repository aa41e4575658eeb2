"""The command line on a server: `--url`."""

import json
from collections.abc import Callable, Generator
from inspect import signature
from pathlib import Path

import pytest
import typer
from tests.entrypoints.cli.conftest import Cli, Said
from tests.support.real_server import EMAIL, RealServer, run_server
from typer.testing import CliRunner

from flowforge.entrypoints.cli.app import RootGroup, app, hoist_global_options
from flowforge.entrypoints.cli.lazy import LazyCommand
from flowforge.entrypoints.cli.logins import Login, store_login
from flowforge.entrypoints.cli.remote.table import REMOTE, find_remote

HELLO = """
flowforge: 1
name: hello
input: {type: object, properties: {who: {type: string}}, required: [who]}
steps:
  - id: greet
    uses: log.write
    with: {message: "hello"}
output: {who: "${{ input.who }}"}
"""
ASKING = """
flowforge: 1
name: asking
steps:
  - id: answer
    uses: flow.wait
    with: {signal: answer}
output: {given: "${{ steps.answer.output }}"}
"""
RemoteCall = Callable[..., Said]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[RealServer]:
    folder = tmp_path_factory.mktemp("server")
    with run_server(folder / "data") as running:
        for file, document in (("hello.yaml", HELLO), ("asking.yaml", ASKING)):
            (folder / file).write_text(document)
            words = ["--url", running.url, "--token", running.key, "workflows", "push", str(folder / file), "--publish"]
            assert CliRunner().invoke(app, words).exit_code == 0
        yield running


@pytest.fixture
def remote(server: RealServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RemoteCall:
    """Calls `flowforge --url …` in this process; `token` None: without one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for file, document in (("hello.yaml", HELLO), ("asking.yaml", ASKING)):
        (tmp_path / file).write_text(document)

    def call(*words: str, token: str | None = server.key, stdin: str = "", code: int = 0) -> Said:
        proof = [] if token is None else ["--token", token]
        result = CliRunner().invoke(app, ["--url", server.url, *proof, *words], input=stdin)
        said = Said(result.exit_code, result.stdout, result.stderr)
        assert said.code == code, said
        return said

    return call


def test_a_workflow_runs_on_the_server_as_it_does_here(remote: RemoteCall, cli: Cli):
    Path("hello.yaml").write_text(HELLO)
    here = cli.ok("run", "hello.yaml", "--set", "who=ann", "--quiet", "--json").row
    there = remote("run", "hello", "--set", "who=ann", "--quiet", "--json").row
    assert {**there, "run_id": ""} == {**here, "run_id": ""}
    rows = remote("run", "hello.yaml", "--set", "who=ann").rows
    assert [rows[0]["type"], rows[-2]["type"], rows[-1]["type"]] == ["run.started", "run.finished", "result"]


def test_a_run_is_started_only_and_looked_at(remote: RemoteCall):
    run_id = str(remote("run", "hello", "--set", "who=bob", "--detach", "--label", "kind=detached").row["run_id"])
    assert remote("runs", "watch", run_id, "--quiet").row["status"] == "completed"
    shown = remote("runs", "show", run_id).row
    assert (shown["status"], shown["output"], shown["workflow"]) == ("completed", {"who": "bob"}, "hello")
    assert remote("runs", "list", "--label", "kind=detached", "--workflow", "hello").row["id"] == run_id
    assert [row["type"] for row in remote("runs", "events", run_id).rows][-1] == "run.finished"
    assert remote("runs", "logs", run_id).row["message"] == "hello"
    assert remote("runs", "effects", run_id).row["operation"] == "log.write"
    assert "completed" in str(remote("runs", "why", run_id).row["sentence"])
    assert json.loads(remote("runs", "export", run_id).out)


def test_the_same_key_gives_the_same_run(remote: RemoteCall):
    first = remote("run", "hello", "--set", "who=a", "--idempotency-key", "k1", "--detach").row
    assert remote("run", "hello", "--set", "who=a", "--idempotency-key", "k1", "--detach").row == first
    remote("run", "hello", "--set", "who=b", "--idempotency-key", "k1", "--detach", code=6)


def test_a_run_that_waits_leaves_with_3_and_is_signalled(remote: RemoteCall):
    waiting = remote("run", "asking", "--quiet", code=3).row
    run_id = str(waiting["run_id"])
    assert waiting["status"] == "waiting"
    assert remote("runs", "pause", run_id).row == {"run_id": run_id, "sent": "pause"}
    assert remote("runs", "resume", run_id).row["sent"] == "resume"
    assert remote("runs", "signal", run_id, "answer", "--payload", '{"is": 42}').row["sent"] == "signal"
    assert remote("runs", "watch", run_id, "--quiet").row["output"] == {"given": {"is": 42}}
    remote("runs", "retry", run_id, "answer", code=6)


def test_a_run_that_was_cancelled_leaves_with_1(remote: RemoteCall):
    run_id = str(remote("run", "asking", "--detach").row["run_id"])
    remote("runs", "cancel", run_id, "--reason", "enough")
    assert remote("runs", "watch", run_id, "--quiet", code=1).row["status"] == "cancelled"


def test_workflows_are_pushed_published_and_compared(remote: RemoteCall):
    Path("changing.yaml").write_text(HELLO.replace("name: hello", "name: changing"))
    assert remote("workflows", "push", "changing.yaml").row["created"] is True
    assert remote("workflows", "push", "changing.yaml").row["changed"] is False
    assert remote("workflows", "publish", "changing", "--note", "first").row["version"] == 1
    Path("changing.yaml").write_text(HELLO.replace("name: hello", "name: changing").replace('"hello"', '"hi"'))
    assert remote("workflows", "push", "changing.yaml", "--publish").rows[-1]["version"] == 2
    assert [row["version"] for row in remote("workflows", "versions", "changing").rows] == [2, 1]
    assert "hi" in str(remote("workflows", "diff", "changing", "1", "2").row["text"])
    assert "changing" in [row["name"] for row in remote("workflows", "list").rows]
    assert '"hi"' in remote("workflows", "export", "changing").out
    assert remote("workflows", "show", "changing").row["version"] == 2
    assert "mermaid" in remote("workflows", "docs", "changing").out
    remote("workflows", "delete", "changing")
    remote("workflows", "publish", "changing", code=4)
    assert remote("workflows", "restore", "changing").row["deleted_at"] is None


def test_faults_of_a_document_are_all_told_with_their_places(remote: RemoteCall):
    Path("bad.yaml").write_text("flowforge: 1\nname: bad\nsteps:\n  - id: a\n    uses: nothing.here\n")
    (told,) = remote("validate", "bad.yaml", code=1).rows
    assert (told["valid"], told["errors"][0]["line"]) == (False, 5)  # type: ignore[index]
    assert remote("workflows", "push", "bad.yaml", code=2).error["code"] == "VALIDATION_ERROR"
    assert remote("validate", "hello.yaml").row["valid"] is True


def test_secrets_variables_and_operations(remote: RemoteCall):
    remote("secrets", "set", "SHOP_TOKEN", stdin="hidden\n")
    assert [row["name"] for row in remote("secrets", "list").rows] == ["SHOP_TOKEN"]
    remote("secrets", "delete", "SHOP_TOKEN")
    assert remote("variables", "set", "SHOP", '{"a": 1}').row["value"] == {"a": 1}
    assert remote("variables", "list").row["name"] == "SHOP"
    remote("variables", "delete", "SHOP")
    assert "hash" in remote("operations", "call", "crypto.hash", "--set", "data=x").row
    assert remote("operations", "show", "crypto.hash").row["name"] == "crypto.hash"
    assert "crypto.hash" in [row["name"] for row in remote("operations", "list").rows]
    remote("operations", "call", "crypto.hash", "--set", "nothing=x", code=2)
    assert remote("operations", "test", "crypto.hash", "--set", "data=x").row == {"valid": True, "errors": []}
    assert remote("operations", "test", "crypto.hash", "--set", "nothing=x", code=1).row["valid"] is False


def test_who_works_and_what_waits(remote: RemoteCall):
    assert remote("workers").rows[0]["state"] == "alive"
    assert remote("queues").rows == []
    assert remote("dead-letters", "list").rows == []
    assert remote("triggers", "list").rows == []
    assert "webhook" in [row["name"] for row in remote("triggers", "types").rows]


def test_triggers_are_attached_fired_changed_and_taken_away(remote: RemoteCall):
    made = remote(
        "triggers", "create", "hello", "webhook", "--set", "path=cli", "--set", "auth=none", "--input", '{"who": "x"}'
    ).row
    trigger_id = str(made["id"])
    assert remote("triggers", "test", trigger_id).row["configuration_valid"] is True
    run_id = str(remote("triggers", "fire", trigger_id, "--payload", '{"a": 1}').row["run_id"])
    assert remote("runs", "watch", run_id, "--quiet").row["output"] == {"who": "x"}
    assert remote("triggers", "stats", trigger_id).row["successful"] == 1
    remote("triggers", "pause", trigger_id)
    assert remote("triggers", "run", trigger_id).row["run"] == 0
    assert remote("triggers", "change", trigger_id, "--set", "path=other").row["id"] == trigger_id
    assert remote("triggers", "show", trigger_id).row["with"]["path"] == "other"  # type: ignore[index, call-overload]
    remote("triggers", "delete", trigger_id)
    remote("triggers", "show", trigger_id, code=4)


def test_a_run_is_changed_explained_and_shown_with_its_relatives(remote: RemoteCall):
    run_id = str(remote("run", "hello", "--set", "who=ann", "--quiet", "--label", "old=1").row["run_id"])
    changed = remote("runs", "change", run_id, "--label", "kind=changed", "--label", "old=", "--subject", "order-1").row
    assert (changed["labels"], changed["subject"]) == ({"kind": "changed"}, "order-1")
    assert remote("runs", "list", "--subject", "order-1").row["id"] == run_id
    remote("runs", "change", run_id, "--priority", "1", code=6)
    assert [row["depth"] for row in remote("runs", "tree", run_id).rows] == [0]
    assert remote("runs", "diagnose", run_id).row["failing_step"] is None


def test_rights_are_given_explained_and_taken(remote: RemoteCall):
    remote("users", "create", "eve@example.com")
    assert remote("users", "show", "eve@example.com").row["status"] == "active"
    assert remote("roles", "give", "eve@example.com", "operator").row["role"] == "operator"
    assert remote("roles", "given", "--to", "eve@example.com").row["role"] == "operator"
    assert remote("access", "explain", "eve@example.com", "run:operate").rows[0]["effect"] == "allow"
    assert "eve@example.com" in [row["email"] for row in remote("access", "who-can", "run:operate").rows]
    remote("roles", "take", "eve@example.com", "operator")
    remote("access", "explain", "eve@example.com", "run:operate", code=1)
    assert {"permission": "run:read"} in remote("roles", "show", "viewer").rows
    assert "viewer" in [row["name"] for row in remote("roles", "list").rows]
    remote("users", "sign-out", "eve@example.com")
    assert remote("users", "sessions", "eve@example.com").rows == []
    assert remote("users", "delete", "eve@example.com").row["status"] == "deleted"
    assert remote("users", "restore", "eve@example.com").row["email"] == "eve@example.com"
    assert remote("users", "delete", "eve@example.com", "--permanent").row["status"] == "erased"


def test_people_and_the_audit_log(remote: RemoteCall, tmp_path: Path):
    assert remote("users", "list").rows[0]["email"] == EMAIL
    remote("users", "create", "bob@example.com")
    assert remote("users", "disable", "bob@example.com").row["status"] == "disabled"
    assert remote("users", "enable", "bob@example.com").row["status"] == "active"
    assert remote("audit", "list", "--action", "user.disabled").rows[0]["entity"] == "user"
    assert remote("audit", "show", "1").row["no"] == 1
    assert remote("audit", "verify").row["valid"] is True
    remote("audit", "export", "log.jsonl")
    assert remote("audit", "verify", "log.jsonl").row["valid"] is True


@pytest.mark.parametrize(
    ("words", "token", "code"),
    [
        (("runs", "show", "run_00000000000000000000000000"), "key", 4),
        (("runs", "cancel", "run_00000000000000000000000000"), "key", 4),
        (("run", "no-such-workflow"), "key", 4),
        (("secrets", "list"), "reader", 5),
        (("workflows", "list"), "wrong", 5),
        (("workflows", "list"), None, 5),
        (("run", "hello"), "key", 2),
        (("doctor",), "key", 2),
        (("runs", "continue"), "key", 2),
    ],
)
def test_exit_codes_are_those_of_a_data_folder(
    server: RealServer, remote: RemoteCall, words: tuple[str, ...], token: str | None, code: int
):
    known = {"key": server.key, "reader": server.reader, "wrong": "ff_aaaaaaaaa_" + "a" * 43, None: None}
    error = remote(*words, token=known[token], code=code).error
    assert str(error["requestId"]).startswith("req_")


def test_a_server_that_is_not_there_leaves_with_7(remote: RemoteCall, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("flowforge.entrypoints.cli.remote.connection.time.sleep", print)
    result = CliRunner().invoke(app, ["runs", "list", "--url", "http://127.0.0.1:1"])
    assert result.exit_code == 7
    assert "http://127.0.0.1:1 cannot be reached" in result.stderr


def test_what_login_has_stored_proves_who_asks(server: RealServer, remote: RemoteCall, tmp_path: Path):
    store_login(tmp_path / "config" / "flowforge" / "logins.json", server.url, Login(server.key))
    assert remote("workflows", "show", "hello", token=None).row["name"] == "hello"


def test_the_environment_names_the_server_too(server: RealServer, monkeypatch: pytest.MonkeyPatch):
    environ = {"FLOWFORGE_URL": server.url, "FLOWFORGE_TOKEN": server.key, "FLOWFORGE_WORKSPACE": "default"}
    result = CliRunner().invoke(app, ["workflows", "show", "hello"], env=environ)
    assert json.loads(result.stdout)["name"] == "hello"


def test_a_workspace_that_is_not_there_is_refused(remote: RemoteCall):
    assert remote("--workspace", "nowhere", "workflows", "list", code=4).error["requestId"]


@pytest.mark.parametrize("url", ["ftp://x", "flowforge.example.com", "http://flowforge.example.com"])
def test_an_address_that_is_none_or_open_to_all_is_refused(url: str):
    assert CliRunner().invoke(app, ["--url", url, "--token", "x", "runs", "list"]).exit_code == 2


def test_a_token_without_a_server_is_refused():
    assert CliRunner().invoke(app, ["--token", "x", "runs", "list"]).exit_code == 2


def test_the_option_token_of_login_stays_its_own():
    assert hoist_global_options(["login", "https://x", "--token", "-"]) == ["login", "https://x", "--token", "-"]
    assert hoist_global_options(["runs", "list", "--token", "k"]) == ["--token", "k", "runs", "list"]


def _list_commands() -> dict[str, set[str]]:
    """Each command with the names of its options and arguments."""
    found: dict[str, set[str]] = {}
    for name, entry in RootGroup.lazy.items():
        found |= _list_of(name, entry)
    return found


def _list_of(name: str, entry: LazyCommand) -> dict[str, set[str]]:
    commands = RootGroup(name="flowforge").get_command(typer.Context, name)
    leaves = {f"{name} {inner}": command for inner, command in getattr(commands, "commands", {}).items()} or {name: commands}
    return {path: {parameter.name for parameter in leaf.params if parameter.name != "help"} for path, leaf in leaves.items()}


def test_each_remote_form_takes_what_its_command_takes():
    commands = _list_commands()
    for path in REMOTE:
        remote = find_remote(path)
        assert remote is not None
        assert path in commands, path
        assert set(signature(remote).parameters) - {"server"} == commands[path], path
