"""The sample that `flowforge up` runs on a new data folder."""

import json
from pathlib import Path

import pytest
from tests.support.installed import Shell

import flowforge.entrypoints
from flowforge.kit.values import JsonObject

SAMPLE = Path(flowforge.entrypoints.__file__).parent / "samples" / "purchase-orders.yaml"


@pytest.mark.slow(60)
def test_up_runs_the_sample_to_its_end_on_a_new_data_folder_and_only_there(tmp_path: Path):
    shell = Shell(tmp_path)
    result = shell.call("up", "--once")[-1]
    assert (result["status"], result["output"]) == ("completed", {"orders": 5, "large": 1, "report": "purchase-orders.json"})
    report = json.loads((tmp_path / "data" / "work" / "purchase-orders.json").read_text("utf-8"))
    assert {row["customer"]: row["turnover"] for row in report["customers"]}["Northwind"] == 1915.25
    assert len({receipt["receipt"] for receipt in report["receipts"]}) == 5
    assert shell.call("up", "--once") == []
    assert [run["workflow"] for run in shell.call("runs", "list")] == ["purchase-orders"]


@pytest.mark.slow(60)
def test_the_sample_takes_another_input(tmp_path: Path):
    orders: list[JsonObject] = [{"id": "B-1", "customer": "Pine Street Bakery", "amount": 1}]
    result = Shell(tmp_path).call("run", str(SAMPLE), "--input", json.dumps({"orders": orders}))[-1]
    assert result["output"] == {"orders": 1, "large": 0, "report": "purchase-orders.json"}
