"""The commands in the examples' READMEs, against the little server that is shipped with them."""

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


@pytest.mark.slow(60)
def test_countries_and_orders_run_against_the_shipped_server(url: str, tmp_path: Path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "countries.csv").write_bytes((EXAMPLES / "countries" / "countries.csv").read_bytes())
    settings = {"EGRESS_ALLOW": url.removeprefix("http://"), "FILE_ROOTS": f"work={tmp_path / 'work'}"}
    shell = Shell(tmp_path, settings)
    countries = shell.call("run", "countries/countries.yaml", "--set", f"service={url}")[-1]
    assert countries["output"] == {"countries": 12, "regions": 5, "report": "report.json"}
    order = ("run", "order-intake/order-intake.yaml", "--set", f"shop={url}", "--input")
    taken = shell.call(*order, "@order-intake/order.json")[-1]
    assert taken["output"] == {"reservations": ["r-1", "r-2", "r-3"], "receipt": "c-1"}
    declined = shell.call(*order, "@order-intake/order-too-large.json", exit_code=1)[-1]
    effects = shell.call("runs", "effects", str(declined["run_id"]))
    undone = [str(effect["iteration"]) for effect in effects if str(effect["iteration"]).startswith("~undo")]
    assert undone == ["~undo/items.2", "~undo/items.1", "~undo/items.0"]
    assert {str(effect["state"]) for effect in effects if effect["step"] != "charge"} == {"confirmed"}
