"""`flowforge operations call`: values, files in and out, secrets, heavy operations, errors."""

import hashlib
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.entrypoints.cli.conftest import Cli
from tests.support.servers import Received, Reply, json_reply, serve_in_thread


def call(cli: Cli, name: str, *options: str) -> dict[str, Any]:
    return json.loads(cli.ok("operations", "call", name, *options).out)


def test_file_goes_in_and_a_file_comes_out(cli: Cli, tmp_path: Path):
    source, target = tmp_path / "orders.csv", tmp_path / "out" / "orders.ndjson"
    source.write_text("id,total\n1,2.50\n2,3\n")
    result = call(cli, "data.convert", "--file", f"file={source}", "--input", '{"to": "ndjson"}', "--save", str(target))
    assert [json.loads(line) for line in target.read_text().splitlines()] == [
        {"id": "1", "total": "2.50"},
        {"id": "2", "total": "3"},
    ]
    assert result["$file"]["sha256"] == hashlib.sha256(target.read_bytes()).hexdigest()
    assert result["$file"]["name"] == "orders.ndjson"


def test_mail_lies_in_the_outbox(cli: Cli, tmp_path: Path):
    (tmp_path / "a.txt").write_text("hello")
    result = call(cli, "email.send", "--input", '{"to": "a@example.com", "subject": "x", "text": "y", "attachments": []}')
    assert (cli.data / "mail" / str(result["outbox"]).rpartition("/")[2]).exists()
    assert cli("operations", "call", "crypto.hash", "--file", f"data.inner={tmp_path / 'a.txt'}").code == 2


def test_heavy_operation_writes_below_a_root(cli: Cli):
    (cli.data / "work" / "in").mkdir(parents=True)
    (cli.data / "work" / "in" / "a.txt").write_text("hello")
    cli.ok("operations", "call", "file.zip", "--input", '{"paths": ["in"], "to": "a.zip"}')
    assert (cli.data / "work" / "a.zip").read_bytes()[:2] == b"PK"


def test_a10_secret_is_resolved_sent_and_masked(cli: Cli):
    seen: list[str] = []

    def answer(request: Received) -> Reply:
        seen.append(request.headers["authorization"])
        return json_reply({"you_sent": request.headers["authorization"]})

    with serve_in_thread() as server:
        server.on("/orders", answer)
        cli.ok("secrets", "set", "SHOP_TOKEN", stdin="s3cret-token-1234")
        given = json.dumps({"url": f"{server.url}/orders", "auth": {"bearer": "${{ secrets.SHOP_TOKEN }}"}})
        allowed = {"FLOWFORGE_EGRESS_ALLOW": f"127.0.0.1:{server.port}"}
        said = cli("operations", "call", "http.request", "--input", given, env=allowed)
    assert said.code == 0, said.err
    assert seen == ["Bearer s3cret-token-1234"]
    assert json.loads(said.out)["body"] == {"you_sent": "Bearer ***"}


def test_secret_that_is_not_set_is_named(cli: Cli):
    given = '{"url": "https://api.example.com/", "auth": {"bearer": "${{ secrets.NOTHING }}"}}'
    said = cli("operations", "call", "http.request", "--input", given)
    assert said.code != 0
    assert "NOTHING" in said.err


def test_log_of_the_operation_is_shown(cli: Cli):
    given = json.dumps({"source": "console.log('two', 2); return input + 1", "input": 1})
    said = cli.ok("operations", "call", "script.javascript", "--input", given)
    assert json.loads(said.out) == 2
    assert "info: two 2" in said.err


def test_result_without_a_file_cannot_be_saved(cli: Cli, tmp_path: Path):
    said = cli("operations", "call", "crypto.hash", "--set", "data=a", "--save", str(tmp_path / "x"))
    assert (said.code, "holds 0" in said.err) == (2, True)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("option", ["file", "file=", "file=/no/such/file"])
def test_file_that_cannot_be_read_is_named(cli: Cli, option: str):
    said = cli("operations", "call", "crypto.hash", "--file", option)
    assert said.code == 2
    assert "file" in said.err


def test_net_01_call_is_guarded(cli: Cli):
    said = cli("operations", "call", "http.request", "--input", '{"url": "http://127.0.0.1:8000/"}')
    assert (said.code, said.error["code"]) == (1, "egress_denied")


def test_result_is_told_even_where_its_file_cannot_be_saved(cli: Cli, tmp_path: Path):
    said = cli("operations", "call", "crypto.hash", "--set", "data=a", "--save", str(tmp_path / "x"))
    assert said.code == 2
    assert json.loads(said.out)["hash"].startswith("ca978112")


@pytest.mark.usefixtures("terminal")
def test_reference_on_a_terminal_has_types_fields_inside_and_results(cli: Cli):
    page = cli.ok("operations", "show", "data.convert").out
    assert "csv.delimiter?" in page
    assert "json, ndjson, yaml, csv, xml, xlsx, value" in page
    assert "Result: The value itself: a list or a text or an object" in page
    assert "gives: " in page
    assert "result" in cli.ok("operations", "show", "file.gzip").out


def test_name_of_an_operation_that_was_probably_meant_is_suggested(cli: Cli):
    said = cli("operations", "call", "crypto.hsh")
    assert said.code == 4
    assert "Did you mean crypto.hash?" in said.err


def test_interrupted_call_ends_its_processes_and_says_so(cli: Cli):
    command = [sys.executable, "-m", "flowforge.entrypoints.cli.app", "--data", str(cli.data), "operations", "call"]
    process = subprocess.Popen(
        [*command, "script.python", "--set", "source=print('begun')\nwhile True: pass"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A suite that a shell runs in the background ignores SIGINT, and what it starts would too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 (it takes no lock)
    )
    assert process.stderr is not None
    first = process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert (first, process.returncode) == ("info: begun\n", 130)
    assert said == "Interrupted; what script.python had done outside by then stays done.\n"
