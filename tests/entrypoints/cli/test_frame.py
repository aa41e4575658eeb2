import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.entrypoints.cli.conftest import Cli

from flowforge import __version__
from flowforge.entrypoints.cli.app import RootGroup, hoist_global_options
from flowforge.entrypoints.cli.codes import ExitCode
from flowforge.entrypoints.cli.failures import exit_code_of
from flowforge.entrypoints.cli.reference import render_cli_reference
from flowforge.kit.errors import (
    AlreadyExistsError,
    ConflictError,
    DependencyError,
    FlowForgeError,
    InvariantError,
    NotFoundError,
    NotInstalledError,
    NotPermittedError,
    RequestError,
    StorageError,
    StorageFullError,
    ValidationError,
)

SRC = Path(__file__).parents[3] / "src"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (RequestError, 2),
        (ValidationError, 2),
        (NotFoundError, 4),
        (NotPermittedError, 5),
        (ConflictError, 6),
        (AlreadyExistsError, 6),
        (NotInstalledError, 6),
        (DependencyError, 7),
        (StorageError, 7),
        (StorageFullError, 7),
        (InvariantError, 70),
        (FlowForgeError, 70),
    ],
)
def test_each_error_has_its_exit_code(kind: type[FlowForgeError], code: int):
    assert exit_code_of(kind("It did not work.")) == code


@pytest.mark.parametrize("args", [["--help"], [], ["run", "--help"], ["runs", "--help"], ["runs", "list", "--help"]])
def test_help_is_no_fault(cli: Cli, args: list[str]):
    said = cli(*args)
    assert (said.code, said.err) == (0, "")
    assert "Usage: flowforge" in said.out


def test_version_is_told(cli: Cli):
    assert cli.ok("--version").out == f"flowforge {__version__}\n"


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["rnus"], "Did you mean 'runs'"),
        (["runs", "lsit"], "Did you mean 'list'"),
        (["run"], "Missing argument"),
        (["run", "x.yaml", "--priority", "10"], "--priority"),
        (["runs", "list", "--nope"], "--nope"),
    ],
)
def test_wrong_usage_is_told_in_a_sentence(cli: Cli, args: list[str], told: str):
    said = cli(*args)
    assert (said.code, said.out) == (2, "")
    assert told in str(said.error["message"])


@pytest.mark.parametrize(
    "args",
    [
        ["operations", "call", "crypto.encode", "--set", "data=a\udcff"],
        ["operations", "call", "crypto.encode", "--input", '{"data": "a\udcff"}'],
        ["operations", "call", "crypto.encode", "--input", '{"data": "\\ud800"}'],
        ["variables", "set", "NAME", "a\udcff"],
    ],
)
def test_text_that_is_no_unicode_is_wrong_usage(cli: Cli, args: list[str]):
    """Bytes of an argument that are no UTF-8 arrive as halves of surrogate pairs."""
    said = cli(*args)
    assert (said.code, said.out, said.error["code"]) == (2, "", "BAD_REQUEST")


def test_group_without_command_shows_its_help(cli: Cli):
    said = cli("runs")
    assert said.code == 2
    assert "Commands:" in said.err


@pytest.mark.usefixtures("terminal")
def test_error_on_a_terminal_is_text_with_the_way_out(cli: Cli):
    said = cli("runs", "lsit")
    assert said.err == "error: No such command 'lsit'. Did you mean 'list'?\nTry `flowforge runs --help`.\n"
    assert cli("runs", "show", "run_1").err.startswith("error: There is no run run_1; `flowforge runs list`")


def test_global_options_may_stand_behind_the_command():
    given = ["runs", "list", "--json", "--data", "/d", "-q", "--limit", "3", "--", "--json"]
    assert hoist_global_options(given) == ["--json", "--data", "/d", "-q", "runs", "list", "--limit", "3", "--", "--json"]
    assert hoist_global_options(["up", "--data=/d"]) == ["--data=/d", "up"]


@pytest.mark.usefixtures("terminal")
def test_json_can_be_asked_for_on_a_terminal(cli: Cli):
    assert cli.ok("db", "check", "--json").row["state"] == "current"
    assert cli("db", "check", env={"FLOWFORGE_JSON": "1"}).row["state"] == "current"
    assert "current" in cli.ok("db", "check").out


def test_quiet_leaves_only_the_result(cli: Cli, hello: str):
    assert len(cli.ok("run", hello).rows) > 1
    assert cli.ok("run", hello, "--quiet").row["type"] == "result"
    assert cli("run", hello, env={"FLOWFORGE_QUIET": "on"}).row["type"] == "result"


