"""Events of the outbox start runs: each once, none lost, never in a circle."""

import asyncio
from collections.abc import AsyncGenerator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import insert
from tests.support.databases import Kind
from tests.support.language_catalog import catalog
from tests.support.sessions import KINDS
from tests.support.trigger_lab import TriggerLab, make_firing, open_trigger_lab

from flowforge.engine.store import NewEvent
from flowforge.engine.tables import outbox
from flowforge.kit.border import encode
from flowforge.kit.errors import ConflictError, StorageError
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID, make_id
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.runs.repository import insert_event
from flowforge.triggers.event_listening import CHAIN_MAX, GAP_MS, EventDuty
from flowforge.triggers.event_sources import SOURCES
from flowforge.triggers.event_trigger import check_event
from flowforge.triggers.inputs import Inputs
from flowforge.triggers.source_models import EventReaderRow

NOW = 1_775_034_000_000
_SEQUENCE = count(1)


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncGenerator[TriggerLab]:
    async with open_trigger_lab(tmp_path, NOW) as lab:
        yield lab


def make_duty(lab: TriggerLab, *, is_ordered: bool = False) -> EventDuty:
    inputs = Inputs(lab.database.read, catalog(), Limits())
    firing = make_firing(lab.database, lab.runner, lab.clock)
    return EventDuty(lab.database, firing, inputs, lab.clock, is_ordered=is_ordered)


async def tell(
    lab: TriggerLab,
    name: str = "run.finished",
    data: JsonObject | None = None,
    *,
    no: int | None = None,
    workspace_id: str = DEFAULT_WORKSPACE_ID,
) -> None:
    subject = make_id("run")
    told: JsonObject = {"run_id": subject} if data is None else data
    payload = encode({"seq": next(_SEQUENCE), "actor": "user:x", "data": told}).decode()
    row = {
        "workspace_id": workspace_id,
        "aggregate_type": "run",
        "aggregate_id": subject,
        "event_type": name,
        "payload": payload,
        "created_at": lab.clock.now_ms(),
        "attempts": 0,
    }
    async with lab.database.write.begin() as session:
        await session.execute(insert(outbox).values(**row, **({} if no is None else {"no": no})))


async def read_position(lab: TriggerLab) -> int:
    async with lab.database.read() as session:
        return (await session.get_one(EventReaderRow, "triggers")).position


async def test_an_event_starts_one_run_with_its_data_as_input(lab: TriggerLab):
    duty = make_duty(lab)
    await lab.add("event", {"type": "run.finished"})
    await tell(lab)
    await duty.run_once()
    assert await lab.list_runs() == [], "what happened before the first pass is left alone"
    await tell(lab, data={"status": "failed"})
    await tell(lab, "run.started")
    await tell(lab, workspace_id="ws_" + "1" * 26)
    for _ in range(2):
        await duty.run_once()
    await make_duty(lab).run_once()
    (run,) = await lab.list_runs()
    assert run.input == {"status": "failed"}
    event = run.trigger["event"]
    assert isinstance(event, dict)
    assert event["type"] == "run.finished"
    assert run.trigger["chain"] == 1


async def test_a_condition_chooses_events(lab: TriggerLab):
    duty = make_duty(lab)
    await duty.run_once()
    await lab.add("event", {"type": "run.*", "where": "${{ trigger.event.data.status == 'failed' }}"})
    await lab.add("event", {"type": "run.finished", "where": False}, key="never")
    for status in ("failed", "completed"):
        await tell(lab, data={"status": status})
    await tell(lab, "run.started", data={"other": 1})
    await duty.run_once()
    assert [run.input for run in await lab.list_runs()] == [{"status": "failed"}]


async def test_a_number_that_is_committed_late_is_not_passed_over(lab: TriggerLab):
    duty = make_duty(lab)
    await duty.run_once()
    await lab.add("event", {"type": "run.finished"})
    start = await read_position(lab)
    await tell(lab, data={"n": 2}, no=start + 2)
    await duty.run_once()
    assert len(await lab.list_runs()) == 1
    assert await read_position(lab) == start
    await tell(lab, data={"n": 1}, no=start + 1)
    await duty.run_once()
    await make_duty(lab).run_once()
    assert [run.input for run in await lab.list_runs()] == [{"n": 2}, {"n": 1}]
    lab.clock.advance(GAP_MS + 1)
    await duty.run_once()
    assert await read_position(lab) == start + 2


async def test_a_number_that_never_comes_is_passed_over_in_the_end(lab: TriggerLab):
    duty = make_duty(lab)
    await duty.run_once()
    start = await read_position(lab)
    await tell(lab, no=start + 5)
    await duty.run_once()
    assert await read_position(lab) == start
    lab.clock.advance(GAP_MS + 1)
    await duty.run_once()
    assert await read_position(lab) == start + 5


