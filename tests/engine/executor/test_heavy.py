"""Heavy operations: real processes, which fail, die and are killed."""

import asyncio
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest
from tests.support import heavy_operations
from tests.support.documents import make_document
from tests.support.lab import Lab, Outcome

from flowforge.engine.executor.heavy import HeavyJob, HeavyPool, HeavyServices
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject
from flowforge.operations.definition import FatalError, RetryableError


@pytest.fixture(autouse=True)
def _heavy(lab: Lab) -> None:
    lab.registry.register_module(heavy_operations, "the tests")


def logs(lab: Lab) -> list[tuple[str, str, int, str]]:
    with closing(sqlite3.connect(lab.database)) as connection:
        return connection.execute("SELECT level, message, attempt, fields FROM step_logs ORDER BY no").fetchall()


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def result_of(outcome: Outcome, step: str) -> JsonObject:
    return cast("JsonObject", outcome.of("step.completed", step)[0]["output"])


def break_it(how: str, more: str = "", path: Path | None = None) -> str:
    return make_document(f"- {{id: a, uses: test.break, with: {{how: {how}, path: '{path or ''}'}}{more}}}\n")


async def test_result_port_and_log_come_from_another_process(lab: Lab):
    outcome = await lab.run(make_document("- {id: a, uses: test.count, with: {up_to: 5, value: [null, {x: é}], low: true}}\n"))

    result, plan = result_of(outcome, "a"), outcome.of("step.planned")[0]
    assert outcome.status == "completed"
    assert (outcome.ports()["a"], result["total"], result["value"]) == ("low", 10, [None, {"x": "é"}])
    assert result["process"] != os.getpid()
    assert result["who"] == [outcome.started.run_id, "a", 1, plan["key"]]
    assert logs(lab) == [("info", "counted", 1, '{"total":10}')]


async def test_process_is_used_again(lab: Lab):
    steps = "".join(f"- {{id: s{number}, uses: test.count, with: {{up_to: 5}}}}\n" for number in range(3))

    outcome = await lab.run(make_document(steps))

    assert len({str(result_of(outcome, f"s{number}")["process"]) for number in range(3)}) == 1


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("fatal", {"code": "broken", "message": "It is broken.", "details": {"a": [1]}}),
        ("bug", {"code": "operation_failed", "message": "test.break failed with KeyError: 'what'"}),
        (
            "'no json'",
            {
                "code": "result_invalid",
                "message": "The details of the error odd are no JSON; this is a mistake in the operation.",
            },
        ),
    ],
)
async def test_error_comes_back(lab: Lab, how: str, expected: JsonObject):
    outcome = await lab.run(break_it(how))

    failed = outcome.of("step.failed")[0]
    assert failed["error"] == {**expected, "attempt": 1}
    assert [line[:3] for line in logs(lab)] == [("warning", "about to break", 1)]


async def test_retryable_error_says_when_and_whether_by_itself(lab: Lab):
    await lab.run(break_it("retryable", ", retry: {attempts: 3, initial: 10ms}"))
    outcome = await lab.run(break_it("retryable", ", retry: {attempts: 2, initial: 10ms, on: [later]}"))

    plans = outcome.of("step.planned")
    failed = outcome.of("step.failed")
    assert [plan["attempt"] for plan in plans] == [1, 2]
    assert failed[0]["retry_at"] is not None
    assert failed[1]["retry_at"] is None


async def test_parameters_that_do_not_fit_are_refused(lab: Lab):
    document = make_document('- {id: a, uses: test.count, with: {up_to: "${{ input.x }}"}}\n')

    assert (await lab.run(document, {"x": "many"})).error["code"] == "invalid_parameters"


