"""What people tell runs over HTTP, and what becomes of it."""

from typing import Any

import pytest
from sqlalchemy import select, update
from tests.runs.api_lab import QUICK, WAITING, ApiLab, read_code
from tests.support.web_lab import make_caller

from flowforge.audit.models import AuditRow
from flowforge.kit.crashpoint import crash_hook
from flowforge.runs.duties import AnswerDuty
from flowforge.runs.models import KeptAnswerRow

ASKING = """
flowforge: 1
name: asking
output: "${{ steps.pay.output }}"
steps:
  - id: pay
    uses: test.record
    with: {name: pay, failures: 1, value: 5}
    retry: {attempts: 1}
    on_error: ask
"""
CORRECTED = """
flowforge: 1
name: corrected
input:
  type: object
  properties:
    amount: {type: integer, default: 1}
    note: {type: string, default: ""}
output: "${{ input.amount }}"
steps:
  - id: wait
    uses: flow.wait
    with: {signal: go}
"""


async def actions(lab: ApiLab) -> list[str]:
    async with lab.web.call().read() as session:
        return list((await session.scalars(select(AuditRow.action).order_by(AuditRow.no))).all())


async def test_run_is_cancelled_and_recorded(lab: ApiLab):
    run = await lab.start(WAITING)
    answer = await lab.post(f"/runs/{run.run_id}/cancel", {"reason": "a mistake"})
    assert (answer.status_code, answer.json()["sent"]) == (202, "cancel")
    assert (await lab.finish(run)).status == "cancelled"
    assert await actions(lab) == ["run.cancelled"]


async def test_run_is_paused_and_resumed(lab: ApiLab):
    run = await lab.start(WAITING)
    assert (await lab.post(f"/runs/{run.run_id}/pause")).status_code == 202
    await lab.engine.until(lambda: any(event["type"] == "run.mail" for event in lab.engine.events(run.run_no)))
    assert (await lab.get(f"/runs/{run.run_id}"))["status"] == "paused"
    assert (await lab.post(f"/runs/{run.run_id}/resume")).status_code == 202
    assert await actions(lab) == ["run.paused", "run.resumed"]


async def test_signal_is_taken_once_with_an_idempotency_key(lab: ApiLab):
    run = await lab.start(WAITING)
    path, key = f"/runs/{run.run_id}/signals", {"Idempotency-Key": "k1"}
    await lab.post(f"/runs/{run.run_id}/pause")
    first = await lab.post(path, {"name": "approved", "payload": {"by": "ann"}}, headers=key)
    again = await lab.post(path, {"name": "approved", "payload": {"by": "ann"}}, headers=key)
    other = await lab.post(path, {"name": "approved", "payload": {"by": "bob"}}, headers=key)
    assert (first.status_code, first.json()["duplicate"]) == (202, False)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (202, "true")
    assert (other.status_code, other.json()["error"]["code"]) == (409, "IDEMPOTENCY_MISMATCH")
    await lab.post(f"/runs/{run.run_id}/resume")
    await lab.engine.until(lambda: lab.engine.events(run.run_no)[-1]["type"] == "run.finished")
    step = await lab.get(f"/runs/{run.run_id}/steps/approve")
    assert step["output"] == {"by": "ann"}
    late = await lab.post(path, {"name": "approved", "payload": {"by": "ann"}}, headers=key)
    assert (late.status_code, late.json()) == (202, again.json())
    assert (await actions(lab)).count("run.signalled") == 1


async def test_key_of_a_signal_that_was_refused_is_free_again(lab: ApiLab):
    run = await lab.start(QUICK)
    path, key = f"/runs/{run.run_id}/signals", {"Idempotency-Key": "k1"}
    for name in ("approved", "other"):
        assert read_code(await lab.post(path, {"name": name}, headers=key)) == "run_ended"


async def test_signal_to_all_is_sent_once_with_an_idempotency_key(lab: ApiLab):
    run, key = await lab.start(WAITING), {"Idempotency-Key": "k1"}

    async def send(name: str) -> tuple[int, str | None, Any]:
        answer = await lab.post("/signals", {"name": name}, headers=key)
        return answer.status_code, answer.headers.get("idempotency-replayed"), answer.json()

    assert await send("approved") == (202, None, {"name": "approved", "reached": 1})
    assert (await lab.finish(run)).status == "completed"
    assert await send("approved") == (202, "true", {"name": "approved", "reached": 1})
    assert (await send("other"))[0] == 409
    assert await actions(lab) == ["signal.sent"]
    late = await lab.start(WAITING)
    assert [event["type"] for event in lab.engine.events(late.run_no)].count("run.mail") == 0
    lab.engine.advance(24 * 3_600_000)
    await AnswerDuty(lab.web.parts).run_once()
    assert await send("other") == (202, None, {"name": "other", "reached": 0})


@pytest.mark.parametrize("died", ["before_delivery", "before_its_answer"])
async def test_signal_whose_server_died_is_sent_by_the_repeat(lab: ApiLab, died: str):
    """The row of the request is there, its answer is not."""
    run, key = await lab.start(WAITING), {"Idempotency-Key": "k1"}
    path = "/signals" if died == "before_delivery" else f"/runs/{run.run_id}/signals"

    def die(name: str) -> None:
        if name == "CP29":
            raise ConnectionAbortedError

    with crash_hook(die):
        first = await lab.post(path, {"name": "approved"}, headers=key)
    if died == "before_delivery":
        assert first.status_code == 500
    else:
        assert (await lab.finish(run)).status == "completed"
        async with lab.web.call().change() as session:
            await session.execute(update(KeptAnswerRow).values(answer=None))
    assert (await lab.post(path, {"name": "approved"}, headers=key)).status_code == 202
    assert (await lab.finish(run)).status == "completed"
    assert len(await actions(lab)) == 1
    assert [event["type"] for event in lab.engine.events(run.run_no)].count("run.mail") == 1


