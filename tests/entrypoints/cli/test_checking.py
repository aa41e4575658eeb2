"""validate, schema, settings, db, doctor, init."""

import json
from pathlib import Path

import jsonschema_rs
import pytest
import yaml
from tests.entrypoints.cli.conftest import Cli, Said, WriteWorkflow

from flowforge.entrypoints.cli.checks import CheckState, check_clock, check_rights
from flowforge.kit.folder import open_data_folder

FAULTY = """\
steps:
  - id: go
    uses: http.reqest
  - id: go
    uses: flow.set
    with: {values: {a: "${{ steps.nope.output }}"}}
"""


def test_validate_says_all_faults_with_their_places(cli: Cli, write_workflow: WriteWorkflow, hello: str):
    faulty = write_workflow("faulty", FAULTY)
    said = cli("validate", hello, faulty)
    assert said.code == 1
    good, bad = said.rows
    assert good == {"file": hello, "valid": True, "errors": [], "warnings": []}
    assert (bad["file"], bad["valid"], bad["warnings"]) == (faulty, False, [])
    errors = bad["errors"]
    assert isinstance(errors, list)
    assert len(errors) == 3
    assert {
        "field": "steps[0].uses",
        "line": 5,
        "column": 11,
        "suggestion": "http.request",
    }.items() <= dict(errors[0] if isinstance(errors[0], dict) else {}).items()


@pytest.mark.usefixtures("terminal")
def test_validate_on_a_terminal_is_a_line_each(cli: Cli, write_workflow: WriteWorkflow, hello: str):
    assert cli.ok("validate", hello).out == f"{hello}: valid\n"
    faulty = write_workflow("faulty", FAULTY)
    said = cli("validate", faulty)
    assert said.code == 1
    assert said.out.splitlines()[0].startswith(f"{faulty}:5:11 steps[0].uses: ")
    assert "Did you mean http.request?" in said.out


def test_validate_reads_stdin(cli: Cli):
    assert cli.ok("validate", "-", stdin="flowforge: 1\nname: a\nsteps: [{id: a, uses: flow.stop}]\n").row["file"] == "-"


def test_validate_counts_warnings_as_faults_where_that_is_asked_for(cli: Cli, write_workflow: WriteWorkflow):
    file = write_workflow(
        "asks", "steps:\n  - id: ask\n    uses: human.approval\n    with: {title: Yes, assignees: [{role: boss}]}\n"
    )
    said = cli.ok("validate", file).row
    assert said["valid"] is True
    assert said["warnings"] != []
    assert cli("validate", file, "--strict").code == 1


def test_validate_of_a_missing_file_is_wrong_usage(cli: Cli):
    said = cli("validate", "nowhere.yaml")
    assert said.code == 2
    assert "nowhere.yaml cannot be read" in str(said.error["message"])


def test_schema_accepts_what_validate_accepts(cli: Cli, hello: str):
    schema = json.loads(cli.ok("schema").out)
    document = yaml.safe_load(Path(hello).read_text())
    validator = jsonschema_rs.Draft202012Validator(schema)
    assert validator.is_valid(document)
    assert not validator.is_valid({**document, "stepz": []})


def test_schema_of_an_operation(cli: Cli):
    made = json.loads(cli.ok("schema", "operation", "http.request").out)
    assert "url" in made["parameters"]["properties"]
    assert cli("schema", "operation", "no.such").code == 4
    assert cli("schema", "operation").code == 2
    assert cli("schema", "workflow").code == 2


def test_schema_goes_to_a_file(cli: Cli, tmp_path: Path):
    cli.ok("schema", "-o", str(tmp_path / "deep" / "schema.json"))
    assert json.loads((tmp_path / "deep" / "schema.json").read_text())["type"] == "object"
    assert cli("schema", "-o", str(tmp_path)).code == 2


def test_settings_say_value_and_origin(cli: Cli):
    rows = {str(row["name"]): row for row in cli("settings", env={"FLOWFORGE_RUNS_MAX": "7"}).rows}
    assert (rows["FLOWFORGE_RUNS_MAX"]["value"], rows["FLOWFORGE_RUNS_MAX"]["origin"]) == ("7", "environment")
    assert rows["FLOWFORGE_DATA"]["origin"] == "--data"
    assert rows["FLOWFORGE_BEAT"]["origin"] == "default"


@pytest.mark.usefixtures("terminal")
def test_settings_on_a_terminal_are_a_table(cli: Cli):
    said = cli.ok("settings")
    assert said.out.splitlines()[0].split()[:3] == ["setting", "value", "from"]
    assert "FLOWFORGE_LOG_LEVEL" in said.out


def test_keys_are_never_shown_by_settings(cli: Cli):
    key = "0123456789abcdef" * 4
    said = cli("settings", env={"FLOWFORGE_ENCRYPTION_KEY": key})
    assert said.code == 0
    assert key not in said.out


def test_database_is_upgraded_checked_and_rolled_back(cli: Cli):
    assert cli.ok("db", "check").row["state"] == "current"
    assert cli("db", "rollback").code == 2
    cli.ok("db", "rollback", "--yes")
    said = cli("db", "check")
    assert (said.code, said.row["state"]) == (1, "older")
    assert cli.ok("db", "upgrade").row["was"] == "older"
    assert cli.ok("db", "upgrade").row["was"] == "current"


