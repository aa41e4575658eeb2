"""runs: looking at them and steering them; dead-letters."""

import json
import sqlite3
from pathlib import Path

import pytest
from tests.entrypoints.cli.conftest import Cli, WriteWorkflow
from tests.entrypoints.cli.test_run import SLOW, read_until, running

UNKNOWN = "run_" + "0" * 26
FORK = """\
labels: {team: sales}
steps:
  - {id: large, uses: flow.if, with: {condition: true}}
  - {id: yes, after: large.true, uses: log.write, with: {message: "It is large", fields: {n: 1}}}
  - {id: no, after: large.false, uses: flow.set, with: {values: {}}}
  - id: items
    after: [yes, no]
    uses: flow.foreach
    with: {items: [1, 2]}
    steps: [{id: keep, uses: file.write, with: {path: "${{ string(item) }}.txt", text: x}}]
output: {done: true}
"""


@pytest.fixture
def forked(cli: Cli, write_workflow: WriteWorkflow) -> str:
    """The id of a finished run with a branch, a loop, a log line and effects."""
    code, result = cli.start(write_workflow("fork", FORK), "--subject", "order 7", "--label", "day=1")
    assert code == 0, result
    return str(result["run_id"])


@pytest.fixture
def waiting(cli: Cli, asks: str) -> str:
    """The id of a run that waits for the signal `go`, and after that for a person."""
    return str(cli.start(asks)[1]["run_id"])


def carry(cli: Cli, run_id: str) -> object:
    """The status after the run was continued."""
    return cli("runs", "continue", run_id, "--quiet").row["status"]


def test_list_filters(cli: Cli, forked: str, waiting: str):
    def ids(*args: str) -> list[object]:
        return [row["id"] for row in cli.ok("runs", "list", *args).rows]

    assert ids() == [waiting, forked]
    assert ids("--status", "waiting") == [waiting]
    assert ids("--status", "waiting,completed", "--limit", "1") == [waiting]
    assert ids("--workflow", "fork") == [forked]
    assert ids("--subject", "order 7") == [forked]
    assert ids("--label", "team=sales", "--label", "day=1") == [forked]
    assert ids("--error", "nope") == []
    assert ids("--since", "1h") == [waiting, forked]
    assert ids("--until", "2020-01-01T00:00:00Z") == []
    said = cli.ok("runs", "list", "--limit", "1")
    cursor = said.err.split("--cursor ")[1].strip()
    assert ids("--limit", "1", "--cursor", cursor) == [forked]


@pytest.mark.parametrize(
    "args",
    [["--status", "happy"], ["--since", "yesterday"], ["--label", "x"], ["--limit", "0"], ["--cursor", "nonsense"]],
)
def test_list_refuses_filters_that_mean_nothing(cli: Cli, args: list[str]):
    assert cli("runs", "list", *args).code == 2


NO_ESTIMATE = {"estimated_end_at": None}


def test_show_has_the_form_of_the_contract(cli: Cli, forked: str):
    run = cli.ok("runs", "show", forked).row
    assert {"id": forked, "workflow": "fork", "version": None, "status": "completed", "subject": "order 7"}.items() <= run.items()
    assert run["labels"] == {"day": "1", "team": "sales"}
    assert run["progress"] == {"completed": 4, "total": 4, "percentage": 100, "current": [], "failed": []} | NO_ESTIMATE
    assert (run["input"], run["output"], run["error"], run["waiting_for"]) == ({}, {"done": True}, None, [])
    assert (run["triggered_by"], isinstance(run["duration_ms"], int), isinstance(run["last_seq"], int)) == (
        "user:local",
        True,
        True,
    )
    steps = run["steps"]
    assert isinstance(steps, list)
    shown = [(step["iteration"], step["id"], step["status"], step["port"]) for step in steps if isinstance(step, dict)]
    assert shown == [
        ("", "large", "completed", "true"),
        ("", "yes", "completed", "done"),
        ("", "no", "skipped", None),
        ("", "items", "completed", "done"),
        ("items.0", "keep", "completed", "done"),
        ("items.1", "keep", "completed", "done"),
    ]
    assert "steps" not in cli.ok("runs", "show", forked, "--no-steps").row


