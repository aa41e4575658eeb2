"""Middlewares around the attempts of an engine: effects, pure steps, heavy processes, secrets, retries, a crash; and kept results."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import cast

import pytest
from tests.support import heavy_operations
from tests.support.documents import make_document
from tests.support.lab import Lab

from flowforge.kit.caching import MemoryCache
from flowforge.kit.values import JsonObject
from flowforge.operations import (
    AttemptError,
    Cache,
    Exit,
    FatalError,
    Middleware,
    Nature,
    OperationCall,
    OperationContext,
    RetryableError,
    StrictModel,
    operation,
)
from flowforge.operations.caching import ResultCache

SECRET = "s3cret-canary"
HOUR = timedelta(hours=1)


class Nothing(StrictModel):
    """No parameters."""


class Notes:
    """A middleware that writes down what it sees. `before` adds to what it is told."""

    def __init__(self, lab: Lab, *operations: str, more: JsonObject | None = None) -> None:
        self.seen: list[tuple[str, JsonObject, int, str]] = []
        self.faults: list[str] = []
        self._more = more
        lab.registry.register_middleware(Middleware("notes", self._before, self._after, self._fail, operations or ("*",)))

    async def _before(self, call: OperationCall) -> JsonObject | None:
        context = call.context
        self.seen.append((call.operation.name, call.parameters, context.attempt, context.idempotency_key))
        context.log("info", "seen")
        return None if self._more is None else call.parameters | self._more

    async def _after(self, call: OperationCall, found: Exit) -> Exit | None:
        return Exit(found.port, {"wrapped": found.result}) if isinstance(found.result, dict) else None

    async def _fail(self, call: OperationCall, fault: AttemptError) -> AttemptError | None:
        self.faults.append(fault.code)
        return FatalError("Enough.", code="enough") if call.context.attempt == 2 else None


async def test_effects_pure_steps_and_heavy_ones_have_it_around_them(lab: Lab):
    lab.registry.register_module(heavy_operations, "the tests")
    notes = Notes(lab)
    outcome = await lab.run(
        make_document(
            "- {id: a, uses: test.record, with: {name: a, value: 1}}\n"
            "- {id: b, uses: test.double, with: {number: 4}}\n"
            "- {id: c, uses: test.count, with: {up_to: 3}}\n"
        )
    )
    assert outcome.status == "completed"
    assert [name for name, *_ in notes.seen] == ["test.record", "test.double", "test.count"]
    outputs = [cast("JsonObject", event["output"])["wrapped"] for event in outcome.of("step.completed")]
    assert outputs[1] == {"number": 8}
    assert cast("JsonObject", outputs[2])["total"] == 3
    # A pure step stays one: the journal plans no attempt of it, and its key is that of a step nevertheless.
    assert outcome.plans() == ["a", "c"]
    assert {attempt for _, _, attempt, _ in notes.seen} == {1}
    assert len({key for *_, key in notes.seen}) == 3


async def test_a_secret_is_masked_and_reaches_the_operation_all_the_same(lab: Lab):
    lab.shelf.secrets["TOKEN"] = SECRET
    notes = Notes(lab, "test.tell", more={"fails": False})
    text = '"Bearer ${{ secrets.TOKEN }}"'
    outcome = await lab.run(make_document(f"- {{id: a, uses: test.tell, with: {{secret: {text}, fails: true}}}}\n"))
    assert outcome.status == "completed"
    assert notes.seen[0][1] == {"secret": "Bearer ***", "fails": True}
    assert lab.book.entries()[0].value == len(f"Bearer {SECRET}")
    assert SECRET not in repr(outcome.events)


async def test_retries_go_through_it_each_time_until_it_ends_them(lab: Lab):
    notes = Notes(lab, "test.record")
    step = "- {id: a, uses: test.record, with: {name: a, failures: -1}, retry: {attempts: 5, initial: 1ms}}\n"
    outcome = await lab.run(make_document(step))
    assert (notes.faults, outcome.error["code"]) == (["broken", "broken"], "enough")
    assert len({key for *_, key in notes.seen}) == 1


@pytest.mark.parametrize("kind", ["test.record, with: {name: a}", "test.double, with: {number: 1}"])
async def test_a_veto_fails_the_step_before_anything_happens(kind: str, lab: Lab):
    async def veto(call: OperationCall) -> None:
        raise RetryableError("Closed.", code="closed")

    lab.registry.register_middleware(Middleware("veto", before=veto))
    outcome = await lab.run(make_document(f"- {{id: a, uses: {kind}}}\n"))
    assert (outcome.status, outcome.error["code"], lab.book.names()) == ("failed", "closed", [])


async def test_after_a_crash_the_attempt_is_made_again_with_it(lab: Lab):
    notes, gate = Notes(lab), lab.book.gate("a")
    started = await lab.start(make_document("- {id: a, uses: test.record, with: {name: a}}\n"))
    await lab.until(lambda: lab.book.names() == ["a"])
    await lab.crash()
    gate.set()
    await lab.restart()
    outcome = await lab.finish(started)
    assert outcome.status == "completed"
    assert cast("JsonObject", outcome.of("step.completed")[0]["output"]).keys() == {"wrapped"}
    assert len(notes.seen) == 2
    assert notes.seen[0][3] == notes.seen[1][3]


async def test_a_kept_result_goes_through_them_and_into_the_journal_and_the_log_tells_of_it(lab: Lab):
    lab.services = {ResultCache: MemoryCache(lab.clock)}
    calls: list[str] = []

    @operation("test.look", title="L", category="test", icon="x", nature=Nature.EFFECT, cache=Cache(HOUR, only_reads=True))
    async def look(parameters: Nothing, context: OperationContext) -> JsonObject:
        """Looks once an hour."""
        calls.append(context.run_id)
        return {"look": len(calls)}

    lab.registry.register(look)
    await lab.engine.close(1_000)
    lab.store.close()
    await lab.restart()
    notes = Notes(lab, "test.look")
    outcome = await lab.run(make_document("- {id: a, uses: test.look}\n- {id: b, uses: test.look}\n"))
    assert [event["output"] for event in outcome.of("step.completed")] == [{"wrapped": {"look": 1}}] * 2
    assert (len(calls), len(notes.seen)) == (1, 2)
    with closing(sqlite3.connect(lab.database)) as connection:
        told = connection.execute("SELECT step FROM step_logs WHERE message LIKE 'Nothing was called%'").fetchall()
    assert told == [("b",)]