@pytest.mark.parametrize(("how", "told"), [("kill", "by the signal SIGKILL"), ("exit", "with the code 3")])
async def test_death_of_the_process_fails_the_attempt_alone(lab: Lab, how: str, told: str):
    steps = f"""
- {{id: good, after: [], uses: test.count, with: {{up_to: 2000000}}}}
- {{id: bad, after: [], uses: test.break, with: {{how: {how}}}, on_error: continue}}
- {{id: then, after: [good, bad], uses: test.count, with: {{up_to: 2}}}}
"""
    outcome = await lab.run(make_document(steps))

    error = cast("JsonObject", outcome.of("step.failed", "bad")[0]["error"])
    assert outcome.status == "completed"
    assert error["code"] == "worker_died"
    assert told in str(error["message"])
    assert result_of(outcome, "then")["total"] == 1


async def test_death_of_the_process_is_retried(lab: Lab, tmp_path: Path):
    outcome = await lab.run(break_it("die once", ", retry: {attempts: 2, initial: 10ms}", tmp_path / "died"))

    assert outcome.status == "completed"
    assert [plan["attempt"] for plan in outcome.of("step.planned")] == [1, 2]


@pytest.mark.parametrize(("how", "tidies"), [("spin", True), ("deaf", False)])
async def test_time_out_ends_an_endless_loop(lab: Lab, tmp_path: Path, how: str, tidies: bool):
    path = tmp_path / "spinning"

    outcome = await lab.run(break_it(how, ", timeout: 400ms", path))

    assert outcome.error["code"] == "timeout"
    assert not is_alive(int(path.read_text()))
    assert path.with_suffix(".tidy").exists() == tidies


async def test_cancel_ends_an_endless_loop(lab: Lab, tmp_path: Path):
    path = tmp_path / "spinning"
    started = await lab.start(break_it("spin", "", path))
    await lab.until(lambda: path.exists() and path.read_text() != "")

    await lab.send(started, "cancel")
    outcome = await lab.finish(started)

    assert outcome.status == "cancelled"
    await lab.until(lambda: not is_alive(int(path.read_text())))


async def test_loop_is_not_held_up_meanwhile(lab: Lab, tmp_path: Path):
    path = tmp_path / "spinning"
    spinning = await lab.start(break_it("spin", "", path))
    await lab.until(lambda: path.exists() and path.read_text() != "")

    async with asyncio.timeout(3):
        for _ in range(20):
            quick = await lab.run(make_document("- {id: a, uses: test.record, with: {name: a}}\n"))
            assert quick.status == "completed"

    await lab.send(spinning, "cancel")
    assert (await lab.finish(spinning)).status == "cancelled"


async def test_no_more_processes_than_cores_and_waiting_for_one_is_no_time_out(lab: Lab):
    """Twice as many steps as there are processes, each with hardly more time than it needs itself."""
    amount = 2 * (os.cpu_count() or 1) + 1
    steps = "".join(
        f"- {{id: s{number}, after: [], uses: test.count, with: {{up_to: 3000000}}, timeout: 5s}}\n" for number in range(amount)
    )

    outcome = await lab.run(make_document(steps))

    processes = {str(result_of(outcome, f"s{number}")["process"]) for number in range(amount)}
    assert outcome.status == "completed"
    assert len(processes) <= (os.cpu_count() or 1)


async def test_secrets_are_known_there_and_hidden_in_all_that_comes_back(lab: Lab):
    lab.shelf.secrets["TOKEN"] = "hunter22hunter22hunter22"
    step = '- {id: a, uses: test.whisper, with: {secret: "${{ secrets.TOKEN }}", fails: "${{ input.fails }}"}}\n'
    told = await lab.run(make_document(step), {"fails": False})
    failed = await lab.run(make_document(step), {"fails": True})

    assert result_of(told, "a") == {"said": "***", "length": 24}
    assert failed.error["code"] == "operation_failed"
    written = lab.database.read_bytes() + (lab.folder / "flowforge.db-wal").read_bytes()
    assert b"hunter22" not in written
    assert [line[1] for line in logs(lab)] == ["it is ***", "it is ***"]


async def test_process_ends_with_the_engine(lab: Lab):
    outcome = await lab.run(make_document("- {id: a, uses: test.count, with: {up_to: 5}}\n"))
    process = cast("int", result_of(outcome, "a")["process"])
    assert is_alive(process)

    await lab.crash()
    assert not is_alive(process)
    await lab.restart()