async def test_signal_reaches_all_runs_that_wait(lab: ApiLab):
    runs = [await lab.start(WAITING) for _ in range(2)]
    answer = await lab.post("/signals", {"name": "approved"})
    assert (answer.status_code, answer.json()) == (202, {"name": "approved", "reached": 2})
    for run in runs:
        assert (await lab.finish(run)).status == "completed"


async def test_step_that_asks_is_retried(lab: ApiLab):
    run = await lab.start(ASKING)
    answer = await lab.post(f"/runs/{run.run_id}/steps/pay/retry")
    assert (answer.status_code, answer.json()["steps"]) == (202, ["pay"])
    assert (await lab.finish(run)).status == "completed"
    assert await actions(lab) == ["step.retried"]


async def test_run_is_retried_where_its_steps_wait(lab: ApiLab):
    run = await lab.start(ASKING)
    answer = await lab.post(f"/runs/{run.run_id}/retry")
    assert (answer.status_code, answer.json()["steps"]) == (202, ["pay"])
    assert (await lab.finish(run)).status == "completed"


async def test_run_that_waits_for_a_signal_has_nothing_to_retry(lab: ApiLab):
    run = await lab.start(WAITING)
    answer = await lab.post(f"/runs/{run.run_id}/retry")
    assert (answer.status_code, read_code(answer)) == (409, "nothing_to_retry")


async def test_step_is_skipped_with_an_output(lab: ApiLab):
    run = await lab.start(ASKING)
    answer = await lab.post(f"/runs/{run.run_id}/steps/pay/skip", {"output": {"paid": True}})
    assert answer.status_code == 202
    outcome = await lab.finish(run)
    assert (outcome.status, outcome.output) == ("completed", {"paid": True})


async def test_step_is_only_resolved_where_it_asks(lab: ApiLab):
    run = await lab.start(WAITING)
    answer = await lab.post(f"/runs/{run.run_id}/steps/approve/resolve", {"happened": True})
    assert (answer.status_code, read_code(answer)) == (409, "step_state")
    asking = await lab.start(ASKING)
    assert (await lab.post(f"/runs/{asking.run_id}/steps/pay/resolve", {"happened": True, "output": 9})).status_code == 202
    assert (await lab.finish(asking)).output == 9


async def test_input_is_corrected_by_a_merge_patch(lab: ApiLab):
    run = await lab.start(CORRECTED, {"amount": 2, "note": "old"})
    path = f"/api/v1/runs/{run.run_id}/input"
    assert (await lab.client.patch(path, json={"amount": 3, "note": None})).status_code == 202
    await lab.post(f"/runs/{run.run_id}/signals", {"name": "go"})
    outcome = await lab.finish(run)
    assert (outcome.status, outcome.output) == ("completed", 3)


async def test_api_40_correction_that_does_not_fit(lab: ApiLab):
    run = await lab.start(CORRECTED, {"amount": 2})
    answer = await lab.client.patch(f"/api/v1/runs/{run.run_id}/input", json={"amount": "many"})
    assert answer.status_code == 422
    assert answer.json()["error"]["details"][0]["field"] == "input.amount"
    assert await actions(lab) == []


async def test_ended_run_takes_no_word(lab: ApiLab):
    run = await lab.start(QUICK)
    for tail, body in (
        ("cancel", None),
        ("pause", None),
        ("retry", None),
        ("signals", {"name": "x"}),
        ("steps/first/skip", None),
    ):
        answer = await lab.post(f"/runs/{run.run_id}/{tail}", body)
        assert (answer.status_code, read_code(answer)) == (409, "run_ended"), tail
    assert await actions(lab) == []


async def test_only_ended_runs_are_deleted(lab: ApiLab):
    open_run, ended = await lab.start(WAITING), await lab.start(QUICK)
    answer = await lab.client.delete(f"/api/v1/runs/{open_run.run_id}")
    assert (answer.status_code, read_code(answer)) == (409, "run_open")
    assert (await lab.client.delete(f"/api/v1/runs/{ended.run_id}")).status_code == 204
    assert (await lab.client.get(f"/api/v1/runs/{ended.run_id}")).status_code == 404
    assert lab.engine.events(ended.run_no) == []
    assert await actions(lab) == ["run.deleted"]


@pytest.mark.parametrize(
    ("permission", "allowed"),
    [("run:read", []), ("run:operate", ["pause", "signals"]), ("run:cancel", ["cancel"]), ("run:delete", [])],
)
async def test_each_action_needs_its_permission(lab: ApiLab, permission: str, allowed: list[str]):
    run = await lab.start(WAITING)
    lab.web.gate.caller = make_caller("run:read", permission)
    for tail, body in (("cancel", None), ("pause", None), ("signals", {"name": "other"})):
        answer = await lab.post(f"/runs/{run.run_id}/{tail}", body)
        assert answer.status_code == (202 if tail in allowed else 403), tail


async def test_api_21_run_of_another_workspace_is_not_steered(lab: ApiLab):
    run = await lab.start(WAITING)
    lab.web.gate.caller = make_caller(workspace_id="ws_" + "1" * 26)
    for tail, body in (
        ("cancel", None),
        ("pause", None),
        ("retry", None),
        ("signals", {"name": "approved"}),
        ("steps/approve/skip", None),
    ):
        assert (await lab.post(f"/runs/{run.run_id}/{tail}", body)).status_code == 404, tail
    assert (await lab.client.delete(f"/api/v1/runs/{run.run_id}")).status_code == 404
    assert (await lab.post("/signals", {"name": "approved"})).json()["reached"] == 0
    assert lab.engine.read(run).of("run.mail") == []