def test_show_of_an_open_run_says_what_it_waits_for(cli: Cli, waiting: str):
    run = cli.ok("runs", "show", waiting).row
    assert run["status"] == "waiting"
    assert run["waiting_for"] == [{"kind": "signal", "ref": {"step": "go", "name": "go"}, "until": None}]
    assert run["progress"] == {"completed": 0, "total": 2, "percentage": 0, "current": ["go"], "failed": []} | NO_ESTIMATE


@pytest.mark.usefixtures("terminal")
def test_show_on_a_terminal_draws_the_run_and_says_what_next(cli: Cli, forked: str, waiting: str):
    said = cli.ok("runs", "show", forked).out
    for part in ("✓ large", "→ true", "- no", "[0] keep", "2 iterations", '"done": true', "The run has ended: completed"):
        assert part in said
    said = cli.ok("runs", "show", waiting).out
    assert "… go" in said
    assert "The step go waits for the signal go." in said
    assert f"flowforge runs signal {waiting} go" in said
    assert f"flowforge runs continue {waiting}" in said


@pytest.mark.usefixtures("terminal")
def test_runs_on_a_terminal_are_tables(cli: Cli, forked: str):
    assert cli.ok("runs", "list").out.splitlines()[0].split()[:4] == ["run", "workflow", "version", "status"]
    assert "run.started" in cli.ok("runs", "events", forked).out
    assert "It is large" in cli.ok("runs", "logs", forked).out
    assert "work:1.txt" in cli.ok("runs", "effects", forked).out
    assert cli.ok("runs", "why", forked).out.startswith("The run has ended: completed at ")
    assert " completed in " in cli.ok("runs", "watch", forked).out.splitlines()[0]


def test_events_begin_behind_the_one_that_was_seen(cli: Cli, forked: str):
    rows = cli.ok("runs", "events", forked).rows
    assert (rows[0]["type"], rows[-1]["type"]) == ("run.started", "run.finished")
    assert cli.ok("runs", "events", forked, "--after", str(rows[2]["seq"])).rows == rows[3:]
    assert cli.ok("runs", "events", forked, "--follow").rows == rows


def test_logs_are_those_of_the_steps(cli: Cli, forked: str):
    row = cli.ok("runs", "logs", forked).row
    assert (row["step"], row["iteration"], row["level"], row["message"], row["fields"]) == (
        "yes",
        "",
        "info",
        "It is large",
        {"n": 1},
    )
    assert cli.ok("runs", "logs", forked, "--follow").row == row
    assert cli.ok("runs", "logs", forked, "--step", "no").rows == []


def test_effects_are_told_with_target_and_key(cli: Cli, forked: str):
    rows = cli.ok("runs", "effects", forked).rows
    shown = [(row["operation"], row["iteration"], row["target"], row["state"]) for row in rows]
    assert shown == [
        ("log.write", "", None, "confirmed"),
        ("file.write", "items.0", "work:1.txt", "confirmed"),
        ("file.write", "items.1", "work:2.txt", "confirmed"),
    ]
    assert len({str(row["key"]) for row in rows}) == 3


def test_export_holds_definition_journal_and_effects(cli: Cli, forked: str, tmp_path: Path):
    document = json.loads(cli.ok("runs", "export", forked).out)
    assert document["definition"]["name"] == "fork"
    assert document["journal"][0]["events"][0]["type"] == "run.started"
    assert document["journal"][-1]["events"][-1]["type"] == "run.finished"
    assert len(document["effects"]) == 3
    cli.ok("runs", "export", forked, "-o", str(tmp_path / "run.json"))
    assert json.loads((tmp_path / "run.json").read_text()) == document