def job(operation: str, **parameters: int) -> HeavyJob:
    return HeavyJob(operation, {**parameters}, [], "run_1", "a", 1, "k", 0)


@pytest.fixture
def begun() -> Iterator[list[str]]:
    seen: list[str] = []
    yield seen
    assert seen.count("begun") <= 1


async def call(pool: HeavyPool, wanted: HeavyJob, begun: list[str]) -> object:
    def write_line(at: int, level: str, message: str, fields: JsonObject) -> None:
        begun.append(f"{at} {level} {message} {fields}")

    try:
        return await pool.run(wanted, lambda: begun.append("begun"), write_line)
    finally:
        await pool.close()


async def test_operations_that_cannot_be_loaded_are_told_of(begun: list[str]):
    with pytest.raises(RetryableError, match="loading of operations ended with the code 1") as caught:
        await call(HeavyPool("tests.support.heavy_operations:nothing", Limits()), job("test.count", up_to=1), begun)

    assert caught.value.code == "worker_died"
    assert begun == []


async def test_operation_that_the_process_does_not_know_is_not_installed(begun: list[str]):
    with pytest.raises(FatalError) as caught:
        await call(HeavyPool("flowforge.steps:load_registry", Limits()), job("test.count", up_to=1), begun)

    assert caught.value.code == "not_installed"
    assert begun == ["begun"]


def ignore_line(_at: int, _level: str, _message: str, _fields: JsonObject) -> None:
    """What an operation logs does not matter here."""


SHELF = HeavyServices("tests.support.heavy_operations:make_services", {"shelf": "/shelves/ours"})


async def test_services_are_made_in_the_process(begun: list[str]):
    pool = HeavyPool("tests.support.heavy_operations:load", Limits(), SHELF)

    assert await call(pool, job("test.hoard", size_bytes=1_000_000), begun) == ("done", {"taken": 1_000_000, "shelf": "ours"})


async def test_g13_operation_that_takes_too_much_memory_fails_and_its_process_works_on(begun: list[str]):
    limits = Limits(parser_mem_bytes=2**26)
    pool = HeavyPool("tests.support.heavy_operations:load", limits, SHELF)
    try:
        with pytest.raises(FatalError, match="needs more than 64MiB of memory") as caught:
            await pool.run(job("test.hoard", size_bytes=2**30), lambda: None, ignore_line)
        after = await pool.run(job("test.hoard", size_bytes=2**20), lambda: None, ignore_line)
    finally:
        await pool.close()

    assert caught.value.code == "parser_limit"
    assert after == ("done", {"taken": 2**20, "shelf": "ours"})
    assert begun == []


async def test_pure_operation_with_a_file_runs_in_a_process(lab: Lab):
    file = "{file: {'$file': {id: x}}}"
    outcome = await lab.run(
        make_document(f"- {{id: a, uses: test.echo, with: {{data: 1}}}}\n- {{id: b, uses: test.echo, with: {file}}}\n")
    )

    assert result_of(outcome, "a") == {"data": 1}
    assert result_of(outcome, "b")["process"] != os.getpid()
    assert [plan["step"] for plan in outcome.of("step.planned")] == ["b"]


async def test_file_that_turns_out_null_is_as_if_not_given(lab: Lab):
    outcome = await lab.run(make_document("- {id: a, uses: test.echo, with: {file: '${{ null }}', data: 2}}\n"))

    assert result_of(outcome, "a") == {"data": 2}


async def test_file_in_an_expression_function_is_refused(lab: Lab):
    outcome = await lab.run(
        make_document("- {id: a, uses: flow.set, with: {values: {v: \"${{ test.echo({'file': {'x': 1}}) }}\"}}}\n")
    )

    assert outcome.status == "failed"
    assert "a step of its own" in str(outcome.error["message"])


async def test_engine_without_a_place_for_heavy_operations_says_so(begun: list[str]):
    with pytest.raises(FatalError, match="no place for heavy operations"):
        await call(HeavyPool(None, Limits()), job("test.count", up_to=1), begun)