async def test_runs_that_start_each_other_end_in_event_loop(lab: TriggerLab):
    duty = make_duty(lab)
    await duty.run_once()
    await lab.add("event", {"type": "run.finished"})
    await tell(lab)
    for _ in range(CHAIN_MAX + 3):
        await duty.run_once()
        found = await lab.list_runs()
        await tell(lab, data={"run_id": found[-1].id})
    assert len(await lab.list_runs()) == CHAIN_MAX
    assert [run.trigger["chain"] for run in await lab.list_runs()] == list(range(1, CHAIN_MAX + 1))


async def test_an_event_that_could_not_be_offered_is_offered_again(lab: TriggerLab):
    duty = make_duty(lab)
    await duty.run_once()
    await lab.add("event", {"type": "run.finished"})
    await tell(lab, data={"n": 1})
    await tell(lab, data={"n": 2})
    lab.runner.faults = [StorageError("Away."), ConflictError("Full.")]
    with pytest.raises(StorageError):
        await duty.run_once()
    await duty.run_once()
    assert [run.input for run in await lab.list_runs()] == [{"n": 2}], "the first was refused by its workflow"


@pytest.mark.parametrize("kind", KINDS)
async def test_two_readers_start_one_run_for_each_event(kind: Kind, tmp_path: Path):
    async with open_trigger_lab(tmp_path, NOW, kind=kind) as lab:
        duties = [make_duty(lab), make_duty(lab)]
        for duty in duties:
            await duty.run_once()
        await lab.add("event", {"type": "run.finished"})
        for number in range(3):
            await tell(lab, data={"n": number})
        await asyncio.gather(*(duty.run_once() for duty in duties))
        assert sorted(str(run.input) for run in await lab.list_runs()) == [str({"n": number}) for number in range(3)]
        await asyncio.gather(*(duty.run_once() for duty in duties))
        assert len(await lab.list_runs()) == 3, "what was read is not read again"


@pytest.mark.parametrize(
    ("name", "is_known"),
    [
        ("run.finished", True),
        ("batch.*", True),
        ("orders.paid", True),
        ("orders.*", True),
        ("approved", True),
        ("run.finishd", False),
        ("step.failed", False),
        ("step.*", False),
        ("*", False),
    ],
)
async def test_types_that_can_be_heard(name: str, is_known: bool):
    faults = await check_event(None, DEFAULT_WORKSPACE_ID, {"type": name}, Limits(), NOW)  # type: ignore[arg-type]
    assert [(fault.field, fault.code) for fault in faults] == ([] if is_known else [("type", "event_unknown")])


async def send(lab: TriggerLab, name: str, payload: JsonValue, key: str | None = None) -> None:
    signal: JsonObject = {"name": name, "payload": payload}
    event = NewEvent(DEFAULT_WORKSPACE_ID, name, key, encode(signal), "user:x", lab.clock.now_ms())
    async with lab.database.write.begin() as session:
        await insert_event(session, DEFAULT_WORKSPACE_ID, event)


@pytest.mark.parametrize("kind", KINDS)
async def test_named_events_start_runs_but_never_pass_for_our_own(kind: Kind, tmp_path: Path):
    async with open_trigger_lab(tmp_path, NOW, kind=kind) as lab:
        duty = make_duty(lab)
        await send(lab, "orders.paid", 0)
        await duty.run_once()
        for number, wanted in enumerate(("orders.*", "orders.paid", "orders_paid", "run.finished", "run.*")):
            await lab.add("event", {"type": wanted}, key=f"t{number}")
        await send(lab, "orders.paid", {"n": 1}, "k")
        await send(lab, "orders.paid", None)
        await send(lab, "Orders.paid", 2)
        await send(lab, "run.finished", {"status": "failed"})
        for _ in range(2):
            await duty.run_once()
        runs = await lab.list_runs()
        assert sorted(str(run.input) for run in runs) == ["{'n': 1}", "{'n': 1}", "{}", "{}"]
        event = runs[0].trigger["event"]
        assert isinstance(event, dict)
        assert (event["type"], event["subject"], event["actor"]) == ("orders.paid", "k", "user:x")


async def test_events_that_nobody_means_are_not_read(lab: TriggerLab):
    duty = make_duty(lab)
    await duty.run_once()
    trigger = await lab.add("event", {"type": "run.finished"})
    await tell(lab, data={"n": 1})
    for name in ("run.started", "trigger.fired", "run_finished"):
        await tell(lab, name)
    await tell(lab, workspace_id="ws_" + "1" * 26)
    async with lab.database.read() as session:
        rows = await SOURCES[0].list_meant(session, 0, [trigger], 500)
    assert [row["event_type"] for row in rows] == ["run.finished"]
    at_once = make_duty(lab, is_ordered=True)
    await at_once.run_once()
    assert await read_position(lab) == rows[0]["no"] + 4, "what nobody means is behind the reader all the same"
