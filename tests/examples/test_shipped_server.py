"""The commands in the examples' READMEs, against the little server that is shipped with them."""

import shutil
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from tests.support.installed import EXAMPLES, Shell


@pytest.fixture
def url() -> Generator[str]:
    command = [sys.executable, "server.py", "--port", "0", "--fail", "0.3"]
    with subprocess.Popen(command, cwd=EXAMPLES, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[0]
        finally:
            process.terminate()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The examples, where they may be written to."""
    return shutil.copytree(EXAMPLES, tmp_path / "examples")


@pytest.mark.slow(60)
def test_countries_are_told_to_the_shipped_server(url: str, folder: Path, tmp_path: Path):
    settings = {"EGRESS_ALLOW": url.removeprefix("http://"), "FILE_ROOTS": "work=."}
    shell = Shell(tmp_path, settings, cwd=folder / "countries")
    result = shell.call("run", "countries.yaml", "--set", f"service={url}")[-1]
    assert result["output"] == {"countries": 12, "regions": 5, "report": "report.json"}
    assert (folder / "countries" / "report.json").exists()


@pytest.mark.slow(60)
def test_orders_go_to_the_shipped_server_and_a_declined_one_is_undone(url: str, folder: Path, tmp_path: Path):
    shell = Shell(tmp_path, {"EGRESS_ALLOW": url.removeprefix("http://")}, cwd=folder / "order-intake")
    order = ("run", "order-intake.yaml", "--set", f"shop={url}", "--input")
    taken = shell.call(*order, "@order.json")[-1]
    assert taken["output"] == {"reservations": ["r-1", "r-2", "r-3"], "receipt": "c-1"}
    declined = shell.call(*order, "@order-too-large.json", exit_code=1)[-1]
    effects = shell.call("runs", "effects", str(declined["run_id"]))
    undone = [str(effect["iteration"]) for effect in effects if str(effect["iteration"]).startswith("~undo")]
    assert undone == ["~undo/items.2", "~undo/items.1", "~undo/items.0"]
    assert {str(effect["state"]) for effect in effects if effect["step"] != "charge"} == {"confirmed"}
