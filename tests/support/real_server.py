"""`flowforge up` as a process of its own, with an owner and a key: what a client meets outside."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from typer.testing import CliRunner

from flowforge.entrypoints.cli.app import app
from flowforge.identity.permissions import PERMISSIONS

EMAIL: Final = "ann@example.com"
_START_S: Final = 25.0


@dataclass(frozen=True, slots=True)
class RealServer:
    """`key` may do everything, `reader` reads runs only."""

    url: str
    key: str
    reader: str
    data: Path


@contextmanager
def run_server(data: Path) -> Generator[RealServer]:
    """A server on a new data folder, until the block ends."""
    _call(data, "users", "create", EMAIL, "--role", "owner")
    keys = [_make_key(data, name, permissions) for name, permissions in (("all", sorted(PERMISSIONS)), ("reader", ["run:read"]))]
    command = [sys.executable, "-m", "flowforge.entrypoints.cli.app", "--data", str(data), "--quiet", "up", "--port", "0"]
    log = data.parent / "server.log"
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=os.environ) as process:
        try:
            yield RealServer(_find_url(data, process, log), keys[0], keys[1], data)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _find_url(data: Path, process: "subprocess.Popen[bytes]", log: Path) -> str:
    address = data / "run" / "server.json"
    end_s = time.monotonic() + _START_S
    while process.poll() is None and time.monotonic() < end_s:
        if address.exists() and (text := address.read_text()):
            return str(json.loads(text)["url"])
        time.sleep(0.05)
    raise AssertionError(f"The server did not start: {log.read_text()}")


def _make_key(data: Path, name: str, permissions: list[str]) -> str:
    options = [word for permission in permissions for word in ("--permission", permission)]
    return str(json.loads(_call(data, "keys", "create", name, "--user", EMAIL, *options, "--json"))["key"])


def _call(data: Path, *words: str) -> str:
    result = CliRunner().invoke(app, ["--data", str(data), *words])
    assert result.exit_code == 0, result.output
    return result.stdout