def test_doctor_finds_a_healthy_machine_healthy(cli: Cli):
    rows = cli.ok("doctor").rows
    assert {str(row["check"]) for row in rows} == {
        "python",
        "sqlite",
        "open files",
        "clock",
        "data folder",
        "disk",
        "disk speed",
        "database",
        "keys",
        "workers",
        "operations",
    }
    assert "fail" not in [row["state"] for row in rows]


def test_doctor_says_how_to_mend_a_damaged_key_ring(cli: Cli):
    (cli.data / "keys" / "keyring.json").write_text("{}")
    said = cli("doctor")
    (row,) = [row for row in said.rows if row["check"] == "keys"]
    assert (said.code, row["state"]) == (1, "fail")
    assert "backup" in str(row["mend"])


def test_doctor_tells_a_folder_that_cannot_be_used(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    said = Cli(tmp_path / "file")("doctor")
    (row,) = [row for row in said.rows if row["check"] == "data folder"]
    assert (said.code, row["state"]) == (1, "fail")


@pytest.mark.usefixtures("terminal")
def test_doctor_on_a_terminal_is_a_table(cli: Cli):
    assert cli.ok("doctor").out.splitlines()[0].split() == ["state", "check", "found", "mend"]


def test_clock_that_was_never_set_fails():
    class StoppedClock:
        def now_ms(self) -> int:
            return 0

        def monotonic_s(self) -> float:
            return 0.0

    assert check_clock(StoppedClock()).state is CheckState.FAIL


def test_folder_that_others_can_read_is_warned_of(tmp_path: Path):
    folder = open_data_folder(tmp_path / "data")
    assert check_rights(folder).state is CheckState.OK
    folder.root.chmod(0o755)
    found = check_rights(folder)
    assert found.state is CheckState.WARN
    assert "chmod 700" in found.mend


def test_init_makes_a_folder_that_validates_runs_and_completes(cli: Cli, tmp_path: Path):
    folder = tmp_path / "mine"
    cli.ok("init", str(folder))
    workflow = folder / "workflows" / "hello.yaml"
    assert cli.ok("validate", str(workflow)).row["valid"] is True
    code, result = cli.start(str(workflow))
    assert (code, result["output"]) == (0, {"greetings": ["Hello Ada!", "Hello Grace!", "Hello Edsger!"], "people": 3})
    first_line = workflow.read_text().splitlines()[0]
    assert first_line.startswith("# yaml-language-server: $schema=")
    schema = (workflow.parent / first_line.partition("=")[2]).resolve()
    validator = jsonschema_rs.Draft202012Validator(json.loads(schema.read_text()))
    assert validator.is_valid(yaml.safe_load(workflow.read_text()))
    editor = json.loads((folder / ".vscode" / "settings.json").read_text())
    assert (folder / next(iter(editor["yaml.schemas"]))).resolve() == schema
    assert (folder / "README.md").exists()
    assert (folder / ".gitignore").exists()


def test_init_replaces_nothing_without_being_told(cli: Cli, tmp_path: Path):
    (tmp_path / "README.md").write_text("mine")
    said = cli("init", str(tmp_path))
    assert said.code == 2
    assert (tmp_path / "README.md").read_text() == "mine"
    assert not (tmp_path / "workflows").exists()
    cli.ok("init", str(tmp_path), "--force")
    assert (tmp_path / "README.md").read_text() != "mine"


def list_faults(said: Said) -> list[tuple[object, object, str]]:
    faults = said.row["errors"]
    assert isinstance(faults, list)
    return [(fault["code"], fault["field"], str(fault["message"])) for fault in faults if isinstance(fault, dict)]


def test_scr_02_script_that_cannot_be_read_is_told_of_at_save_with_its_line(cli: Cli, write_workflow: WriteWorkflow):
    script = (
        "steps:\n  - id: a\n    uses: script.javascript\n    with:\n      source: |\n        const x = 1;\n        return x +;\n"
    )
    ((code, field, message),) = list_faults(cli("validate", write_workflow("script", script)))
    assert (code, field) == ("script_syntax", "steps[0].with.source")
    assert "line 2, column 11" in message
    assert cli("workflows", "push", write_workflow("script", script)).code != 0


def test_scr_03_script_that_is_too_long_is_told_of_at_save(cli: Cli, write_workflow: WriteWorkflow):
    script = f"steps:\n  - {{id: a, uses: script.javascript, with: {{source: '{'/' * 70_000}'}}}}\n"
    assert [code for code, _, _ in list_faults(cli("validate", write_workflow("long", script)))] == ["script_src"]


def test_scr_40_bytecode_is_text_that_cannot_be_read(cli: Cli, write_workflow: WriteWorkflow):
    script = "steps:\n  - {id: a, uses: script.javascript, with: {source: 'Q0ZGRQ== \\\\x02\\\\x05'}}\n"
    assert [code for code, _, _ in list_faults(cli("validate", write_workflow("bytes", script)))] == ["script_syntax"]
