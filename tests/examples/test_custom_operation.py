"""The example `custom-operation`: somebody else's package, installed beside FlowForge."""

import json
import tomllib
from pathlib import Path

import pytest
from tests.support.installed import EXAMPLES, Shell

FOLDER = EXAMPLES / "custom-operation"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Commands that find the package where an installer would have put it: its module, and what its pyproject.toml says of it."""
    project = tomllib.loads((FOLDER / "pyproject.toml").read_text("utf-8"))
    facts, wheel = project["project"], project["tool"]["hatch"]["build"]["targets"]["wheel"]
    site = tmp_path / "site"
    place = site / f"{facts['name'].replace('-', '_')}-{facts['version']}.dist-info"
    place.mkdir(parents=True)
    for name in wheel["only-include"]:
        (site / name).write_bytes((FOLDER / name).read_bytes())
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {facts['name']}\nVersion: {facts['version']}\n")
    lines = [
        line
        for group, points in facts["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {module}" for name, module in points.items()))
    ]
    (place / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return Shell(tmp_path, cwd=FOLDER, python_path=str(site))


@pytest.mark.slow(60)
def test_the_operation_is_a_step_and_a_function(shell: Shell):
    result = shell.call("run", "payees.yaml", "--input", "@payees.json")[-1]
    assert result["output"] == {
        "accounts": [
            {"name": "Ada", "is_valid": True},
            {"name": "Grace", "is_valid": True},
            {"name": "Mallory", "is_valid": False},
            None,
        ],
        "countries": ["GB", "DE", "DE"],
    }


@pytest.mark.slow(60)
def test_the_operation_has_reference_schema_and_call(shell: Shell):
    described = shell.call("operations", "show", "iban.check")[0]
    assert described["package"] == "flowforge-iban"
    for example in json.loads(json.dumps(described["examples"])):
        called = shell.call("operations", "call", "iban.check", "--input", json.dumps(example["parameters"]))
        assert called == [example["result"]]
    failed = shell.call("operations", "call", "iban.check", "--set", "text=unknown", exit_code=1)
    assert failed == []


def test_without_the_package_the_workflow_is_refused(tmp_path: Path):
    told = Shell(tmp_path, cwd=FOLDER).call("validate", "payees.yaml", exit_code=1)[0]
    errors = json.loads(json.dumps(told["errors"]))
    assert "kind_unknown" in {error["code"] for error in errors}
