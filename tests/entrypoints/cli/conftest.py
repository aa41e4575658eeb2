import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
from typer.testing import CliRunner

from flowforge.entrypoints.cli.app import app
from flowforge.entrypoints.wiring import open_installation
from flowforge.kit.settings import Settings
from flowforge.kit.values import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class Said:
    """What one call of the command said."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[JsonObject]:
        """The JSON lines on stdout."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def row(self) -> JsonObject:
        """The one JSON line on stdout."""
        (row,) = self.rows
        return row

    @property
    def error(self) -> JsonObject:
        """The error object on stderr."""
        return cast("JsonObject", json.loads(self.err.splitlines()[-1])["error"])


class Cli:
    """Calls `flowforge` in this process, on a data folder of its own."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self._runner = CliRunner()

    def __call__(self, *args: str, stdin: str = "", env: dict[str, str] | None = None) -> Said:
        result = self._runner.invoke(app, ["--data", str(self.data), *args], input=stdin, env=env)
        return Said(result.exit_code, result.stdout, result.stderr)

    def ok(self, *args: str, stdin: str = "") -> Said:
        """A call that must succeed."""
        said = self(*args, stdin=stdin)
        assert said.code == 0, f"{args}: {said}"
        return said

    def list_audited(self) -> list[tuple[JsonValue, ...]]:
        """What the audit log tells, oldest first: action, entity, id, before, after. It is all of the local user."""
        rows = self.ok("audit", "list", "--limit", "200").rows[::-1]
        assert all(row["actor"] == "user:local" for row in rows)
        return [tuple(row[name] for name in ("action", "entity", "entity_id", "before", "after")) for row in rows]

    def start(self, *args: str, stdin: str = "") -> tuple[int, JsonObject]:
        """Runs quietly; the exit code and the result."""
        said = self("run", *args, "--quiet", "--json", stdin=stdin)
        assert said.out, said
        return said.code, said.row


@pytest.fixture(scope="session")
def empty_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with an up-to-date database, to be copied: migrating takes half a second."""
    folder = tmp_path_factory.mktemp("template") / "data"
    open_installation(Settings(data=folder)).close()
    return folder


@pytest.fixture
def cli(empty_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    shutil.copytree(empty_data, tmp_path / "data")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return Cli(tmp_path / "data")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands take stdout for a terminal."""
    monkeypatch.setattr("flowforge.entrypoints.cli.frame.is_stdout_terminal", lambda: True)


WriteWorkflow = Callable[[str, Sequence[str] | str], str]


@pytest.fixture
def write_workflow(tmp_path: Path) -> WriteWorkflow:
    """Writes a workflow file from its steps (and what else the document has); its name."""

    def write(name: str, lines: Sequence[str] | str) -> str:
        text = lines if isinstance(lines, str) else "\n".join(lines)
        path = tmp_path / f"{name}.yaml"
        path.write_text(f"flowforge: 1\nname: {name}\n{text}\n")
        return str(path)

    return write


HELLO = """\
input:
  type: object
  properties: {who: {type: string, default: world}}
steps:
  - id: greet
    uses: flow.set
    with: {values: {text: "Hello ${{ input.who }}"}}
output: "${{ steps.greet.output.text }}"
"""
ASKS = """\
steps:
  - id: go
    uses: flow.wait
    with: {signal: go}
  - id: read
    uses: file.read
    with: {path: nothing.txt}
    on_error: ask
output: {go: "${{ steps.go.output }}", read: "${{ steps.read.output }}"}
"""


@pytest.fixture
def hello(write_workflow: WriteWorkflow) -> str:
    return write_workflow("hello", HELLO)


@pytest.fixture
def asks(write_workflow: WriteWorkflow) -> str:
    """Waits for the signal `go`, then fails and asks a person."""
    return write_workflow("asks", ASKS)
