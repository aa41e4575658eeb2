from pathlib import Path

import pytest
from tests.entrypoints.cli.conftest import ASKS, HELLO, Cli, WriteWorkflow

FAULTY = "steps:\n  - id: go\n    uses: flow.sett\n"


def test_workflow_is_pushed_published_listed_and_run(cli: Cli, hello: str):
    pushed = cli.ok("workflows", "push", hello).row
    assert (pushed["workflow"], pushed["created"], pushed["changed"], pushed["faults"]) == ("hello", True, True, [])
    assert cli.ok("workflows", "list").row["status"] == "draft"
    published = cli.ok("workflows", "publish", "hello", "--note", "first").row
    assert (published["version"], published["note"], published["is_current"]) == (1, "first", True)
    row = cli.ok("workflows", "show", "hello").row
    assert (row["status"], row["version"], row["has_draft"], row["created_by"]) == ("published", 1, False, "user:local")
    code, result = cli.start("hello")
    assert (code, result["output"]) == (0, "Hello world")
    (run,) = cli.ok("runs", "list").rows
    assert (run["id"], run["workflow_id"], run["version"]) == (result["run_id"], row["id"], 1)


def test_run_takes_the_version_that_was_asked_for(cli: Cli, write_workflow: WriteWorkflow):
    for text in ("one", "two"):
        file = write_workflow("order", f"steps: [{{id: a, uses: flow.set, with: {{values: {{a: 1}}}}}}]\noutput: {text}")
        cli.ok("workflows", "push", file, "--publish", "--note", text)
    assert cli.start("order")[1]["output"] == "two"
    assert cli.start("order", "--version", "1")[1]["output"] == "one"
    assert cli("run", "order", "--version", "3").code == 4
    assert cli.ok("workflows", "publish", "order", "--version", "1").row["version"] == 1
    assert cli.start("order")[1]["output"] == "one"


def test_push_refuses_faults_and_stores_nothing(cli: Cli, write_workflow: WriteWorkflow):
    file = write_workflow("order", FAULTY)
    said = cli("workflows", "push", file)
    assert (said.code, said.out) == (2, "")
    details = said.error["details"]
    assert isinstance(details, list)
    assert [detail["line"] for detail in details if isinstance(detail, dict)] == [5]
    assert cli.ok("workflows", "list").rows == []
    kept = cli.ok("workflows", "push", file, "--allow-faults").row
    assert isinstance(kept["faults"], list)
    assert len(kept["faults"]) == 1
    assert cli("workflows", "publish", "order").code == 2


def test_versions_are_listed_the_newest_first(cli: Cli, write_workflow: WriteWorkflow):
    for number in (1, 2):
        cli.ok("workflows", "push", write_workflow("hello", HELLO.replace("Hello", f"Hi {number}")), "--publish")
    assert [row["version"] for row in cli.ok("workflows", "versions", "hello").rows] == [2, 1]


def test_diff_names_what_changed(cli: Cli, write_workflow: WriteWorkflow, hello: str):
    cli.ok("workflows", "push", hello, "--publish")
    assert cli("workflows", "diff", "hello").code == 4
    cli.ok("workflows", "push", write_workflow("hello", HELLO.replace("default: world", "default: moon")))
    row = cli.ok("workflows", "diff", "hello").row
    assert row["changes"] == [{"change": "changed", "field": "input.properties.who.default", "before": "world", "after": "moon"}]
    assert "+  properties: {who: {type: string, default: moon}}" in str(row["text"])
    assert cli.ok("workflows", "diff", "hello", "1", "1").row["changes"] == []
    assert cli("workflows", "diff", "hello", "1", "two").code == 2