def test_export_holds_no_secret(cli: Cli, write_workflow: WriteWorkflow):
    cli.ok("secrets", "set", "TOKEN", stdin="canary-of-a-secret")
    file = write_workflow("signs", "steps: [{id: sign, uses: crypto.hmac, with: {data: x, key: '${{ secrets.TOKEN }}'}}]")
    run_id = str(cli.start(file)[1]["run_id"])
    exported = cli.ok("runs", "export", run_id).out
    assert "canary-of-a-secret" not in exported
    assert "TOKEN" in exported


def test_watch_follows_a_run_of_another_process_to_its_end(cli: Cli, write_workflow: WriteWorkflow):
    with running(cli, "run", write_workflow("slow", SLOW)) as process:
        run_id = read_until(process, "run.waiting")
        with running(cli, "runs", "watch", run_id) as watcher:
            assert read_until(watcher, "run.waiting") == run_id
            cli.ok("runs", "cancel", run_id)
            out, _ = watcher.communicate(timeout=20)
        process.wait(timeout=10)
    last = json.loads(out.splitlines()[-1])
    assert (last["type"], last["status"], watcher.returncode, process.returncode) == ("result", "cancelled", 1, 1)


def test_signal_carries_its_payload(cli: Cli, waiting: str):
    said = cli.ok("runs", "signal", waiting, "go", "--payload", '{"a": 1}')
    assert said.row == {"run_id": waiting, "sent": "signal"}
    assert f"flowforge runs continue {waiting}" in said.err
    assert carry(cli, waiting) == "waiting"
    assert "waits for a person" in str(cli.ok("runs", "why", waiting).row["sentence"])
    cli.ok("runs", "skip", waiting, "read", "--output", '"mine"')
    assert carry(cli, waiting) == "completed"
    assert cli.ok("runs", "show", waiting).row["output"] == {"go": {"a": 1}, "read": "mine"}


def test_step_that_asks_is_tried_again(cli: Cli, waiting: str):
    cli.ok("runs", "signal", waiting, "go")
    assert carry(cli, waiting) == "waiting"
    run = cli.ok("runs", "show", waiting).row
    assert run["waiting_for"] != []
    (cli.data / "work" / "nothing.txt").write_text("now")
    cli.ok("runs", "retry", waiting, "read")
    assert carry(cli, waiting) == "completed"


def test_run_is_paused_and_resumed(cli: Cli, waiting: str):
    cli.ok("runs", "pause", waiting)
    assert carry(cli, waiting) == "paused"
    assert "paused by a person" in str(cli.ok("runs", "why", waiting).row["sentence"])
    assert cli.ok("runs", "show", waiting).row["status"] == "paused"
    cli.ok("runs", "resume", waiting)
    assert carry(cli, waiting) == "waiting"


def test_run_is_cancelled_once(cli: Cli, waiting: str):
    cli.ok("runs", "cancel", waiting, "--reason", "No longer needed.")
    assert carry(cli, waiting) == "cancelled"
    for command in (["cancel"], ["pause"], ["signal"]):
        said = cli("runs", *command, waiting, *(["go"] if command == ["signal"] else []))
        assert (said.code, said.error["code"]) == (6, "CONFLICT")
    for command in ("retry", "skip"):
        assert cli("runs", command, waiting, "go").code == 6


def test_input_of_an_open_run_is_corrected(cli: Cli, write_workflow: WriteWorkflow):
    file = write_workflow(
        "edits",
        "input: {type: object, properties: {n: {type: integer, default: 1}}}\n"
        "steps: [{id: go, uses: flow.wait, with: {signal: go}}]\noutput: '${{ input.n }}'",
    )
    run_id = str(cli.start(file)[1]["run_id"])
    assert cli("runs", "edit", run_id, "--set", "n=x").code == 2
    assert cli("runs", "edit", run_id).code == 2
    cli.ok("runs", "edit", run_id, "--set", "n=7")
    cli.ok("runs", "signal", run_id, "go")
    assert carry(cli, run_id) == "completed"
    run = cli.ok("runs", "show", run_id).row
    assert (run["input"], run["output"]) == ({"n": 7}, 7)


