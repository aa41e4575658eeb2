"""The example `approval-by-signal`: approved, rejected, and nobody answered."""

import json
from pathlib import Path

import pytest
from tests.support.installed import EXAMPLES, Ended, Installed, Shell, open_installed

from flowforge.engine.executor import Started
from flowforge.kit.values import JsonObject

WORKFLOW = EXAMPLES / "approval-by-signal" / "approval-by-signal.yaml"
REQUEST: JsonObject = {"request_id": "R-17", "amount": 1200}


async def ask(place: Installed, **changes: str) -> tuple[Started, Ended]:
    """A run that stands still at its wait."""
    started = await place.start(WORKFLOW, {**REQUEST, **changes})
    return started, await place.finish(started, 100)


@pytest.mark.parametrize("is_approved", [True, False], ids=["approved", "rejected"])
async def test_the_decision_arrives_as_a_signal(is_approved: bool, tmp_path: Path):
    async with open_installed(tmp_path) as place:
        started, waiting = await ask(place)
        await place.signal(started, "decision", "R-99", {"approved": not is_approved, "by": "somebody else"})
        await place.signal(started, "decision", "R-17", {"approved": is_approved, "by": "ada"})
        ended = await place.finish(started, None)
        order = place.work / "orders" / "R-17.json"
        assert order.exists() == is_approved
        if is_approved:
            assert json.loads(order.read_text("utf-8")) == {"request": "R-17", "amount": 1200, "by": "ada"}
    assert waiting.status == "waiting"
    assert ended.status == "completed"
    assert ended.output == {"approved": is_approved, "by": "ada"}
    assert ("refuse" in ended.steps()) != is_approved


async def test_no_answer_in_time_is_an_answer_too(tmp_path: Path):
    async with open_installed(tmp_path) as place:
        ended = await place.run(WORKFLOW, {**REQUEST, "patience": "300ms"})
    assert ended.status == "completed"
    assert ended.output == {"approved": False, "by": None}
    assert [event["port"] for event in ended.of("step.completed") if event["step"] == "decision"] == ["expired"]


async def test_a_signal_that_comes_after_a_restart_finds_its_run(tmp_path: Path):
    async with open_installed(tmp_path) as place:
        started, _ = await ask(place)
    async with open_installed(tmp_path) as place:
        await place.signal(started, "decision", "R-17", {"approved": True, "by": "ada"})
        ended = await place.finish(started, None)
    assert ended.output == {"approved": True, "by": "ada"}


@pytest.mark.slow(60)
def test_the_commands_of_the_readme(tmp_path: Path):
    shell = Shell(tmp_path)
    waiting = shell.call("run", str(WORKFLOW), "--set", "request_id=R-17", "--set", "amount=1200", exit_code=3)[-1]
    run_id = str(waiting["run_id"])
    assert "waits for the signal decision with the key R-17" in str(shell.call("runs", "why", run_id)[0]["sentence"])
    shell.call("runs", "signal", run_id, "decision", "--key", "R-17", "--payload", '{"approved": true, "by": "ada"}')
    assert shell.call("runs", "continue", run_id)[-1]["output"] == {"approved": True, "by": "ada"}