def test_yml_38_export_gives_the_bytes_that_were_pushed(cli: Cli, hello: str, tmp_path: Path):
    cli.ok("workflows", "push", hello, "--publish")
    assert cli.ok("workflows", "export", "hello").out == Path(hello).read_text()
    cli.ok("workflows", "export", "--all", "-o", str(tmp_path / "out"))
    exported = tmp_path / "out" / "hello.yaml"
    assert exported.read_bytes() == Path(hello).read_bytes()
    assert cli.ok("workflows", "push", str(exported)).row["changed"] is False
    assert cli.ok("workflows", "export", "hello", "--json").row["document"] == Path(hello).read_text()


def test_export_of_a_draft_and_misuse(cli: Cli, hello: str):
    cli.ok("workflows", "push", hello)
    assert cli.ok("workflows", "export", "hello", "--version", "draft").out == Path(hello).read_text()
    assert cli("workflows", "export", "hello").code == 6
    assert cli("workflows", "export", "nope").code == 4
    assert cli("workflows", "export").code == 2
    assert cli("workflows", "export", "a", "b").code == 2
    assert cli("workflows", "export", "hello", "--version", "x").code == 2


def test_workflow_is_deleted_and_restored(cli: Cli, hello: str):
    cli.ok("workflows", "push", hello, "--publish")
    assert cli.ok("workflows", "delete", "hello").row["status"] == "deleted"
    assert cli("run", "hello").code == 4
    assert cli.ok("workflows", "list").rows == []
    assert [row["status"] for row in cli.ok("workflows", "list", "--deleted").rows] == ["deleted"]
    assert cli.ok("workflows", "restore", "hello").row["status"] == "published"
    assert cli.start("hello")[0] == 0


def test_deprecated_workflow_takes_no_run(cli: Cli, hello: str):
    cli.ok("workflows", "push", hello)
    assert cli("run", "hello").code == 6
    cli.ok("workflows", "publish", "hello")
    cli.ok("workflows", "deprecate", "hello")
    said = cli("run", "hello")
    assert (said.code, said.error["code"]) == (6, "CONFLICT")


def test_delete_by_force_cancels_the_open_runs(cli: Cli, write_workflow: WriteWorkflow):
    cli.ok("workflows", "push", write_workflow("asks", ASKS), "--publish")
    code, result = cli.start("asks")
    assert code == 3
    said = cli("workflows", "delete", "asks")
    assert (said.code, "1 open run" in str(said.error["message"])) == (6, True)
    assert cli.ok("workflows", "delete", "asks", "--force").row["cancelled_runs"] == 1
    said = cli("runs", "continue", str(result["run_id"]), "--quiet")
    assert (said.code, said.row["status"]) == (1, "cancelled")


@pytest.mark.parametrize("command", ["show", "publish", "versions", "diff", "deprecate", "delete", "restore"])
def test_unknown_workflow_is_not_found(cli: Cli, command: str):
    said = cli("workflows", command, "nope")
    assert (said.code, said.error["code"]) == (4, "NOT_FOUND")


@pytest.mark.usefixtures("terminal")
def test_workflows_on_a_terminal_are_tables_and_sentences(cli: Cli, write_workflow: WriteWorkflow, hello: str):
    assert "There is no workflow" in cli.ok("workflows", "list").err
    assert "draft of hello created" in cli.ok("workflows", "push", hello).err
    assert "Version 1 of hello is published." in cli.ok("workflows", "publish", "hello").err
    lines = cli.ok("workflows", "list").out.splitlines()
    assert lines[0].split() == ["workflow", "title", "status", "version", "draft", "changed", "by"]
    assert lines[1].split()[:4] == ["hello", "hello", "published", "1"]
    assert "1 (current)" in cli.ok("workflows", "versions", "hello").out
    assert "status" in cli.ok("workflows", "show", "hello").out
    assert cli.ok("workflows", "export", "hello").out == Path(hello).read_text()
    cli.ok("workflows", "push", write_workflow("hello", HELLO.replace("world", "moon")))
    assert "input.properties.who.default" in cli.ok("workflows", "diff", "hello").out
    assert "are the same" in cli.ok("workflows", "diff", "hello", "1", "1").err