def test_unknown_outcome_is_resolved_by_a_person(cli: Cli, write_workflow: WriteWorkflow):
    file = write_workflow("unknown", "steps: [{id: pay, uses: flow.wait, with: {signal: go}}]")
    run_id = str(cli.start(file)[1]["run_id"])
    said = cli("runs", "resolve", run_id, "pay", "--happened")
    assert (said.code, "waits for a person" in str(said.error["message"])) == (6, True)
    assert cli("runs", "resolve", run_id, "pay").code == 2


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["retry", "go"], 6),
        (["retry", "nope"], 4),
        (["skip", "read"], 6),
        (["resolve", "nope", "--happened"], 4),
        (["skip", "go", "--output", "{"], 2),
    ],
)
def test_steering_that_does_not_fit_is_refused(cli: Cli, waiting: str, args: list[str], code: int):
    command, *rest = args
    assert cli("runs", command, waiting, *rest).code == code


@pytest.mark.parametrize(
    "args",
    [
        ["show"],
        ["watch"],
        ["events"],
        ["logs"],
        ["why"],
        ["effects"],
        ["export"],
        ["cancel"],
        ["pause"],
        ["resume"],
        ["continue"],
    ],
)
@pytest.mark.parametrize("run_id", [UNKNOWN, "run_1", "../etc"])
def test_unknown_run_is_not_found(cli: Cli, args: list[str], run_id: str):
    said = cli("runs", *args, run_id)
    assert (said.code, said.error["code"]) == (4, "NOT_FOUND")


def test_dead_letters_are_listed_redriven_and_discarded(cli: Cli, write_workflow: WriteWorkflow):
    assert cli.ok("dead-letters", "list").rows == []
    file = write_workflow("poison", "steps: [{id: kill, uses: file.write, with: {path: a.txt, text: x}}]")
    run_ids = [str(cli.ok("run", file, "--detach").row["run_id"]) for _ in range(2)]
    for run_id in run_ids:
        poison(cli, run_id)
    rows = cli.ok("dead-letters", "list").rows
    assert sorted(str(row["id"]) for row in rows) == sorted(run_ids)
    assert [(row["step"], row["crashes"], row["attempts"]) for row in rows] == [("kill", 3, 1)] * 2
    assert all(str(row["dead_at"]) >= str(row["started_at"]) for row in rows)
    assert cli.ok("dead-letters", "show", run_ids[0]).row["status"] == "waiting"
    assert "ended its worker" in str(cli.ok("runs", "why", run_ids[0]).row["sentence"])
    cli.ok("dead-letters", "redrive", run_ids[0])
    cli.ok("dead-letters", "discard", run_ids[1])
    assert carry(cli, run_ids[0]) == "completed"
    assert carry(cli, run_ids[1]) == "failed"
    assert cli("dead-letters", "redrive", run_ids[0]).code == 2
    assert cli("dead-letters", "discard", UNKNOWN).code == 4


def poison(cli: Cli, run_id: str) -> None:
    """What is left of a run that has ended three workers in the middle of its step."""
    with sqlite3.connect(cli.data / "flowforge.db") as database:
        (no,) = database.execute("SELECT no FROM runs WHERE id=?", (run_id,)).fetchone()
        plan = {"type": "step.planned", "step": "kill", "attempt": 1, "key": "k", "digest": "d"}
        claim = {"type": "run.claimed", "epoch": 2, "worker": 1, "why": "due"}
        database.execute("INSERT INTO journal VALUES (?, 2, 2, 1, 1, ?)", (no, json.dumps([claim])))
        database.execute("INSERT INTO journal VALUES (?, 3, 2, 1, 1, ?)", (no, json.dumps([plan])))
        database.execute("UPDATE runs SET crashes=3, epoch=2, status='running' WHERE no=?", (no,))
        database.execute("UPDATE queue SET suspect=1, cause='expired' WHERE run_no=?", (no,))
    database.close()
    cli("runs", "continue", run_id, "--quiet")
