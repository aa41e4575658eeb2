"""run, runs continue, up: commands that carry runs."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.entrypoints.cli.conftest import ASKS, HELLO, Cli, WriteWorkflow

SLOW = """\
steps:
  - id: first
    uses: file.write
    with: {path: first.txt, text: done}
  - id: long
    uses: flow.wait
    with: {for: 20s}
"""
MOCKED = """\
steps:
  - id: read
    uses: file.read
    with: {path: nothing.txt}
    mock: {output: {content: mocked}}
output: "${{ steps.read.output.content }}"
"""


@contextmanager
def running(cli: Cli, *args: str) -> Generator["subprocess.Popen[str]"]:
    """A `flowforge` of its own process, which is gone at the end."""
    command = [sys.executable, "-m", "flowforge.entrypoints.cli.app", "--data", str(cli.data), *args]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_until(process: "subprocess.Popen[str]", kind: str) -> str:
    """The id of the run whose event of that kind comes on stdout."""
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        if event["type"] == kind:
            return str(event["data"]["run_id"])
    raise AssertionError(f"{kind} never came: {process.stderr.read() if process.stderr else ''}")


def test_run_gives_an_event_each_and_at_last_the_result(cli: Cli, hello: str):
    rows = cli.ok("run", hello, "--input", '{"who": "Ann"}').rows
    assert [row["type"] for row in rows] == ["run.started", "step.completed", "run.finished", "result"]
    run_id = rows[-1]["run_id"]
    assert rows[-1] == {"type": "result", "run_id": run_id, "status": "completed", "output": "Hello Ann", "error": None}
    assert [row["subject"] for row in rows[:-1]] == [run_id] * 3
    assert [row["seq"] for row in rows[:-1]] == sorted({int(str(row["seq"])) for row in rows[:-1]})


@pytest.mark.parametrize(
    ("args", "stdin", "output"),
    [
        (["--input", '{"who": "Ann"}'], "", "Hello Ann"),
        (["--input", "-"], '{"who": "Bob"}', "Hello Bob"),
        (["--input", "@input.json"], "", "Hello Cid"),
        (["--set", "who=Dan"], "", "Hello Dan"),
        (["--input", '{"who": "Ann"}', "--set", 'who="Eve"'], "", "Hello Eve"),
        ([], "", "Hello world"),
    ],
)
def test_input_comes_as_json_file_stdin_or_fields(cli: Cli, hello: str, args: list[str], stdin: str, output: str):
    Path("input.json").write_text('{"who": "Cid"}')
    assert cli.start(hello, *args, stdin=stdin)[1]["output"] == output


def test_workflow_may_come_on_stdin(cli: Cli):
    assert cli.start("-", stdin=f"flowforge: 1\nname: hello\n{HELLO}")[1]["output"] == "Hello world"


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["--input", "{"], "--input"),
        (["--input", "@nowhere.json"], "nowhere.json"),
        (["--input", '{"who": 3}'], "who"),
        (["--set", "who"], "--set"),
        (["--set", "who.name.first=1", "--set", "who.name=1", "--set", "who.name.last=2"], "no object"),
        (["--label", "team"], "--label"),
        (["--patience", "soon"], "--patience"),
        (["--version", "1"], "A file has no versions"),
    ],
)
def test_bad_input_names_the_field_and_starts_nothing(cli: Cli, hello: str, args: list[str], told: str):
    said = cli("run", hello, *args)
    assert (said.code, said.out) == (2, "")
    assert told in json.dumps(said.error)
    assert cli.ok("runs", "list").rows == []


def test_file_with_faults_is_refused_with_all_of_them(cli: Cli, write_workflow: WriteWorkflow):
    said = cli("run", write_workflow("bad", "steps: [{id: a, uses: no.such}, {id: a, uses: flow.stop}]"))
    assert (said.code, said.error["code"]) == (2, "VALIDATION_ERROR")
    assert isinstance(said.error["details"], list)
    assert len(said.error["details"]) >= 2
    assert cli.ok("runs", "list").rows == []


def test_operation_that_is_not_installed_here_refuses_the_run(cli: Cli, write_workflow: WriteWorkflow):
    steps = "steps:\n  - id: ask\n    uses: human.approval\n    with: {title: Yes, assignees: [{role: boss}]}"
    said = cli("run", write_workflow("asks", steps))
    assert (said.code, said.error["code"]) == (6, "NOT_INSTALLED")


def test_unknown_file_and_unknown_name_differ(cli: Cli):
    assert cli("run", "nowhere.yaml").code == 2
    assert cli("run", "nowhere").code == 4


def test_failed_run_has_exit_code_1_and_its_error(cli: Cli, write_workflow: WriteWorkflow):
    code, result = cli.start(write_workflow("fails", "steps: [{id: a, uses: flow.fail, with: {code: nope, message: No.}}]"))
    assert (code, result["status"], result["error"]) == (1, "failed", {"code": "nope", "message": "No.", "step": "a"})


def test_run_that_waits_has_exit_code_3(cli: Cli, asks: str, write_workflow: WriteWorkflow):
    assert cli.start(asks)[0] == 3
    waits = write_workflow("waits", "steps: [{id: a, uses: flow.wait, with: {for: 1h}}]")
    code, result = cli.start(waits, "--patience", "1s")
    assert (code, result["status"]) == (3, "waiting")
    short = write_workflow("short", "steps: [{id: a, uses: flow.wait, with: {for: 50ms}}]")
    assert cli.start(short, "--patience", "1s")[0] == 0


def test_labels_subject_and_priority_are_kept(cli: Cli, hello: str):
    cli.start(hello, "--label", "team=a", "--label", "kind=b=c", "--subject", "order 7", "--priority", "0")
    (row,) = cli.ok("runs", "list").rows
    assert (row["labels"], row["subject"], row["priority"]) == ({"kind": "b=c", "team": "a"}, "order 7", 0)


def test_mocks_take_the_place_of_steps(cli: Cli, write_workflow: WriteWorkflow):
    file = write_workflow("mocked", MOCKED)
    assert cli.start(file, "--mocks")[1]["output"] == "mocked"
    assert cli.start(file)[1]["status"] == "failed"


def test_same_idempotency_key_gives_the_same_run(cli: Cli, hello: str, asks: str):
    first = cli.start(hello, "--idempotency-key", "k1")[1]
    assert cli.start(hello, "--idempotency-key", "k1")[1] == first
    assert cli.start(hello, "--idempotency-key", "k2")[1]["run_id"] != first["run_id"]
    waiting = cli.start(asks, "--idempotency-key", "k3")
    assert cli.start(asks, "--idempotency-key", "k3") == waiting


def test_detached_run_is_only_queued_until_somebody_carries_it(cli: Cli, hello: str):
    run_id = str(cli.ok("run", hello, "--detach", "--set", "who=Ann").row["run_id"])
    (row,) = cli.ok("runs", "list").rows
    assert (row["id"], row["status"]) == (run_id, "queued")
    assert "no worker runs here" in str(cli.ok("runs", "why", run_id).row["sentence"])
    said = cli.ok("runs", "continue", "--quiet")
    assert (said.row["run_id"], said.row["output"]) == (run_id, "Hello Ann")
    assert (
        cli.ok("run", hello, "--detach", "--idempotency-key", "k").row
        == cli.ok("run", hello, "--detach", "--idempotency-key", "k").row
    )


@pytest.mark.usefixtures("terminal")
def test_run_on_a_terminal_ends_with_timeline_and_output(cli: Cli, hello: str, write_workflow: WriteWorkflow):
    said = cli.ok("run", hello)
    lines = said.out.splitlines()
    assert " completed in " in lines[0]
    assert lines[1].startswith("✓ greet")
    assert lines[-1] == '"Hello world"'
    failed = cli("run", write_workflow("fails", "steps: [{id: a, uses: flow.fail, with: {code: nope, message: No.}}]"))
    assert failed.code == 1
    assert "✗ a" in failed.out
    assert "nope in the step a: No." in failed.err
    run_id = cli.ok("run", hello, "--detach").out.strip()
    assert cli.ok("runs", "show", run_id).out


def test_real_terminal_gets_progress_and_colour(cli: Cli, hello: str):
    primary, secondary = pty.openpty()
    command = [sys.executable, "-m", "flowforge.entrypoints.cli.app", "--data", str(cli.data), "run", hello]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"}
    process = subprocess.Popen(command, stdin=secondary, stdout=secondary, stderr=secondary, env=environment)
    os.close(secondary)
    heard = b""
    while True:
        try:
            part = os.read(primary, 65_536)
        except OSError:
            break
        heard += part
    os.close(primary)
    assert process.wait() == 0
    assert b"\x1b[32m" in heard
    assert "✓ greet".encode() in heard
    assert heard.rstrip().endswith(b'"Hello world"')


def test_killed_run_goes_on_where_its_journal_ends(cli: Cli, write_workflow: WriteWorkflow):
    with running(cli, "run", write_workflow("slow", SLOW)) as process:
        run_id = read_until(process, "run.waiting")
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (cli.data / "work" / "first.txt").exists()
    (cli.data / "work" / "first.txt").unlink()
    assert [row["state"] for row in cli.ok("doctor").rows if row["check"] == "workers"] == ["warn"]
    assert "dead" in str(cli.ok("runs", "why", run_id).row["sentence"]) or cli.ok("runs", "list").row["status"] == "waiting"
    cli.ok("runs", "skip", run_id, "long")
    said = cli.ok("runs", "continue", run_id, "--quiet")
    assert said.row["status"] == "completed"
    assert not (cli.data / "work" / "first.txt").exists()
    assert [row["state"] for row in cli.ok("runs", "effects", run_id).rows] == ["confirmed"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_leaves_in_order_and_goes_on_later(cli: Cli, write_workflow: WriteWorkflow, number: signal.Signals):
    with running(cli, "run", write_workflow("slow", SLOW)) as process:
        run_id = read_until(process, "run.waiting")
        process.send_signal(number)
        _, err = process.communicate(timeout=15)
    assert process.returncode == 130
    assert f"flowforge runs continue {run_id}" in err
    assert "Stopping: steps in flight have up to 10 s" in err
    assert "Traceback" not in err
    (workers,) = [row for row in cli.ok("doctor").rows if row["check"] == "workers"]
    assert workers["state"] == "ok"
    cli.ok("runs", "cancel", run_id)
    assert cli("runs", "continue", run_id, "--quiet").row["status"] == "cancelled"


def test_continue_takes_all_open_runs_and_gives_the_worst_code(cli: Cli, asks: str, hello: str):
    waiting = str(cli.start(asks)[1]["run_id"])
    queued = str(cli.ok("run", hello, "--detach").row["run_id"])
    said = cli("runs", "continue", "--quiet")
    assert said.code == 3
    assert {str(row["run_id"]): row["status"] for row in said.rows} == {waiting: "waiting", queued: "completed"}
    cli.ok("runs", "cancel", waiting)
    assert cli("runs", "continue", "--quiet").code == 1
    assert cli.ok("runs", "continue").out == ""


def test_continue_carries_called_runs_too(cli: Cli, write_workflow: WriteWorkflow):
    cli.ok("workflows", "push", write_workflow("inner", ASKS.replace("nothing.txt", "go.txt")), "--publish")
    outer = write_workflow(
        "outer", "steps: [{id: call, uses: flow.call, with: {workflow: inner}}]\noutput: '${{ steps.call.output.go }}'"
    )
    code, result = cli.start(outer)
    assert code == 3
    inner = next(row for row in cli.ok("runs", "list").rows if row["workflow"] == "inner")
    cli.ok("runs", "signal", str(inner["id"]), "go", "--payload", "1")
    (cli.data / "work" / "go.txt").write_text("x")
    said = cli.ok("runs", "continue", str(result["run_id"]), "--quiet")
    assert (said.row["status"], said.row["output"]) == ("completed", 1)


def test_continue_of_an_unknown_or_ended_run(cli: Cli, hello: str):
    assert cli("runs", "continue", "run_" + "0" * 26).code == 4
    assert cli("runs", "continue", "nonsense").code == 4
    run_id = str(cli.start(hello)[1]["run_id"])
    assert cli("runs", "continue", run_id).code == 6


def test_up_runs_the_sample_once_on_a_new_folder(cli: Cli):
    first = cli.ok("up", "--once")
    assert first.rows[-1]["output"] == {"large": 1, "orders": 5, "report": "purchase-orders.json"}
    report = json.loads((cli.data / "work" / "purchase-orders.json").read_text())
    assert len(report["receipts"]) == 5
    assert cli.ok("workflows", "list").row["name"] == "purchase-orders"
    assert cli.ok("up", "--once").out == ""
    assert len(cli.ok("runs", "list").rows) == 1


@pytest.mark.usefixtures("terminal")
def test_up_shows_the_sample_as_a_timeline(cli: Cli):
    said = cli.ok("up", "--once")
    for step in ("✓ customers", "✓ any_large", "✓ second_look", "✓ numbers", "✓ report"):
        assert step in said.out


def test_up_carries_queued_runs_and_ends_in_order(cli: Cli, hello: str):
    cli.ok("run", hello, "--detach")
    with running(cli, "up", "--no-sample", "--port", "0") as process:
        assert process.stdout is not None
        row = json.loads(process.stdout.readline())
        assert (row["workflow"], row["status"]) == ("hello", "completed")
        run_id = str(cli.ok("run", hello, "--detach").row["run_id"])
        assert json.loads(process.stdout.readline())["id"] == run_id
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=15)
    assert process.returncode == 0
    assert "FlowForge is up on" in err
    assert "Traceback" not in err


def test_run_that_nobody_begins_within_the_patience_has_exit_code_3(cli: Cli, write_workflow: WriteWorkflow):
    file = write_workflow("single", "concurrency: {limit: 1, when_full: queue}\n" + ASKS)
    first = str(cli.start(file)[1]["run_id"])
    code, result = cli.start(file, "--patience", "300ms")
    assert (code, result["status"]) == (3, "queued")
    assert "places of its workflow" in str(cli.ok("runs", "why", str(result["run_id"])).row["sentence"])
    cli.ok("runs", "cancel", first)
    said = cli("runs", "continue", "--quiet", "--patience", "10s")
    assert [row["status"] for row in said.rows] == ["cancelled", "waiting"]


def test_full_limit_of_a_workflow_rejects_the_start(cli: Cli, write_workflow: WriteWorkflow):
    file = write_workflow("single", "concurrency: {limit: 1, when_full: reject}\n" + ASKS)
    assert cli.start(file)[0] == 3
    for more in ([], ["--detach"]):
        said = cli("run", file, *more)
        assert (said.code, said.error["code"]) == (6, "CONFLICT")
    assert len(cli.ok("runs", "list").rows) == 1
