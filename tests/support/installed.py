"""FlowForge as a person has it: a data folder, the real operations and services; an engine in this process, or commands in their own."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

import orjson
from tests.architecture.sources import REPOSITORY

from flowforge.engine.births import StartRequest
from flowforge.engine.executor import Engine, Started
from flowforge.engine.executor.settling import settle
from flowforge.engine.store import NewMail
from flowforge.entrypoints.cli.starting import pin_target
from flowforge.entrypoints.running import open_engine
from flowforge.entrypoints.wiring import Installation, open_installation
from flowforge.kit.border import encode
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.kit.masking import Masker
from flowforge.kit.settings_source import load_settings
from flowforge.kit.values import JsonObject, JsonValue

EXAMPLES: Final = REPOSITORY / "examples"
BIN: Final = Path(sys.executable).parent
COMMAND_S: Final = 25


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that has ended, or stands still (`waiting`, with no output)."""

    run_id: str
    status: str
    events: list[JsonObject]

    @property
    def output(self) -> JsonValue:
        return self.events[-1].get("output")

    @property
    def error(self) -> JsonObject:
        return cast("JsonObject", self.events[-1]["error"])

    def of(self, kind: str) -> list[JsonObject]:
        return [event for event in self.events if event["type"] == kind]

    def steps(self, kind: str = "step.completed") -> list[JsonValue]:
        """The keys of steps with an event of this kind, in order."""
        return [event["step"] for event in self.of(kind)]


@dataclass(frozen=True, slots=True)
class Installed:
    """An engine on a data folder of its own."""

    installation: Installation
    engine: Engine

    @property
    def work(self) -> Path:
        """The file root of workflows."""
        return self.installation.folder.work

    async def start(self, workflow: Path | str, value: JsonValue = None) -> Started:
        pinned = await pin_target(self.installation, str(workflow), None)
        request = StartRequest(
            workspace_id=DEFAULT_WORKSPACE_ID,
            workflow=pinned.version,
            input={} if value is None else value,
            actor="user:tester",
            trigger={"kind": "manual"},
        )
        return await self.engine.start(request)

    async def finish(self, started: Started, patience_ms: int | None = 20_000) -> Ended:
        """Waits until the run ends or stands still: for a signal, or for a time beyond the patience (None: any time is waited for)."""
        status = await settle(self.engine, started.run_no, patience_ms)
        rows = await self.engine.committer.call(self.engine.store.load, started.run_no)
        return Ended(started.run_id, status, [event for row in rows for event in orjson.loads(row.body)])

    async def run(self, workflow: Path | str, value: JsonValue = None) -> Ended:
        return await self.finish(await self.start(workflow, value))

    async def signal(self, started: Started, name: str, key: str, payload: JsonValue) -> None:
        body: JsonObject = {"name": name, "key": key, "payload": payload}
        await self.engine.deliver(NewMail(started.run_no, "signal", encode(body), "user:tester"))


@asynccontextmanager
async def open_installed(folder: Path, **settings: str) -> AsyncGenerator[Installed]:
    """`settings` by their names without the prefix (`EGRESS_ALLOW`)."""
    environment = {f"FLOWFORGE_{name}": value for name, value in settings.items()}
    installation = open_installation(load_settings(environment, data=folder / "data"))
    masker = Masker()
    try:
        async with open_engine(installation, name="test", takes_all=True, grace_ms=1_000, masker=masker) as engine:
            yield Installed(installation, engine)
    finally:
        await installation.aclose()


@dataclass(frozen=True, slots=True)
class Shell:
    """Commands on one data folder, each in a process of its own. `settings` as above."""

    folder: Path
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    cwd: Path = EXAMPLES
    python_path: str = ""

    def call(self, *arguments: str, exit_code: int = 0) -> list[JsonObject]:
        """The JSON lines of a command that ends with this exit code."""
        done = subprocess.run(
            [BIN / "flowforge", *arguments],
            cwd=self.cwd,
            env=self._env(),
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
        assert done.returncode == exit_code, done.stdout[-2_000:] + done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def begin(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A command that goes on; the caller ends it. What it says is in `stderr.txt`."""
        with (self.folder / "stderr.txt").open("wb") as errors:
            return subprocess.Popen(
                [BIN / "flowforge", *arguments], cwd=self.cwd, env=self._env(), stdout=subprocess.DEVNULL, stderr=errors
            )

    def _env(self) -> dict[str, str]:
        own = {f"FLOWFORGE_{name}": value for name, value in self.settings.items()}
        place = {"HOME": str(self.folder), "FLOWFORGE_DATA": str(self.folder / "data"), "PYTHONPATH": self.python_path}
        return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **place, **own}