def test_unknown_setting_stops_every_command(cli: Cli):
    said = cli("runs", "list", env={"FLOWFORGE_RUN_MAX": "3"})
    assert said.code == 2
    assert "FLOWFORGE_RUN_MAX" in str(said.error["message"])


def test_mistake_of_ours_is_one_sentence_and_its_trace_is_in_the_log(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object, **__: object) -> None:
        raise KeyError("no such thing")

    monkeypatch.setattr("flowforge.entrypoints.cli.commands.settings.describe_settings", fail)
    said = cli("settings")
    assert (said.code, said.out) == (70, "")
    message = str(said.error["message"])
    assert "Traceback" not in said.err
    log = (cli.data / "logs" / "cli.log").read_text()
    assert "KeyError: 'no such thing'" in log
    assert str(said.error["requestId"]) in log
    assert str(said.error["requestId"]) in message


def test_data_folder_that_is_a_file_is_told(cli: Cli, tmp_path: Path):
    (tmp_path / "file").write_text("x")
    said = Cli(tmp_path / "file")("runs", "list")
    assert said.code == 7
    assert said.error["code"] == "SERVICE_UNAVAILABLE"


def test_data_folder_of_a_newer_version_is_told(cli: Cli):
    (cli.data / "VERSION").write_text("99\n")
    said = cli("runs", "list")
    assert said.code == 7
    assert "newer" in str(said.error["message"])


def test_broken_database_is_told_and_left_as_it_is(cli: Cli):
    (cli.data / "flowforge.db").write_bytes(b"not a database at all" * 100)
    before = (cli.data / "flowforge.db").read_bytes()
    for args in (["runs", "list"], ["doctor"]):
        said = cli(*args)
        assert said.code in (1, 7)
        assert "Traceback" not in said.err + said.out
    assert (cli.data / "flowforge.db").read_bytes() == before


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom flowforge.entrypoints.cli.app import main\nsys.argv = ['flowforge', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'sqlalchemy', 'alembic', 'rich', 'pydantic', 'httpx2', 'sqlite3'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_run_of_a_file_imports_neither_tables_nor_the_database_toolkit(cli: Cli, hello: str):
    code = (
        "import sys\nfrom flowforge.entrypoints.cli.app import main\n"
        f"sys.argv = ['flowforge', '--data', {str(cli.data)!r}, 'run', {hello!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'sqlalchemy', 'alembic', 'rich', 'httpx2', 'cryptography'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(("arguments", "exit_code"), [(["--version"], 0), (["nonsense"], 2)])
def test_process_that_has_loaded_obstore_leaves_the_interpreter_standing(arguments: list[str], exit_code: int):
    """Its threads abort a process whose interpreter is taken down meanwhile; what waits for the end has its turn nevertheless."""
    code = (
        "import atexit, sys, types\nfrom flowforge.entrypoints.cli.app import main\n"
        "class TakenDown:\n    def __del__(self): print('taken down')\n"
        "kept = TakenDown()\natexit.register(print, 'at the end')\n"
        f"sys.modules['obstore'] = types.ModuleType('obstore')\nsys.argv = ['flowforge', *{arguments!r}]\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == exit_code, done.stderr
    assert done.stdout.splitlines()[-1] == "at the end"


def test_every_command_has_the_help_line_that_the_table_says():
    for name, entry in RootGroup.lazy.items():
        command = RootGroup(name="flowforge").get_command(None, name)
        assert command.get_short_help_str(limit=500).startswith(entry.help.rstrip(".").split(":")[0]), name


def test_reference_lists_every_command():
    page = render_cli_reference()
    for command in ("run FILE", "runs continue", "workflows publish NAME", "dead-letters redrive ID", "schema", "doctor"):
        assert f"`flowforge {command}" in page
    assert "| 130 | interrupted |" in page
    assert page == render_cli_reference()


def test_shell_completion_knows_commands_and_options():
    def complete(words: str) -> list[str]:
        env = {"_FLOWFORGE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
        code = "import sys; sys.argv=['flowforge']\nfrom flowforge.entrypoints.cli.app import main\nmain()"
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**env, "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        return done.stdout.split()

    assert complete("flowforge ru") == ["run", "runs"]
    assert "continue" in complete("flowforge runs con")
    assert "--patience" in complete("flowforge run --pat")


def test_output_on_stdout_is_json_lines_when_piped(cli: Cli, hello: str):
    command = [sys.executable, "-m", "flowforge.entrypoints.cli.app", "--data", str(cli.data), "run", hello]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == ExitCode.SUCCESS
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["type"], last["status"], last["output"]) == ("result", "completed", "Hello world")
