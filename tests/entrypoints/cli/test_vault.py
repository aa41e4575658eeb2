"""secrets, variables, operations."""

import hashlib
import hmac
import json
from pathlib import Path

import pytest
from tests.entrypoints.cli.conftest import Cli, WriteWorkflow

VALUE = "s3cr3t-canary-value"


def test_secret_is_set_listed_and_deleted_and_its_value_is_never_said(cli: Cli):
    said = cli.ok("secrets", "set", "SHOP_TOKEN", "--host", "shop.example", stdin=f"{VALUE}\n")
    assert said.row["version"] == 1
    again = cli.ok("secrets", "set", "SHOP_TOKEN", stdin="another")
    listed = cli.ok("secrets", "list")
    assert [(row["name"], row["set"], row["version"]) for row in listed.rows] == [("SHOP_TOKEN", True, 2)]
    cli.ok("secrets", "delete", "SHOP_TOKEN")
    assert cli.ok("secrets", "list").rows == []
    for heard in (said, again, listed):
        assert VALUE not in heard.out + heard.err
    for file in cli.data.rglob("*"):
        assert not file.is_file() or VALUE.encode() not in file.read_bytes(), file


def test_secret_is_read_to_the_byte_but_for_one_line_end(cli: Cli, write_workflow: WriteWorkflow):
    cli.ok("secrets", "set", "KEY", stdin="a b \n\n")
    file = write_workflow(
        "sign",
        "steps:\n  - id: sign\n    uses: crypto.hmac\n    with: {data: x, key: '${{ secrets.KEY }}'}\n"
        "output: '${{ steps.sign.output }}'",
    )
    code, result = cli.start(file)
    assert code == 0, result
    expected = hmac.new(b"a b \n", b"x", hashlib.sha256).hexdigest()
    assert expected in json.dumps(result["output"])
    run_id = str(result["run_id"])
    for command in (["runs", "export", run_id], ["runs", "events", run_id], ["runs", "show", run_id]):
        assert "a b " not in cli.ok(*command).out


@pytest.mark.parametrize(
    ("args", "stdin", "code"),
    [
        (["set", "shop"], "x", 2),
        (["set", "SHOP"], "", 2),
        (["set", "SHOP", "--host", "no host"], "x", 2),
        (["delete", "SHOP"], "", 4),
    ],
)
def test_misuse_of_secrets_has_its_exit_code(cli: Cli, args: list[str], stdin: str, code: int):
    assert cli("secrets", *args, stdin=stdin).code == code


@pytest.mark.parametrize(
    ("args", "stdin", "value"),
    [
        (["3"], "", 3),
        (['{"a": [1]}'], "", {"a": [1]}),
        (["plain words"], "", "plain words"),
        (["3", "--text"], "", "3"),
        (["-"], "true\n", True),
        ([], "from stdin", "from stdin"),
    ],
)
def test_variable_is_json_where_it_reads_as_such(cli: Cli, args: list[str], stdin: str, value: object):
    cli.ok("variables", "set", "LIMIT", *args, stdin=stdin)
    assert cli.ok("variables", "list").row["value"] == value


def test_variable_is_seen_by_runs(cli: Cli, write_workflow: WriteWorkflow):
    file = write_workflow("reads", "steps: [{id: a, uses: flow.set, with: {values: {}}}]\noutput: '${{ vars.LIMIT }}'")
    cli.ok("variables", "set", "LIMIT", "12")
    assert cli.start(file)[1]["output"] == 12
    cli.ok("variables", "delete", "LIMIT")
    assert cli("variables", "delete", "LIMIT").code == 4
    assert cli("variables", "set", "lower", "1").code == 2


@pytest.mark.usefixtures("terminal")
def test_vault_on_a_terminal_is_tables_and_sentences(cli: Cli):
    assert "is set (version 1)" in cli.ok("secrets", "set", "A", stdin="xyz").err
    assert cli.ok("secrets", "list").out.splitlines()[0].split() == ["secret", "version", "hosts", "changed"]
    assert "is set (version 1)" in cli.ok("variables", "set", "A", "1").err
    assert cli.ok("variables", "list").out.splitlines()[1].split()[:2] == ["A", "1"]
    assert "is gone" in cli.ok("variables", "delete", "A").err
    assert "There is no variable" in cli.ok("variables", "list").err
    assert "is gone" in cli.ok("secrets", "delete", "A").err


def test_operations_are_listed_and_shown(cli: Cli):
    rows = {str(row["name"]): row for row in cli.ok("operations", "list").rows}
    assert rows["crypto.hash"]["nature"] == "pure"
    assert rows["http.request"]["package"] == "flowforge"
    row = cli.ok("operations", "show", "crypto.hash").row
    assert row["parameters"] == json.loads(cli.ok("operations", "schema", "crypto.hash").out)["parameters"]
    assert cli("operations", "show", "no.such").code == 4
    assert cli("operations", "schema", "no.such").code == 4


@pytest.mark.usefixtures("terminal")
def test_operations_on_a_terminal_are_a_table_and_a_page(cli: Cli):
    assert cli.ok("operations", "list").out.splitlines()[0].split()[:3] == ["operation", "category", "nature"]
    page = cli.ok("operations", "show", "http.request").out
    assert page.startswith("http.request  HTTP request (effect)\n")
    for part in ("url", "error http_<status>", "Read an order"):
        assert part in page


def test_operation_is_called_without_a_run(cli: Cli, tmp_path: Path):
    digest = json.loads(cli.ok("operations", "call", "crypto.hash", "--set", "data=hello").out)["hash"]
    assert digest.startswith("2cf24dba")
    (tmp_path / "input.json").write_text('{"path": "a/b.txt", "text": "hi"}')
    cli.ok("operations", "call", "file.write", "--input", f"@{tmp_path / 'input.json'}")
    assert (cli.data / "work" / "a" / "b.txt").read_text() == "hi"
    assert json.loads(cli.ok("operations", "call", "file.read", "--input", "-", stdin='{"path": "a/b.txt"}').out)
    assert cli.ok("runs", "list").rows == []


def test_failed_call_says_the_error_of_the_operation(cli: Cli):
    said = cli("operations", "call", "file.read", "--set", "path=nothing.txt")
    assert (said.code, said.error["code"]) == (1, "file_missing")
    said = cli("operations", "call", "crypto.hash", "--set", "txt=1")
    assert (said.code, said.error["code"]) == (2, "VALIDATION_ERROR")
    assert said.error["details"] == [
        {
            "field": "txt",
            "message": "there is no such parameter (there are data, file, data_encoding, algorithm, encoding)",
            "code": "invalid_parameters",
        }
    ]
    assert cli("operations", "call", "crypto.hash", "--input", "{").code == 2
    assert cli("operations", "call", "no.such").code == 4
