"""`flowforge export` and `flowforge import`."""

import json
import sqlite3
from pathlib import Path

from tests.entrypoints.cli.conftest import Cli, WriteWorkflow

TRIGGERED = "triggers: [{id: ask, uses: form}]\nsteps: [{id: a, uses: flow.set, with: {values: {a: 1}}}]\n"


def test_configuration_goes_from_one_folder_to_another(cli: Cli, write_workflow: WriteWorkflow, tmp_path: Path):
    cli.ok("workflows", "push", write_workflow("order", TRIGGERED), "--publish")
    told = cli.ok("export", "--output", "all.json").row
    assert told["workflows"] == ["order"]
    other = Cli(tmp_path / "other")
    action = {"kind": "workflow", "name": "order", "action": "create", "message": ""}
    assert other.ok("import", "all.json", "--dry-run").rows == [action]
    assert other.ok("workflows", "list").rows == []
    assert other.ok("import", "all.json").rows == [action]
    assert other.ok("workflows", "show", "order").row["version"] == 1
    assert other.ok("import", "-", stdin=cli.ok("export", "order").out).rows == [action | {"action": "same"}]
    with sqlite3.connect(tmp_path / "other" / "flowforge.db") as database:
        assert database.execute("SELECT workflow, key FROM triggers").fetchall() == [("order", "ask")]
        assert database.execute("SELECT action, actor FROM audit_rows ORDER BY no").fetchall() == [
            ("configuration.imported", "user:local"),
            ("configuration.imported", "user:local"),
        ]
    database.close()


def test_contradiction_is_an_error_unless_it_is_left_out(cli: Cli, write_workflow: WriteWorkflow, tmp_path: Path):
    cli.ok("workflows", "push", write_workflow("order", TRIGGERED), "--publish")
    cli.ok("export", "-o", "all.json")
    other = Cli(tmp_path / "other")
    other.ok("workflows", "push", write_workflow("order", TRIGGERED.replace("a: 1", "a: 2")), "--publish")
    refused = other("import", "all.json")
    assert (refused.code, refused.error["code"]) == (6, "CONFLICT")
    assert other.ok("import", "all.json", "--skip-conflicts").row["action"] == "conflict"


def test_other_file_is_refused(cli: Cli):
    for text in ("", "{", "[]", json.dumps({"format": "other"}), json.dumps({"workflows": [{"name": "No"}]})):
        assert cli("import", "-", stdin=text).code == 2
    assert cli("import", "missing.json").code == 2
    assert cli("export", "nobody").code == 4
