"""Retries and time-outs of attempts."""

import pytest
from tests.support.documents import make_document
from tests.support.lab import Lab, Outcome


def record(fields: str, retry: str) -> str:
    return make_document(f"- {{id: a, uses: test.record, with: {{name: a, {fields}}}, retry: {{{retry}}}}}\n")


def delays_ms(outcome: Outcome) -> list[int]:
    """From each failure to the time of its retry, by the policy: the turn's time is not in the event, the plan's is after it."""
    failed = outcome.of("step.failed", "a")
    fired = outcome.of("timer.fired")
    assert len(fired) == len([event for event in failed if event["retry_at"] is not None])
    return [int(str(event["due"])) for event in fired]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("backoff: fixed, initial: 20ms", [20, 20, 20]),
        ("backoff: linear, initial: 10ms", [10, 20, 30]),
        ("backoff: exponential, initial: 5ms, multiplier: 3", [5, 15, 45]),
        ("backoff: fibonacci, initial: 10ms", [10, 10, 20]),
        ("backoff: exponential, initial: 10ms, max: 15ms", [10, 15, 15]),
    ],
)
async def test_each_back_off_has_its_own_pauses(lab: Lab, policy: str, expected: list[int]):
    outcome = await lab.run(record("failures: 3", f"attempts: 4, jitter: false, {policy}"))

    assert outcome.status == "completed"
    rows = lab.store.load(outcome.started.run_no)
    pauses = [
        due - row.at for due, row in zip(delays_ms(outcome), (row for row in rows if b'"step.failed"' in row.body), strict=True)
    ]
    assert pauses == expected
    assert len(lab.book.entries()) == 4


async def test_f64_step_that_always_fails_has_its_attempts_and_no_more(lab: Lab):
    outcome = await lab.run(record("failures: -1, code: broken", "attempts: 4, initial: 20ms, backoff: fixed"))

    rows = [row for row in lab.store.load(outcome.started.run_no) if b'"step.failed"' in row.body]
    pauses = [due - row.at for due, row in zip(delays_ms(outcome), rows, strict=False)]
    assert outcome.status == "failed"
    assert outcome.error["code"] == "broken"
    assert outcome.error["attempt"] == 4
    assert len(lab.book.entries()) == 4
    assert len(pauses) == 3
    assert all(10 <= pause <= 20 for pause in pauses)
    assert len({entry.key for entry in lab.book.entries()}) == 1


async def test_f58_attempt_that_is_put_off_uses_up_none_of_the_budget(lab: Lab):
    outcome = await lab.run(record("postponed: 3, failures: 4, after_ms: 20", "attempts: 2, initial: 5ms, backoff: fixed"))

    failed = outcome.of("step.failed", "a")
    assert outcome.status == "completed"
    assert [event.get("postponed", False) for event in failed] == [True, True, True, False]
    assert [event["attempt"] for event in failed] == [1, 2, 3, 4]


async def test_f58_step_that_is_put_off_goes_on_after_a_restart(lab: Lab):
    started = await lab.start(record("postponed: 2, after_ms: 300", "attempts: 1"))
    await lab.until(lambda: len(lab.book.entries()) == 1)
    await lab.crash()
    await lab.restart()

    outcome = await lab.finish(started)
    assert outcome.status == "completed"
    assert len(lab.book.entries()) == 3


async def test_f64_budget_goes_on_after_a_restart(lab: Lab):
    started = await lab.start(record("failures: -1", "attempts: 3, initial: 400ms, backoff: fixed, jitter: false"))
    await lab.until(lambda: len(lab.book.entries()) == 2)
    await lab.crash()
    await lab.restart()

    outcome = await lab.finish(started)

    assert outcome.status == "failed"
    assert len(outcome.of("step.failed", "a")) <= 3
    assert len(lab.book.entries()) in {3, 4}


async def test_servers_wish_beats_the_policys_longest_pause(lab: Lab):
    outcome = await lab.run(record("failures: 1, after_ms: 120", "attempts: 2, initial: 1ms, max: 5ms"))

    entries = lab.book.entries()
    assert outcome.status == "completed"
    assert 120 <= entries[1].at_ms - entries[0].at_ms < 2_000


async def test_servers_wish_is_capped_at_an_hour(lab: Lab):
    started = await lab.start(record("failures: 1, after_ms: 86400000", "attempts: 2, initial: 1ms"))
    outcome = await lab.finish(started, 5_000)

    row = next(row for row in lab.store.load(started.run_no) if b'"step.failed"' in row.body)
    assert outcome.status == "waiting"
    assert outcome.of("step.failed", "a")[0]["retry_at"] == row.at + 3_600_000
    lab.advance(3_600_000)
    assert (await lab.finish(started)).status == "completed"


@pytest.mark.parametrize(("codes", "attempts"), [("[broken]", 3), ("[other]", 1), ("['http_*']", 1), ("[other, broken]", 3)])
async def test_only_listed_codes_are_retried(lab: Lab, codes: str, attempts: int):
    outcome = await lab.run(record("failures: -1", f"attempts: 3, initial: 1ms, on: {codes}"))

    assert outcome.status == "failed"
    assert len(lab.book.entries()) == attempts


async def test_star_of_http_takes_every_status(lab: Lab):
    await lab.run(record("failures: -1, code: http_503", "attempts: 2, initial: 1ms, on: ['http_*']"))

    assert len(lab.book.entries()) == 2


async def test_fatal_error_is_never_retried(lab: Lab):
    outcome = await lab.run(record("failures: -1, fatal: true", "attempts: 5, initial: 1ms, on: [broken]"))

    assert outcome.status == "failed"
    assert len(lab.book.entries()) == 1


async def test_defaults_of_the_document_hold_for_steps_that_say_nothing(lab: Lab):
    document = make_document(
        "- {id: a, uses: test.record, with: {name: a, failures: 2}}\n",
        "defaults: {retry: {attempts: 3, initial: 1ms}}\n",
    )

    assert (await lab.run(document)).status == "completed"


async def test_attempt_that_takes_too_long_is_stopped_and_retried(lab: Lab):
    gate = lab.book.gate("a")
    document = make_document(
        "- {id: a, uses: test.record, with: {name: a}, timeout: 60ms, retry: {attempts: 2, initial: 150ms, jitter: false}}\n"
    )
    started = await lab.start(document)
    await lab.until(lambda: any(event["type"] == "step.failed" for event in lab.events(started.run_no)))
    gate.set()

    outcome = await lab.finish(started)

    assert outcome.status == "completed"
    assert outcome.of("step.failed", "a")[0]["error"]["code"] == "timeout"  # type: ignore[index,call-overload]
    assert len(lab.book.entries()) == 2


async def test_with_is_the_same_at_every_attempt(lab: Lab):
    document = make_document(
        """
- {id: a, uses: test.record, with: {name: a, failures: 2, value: "${{ [now(), uuid()] }}"}, retry: {attempts: 3, initial: 30ms}}
"""
    )

    await lab.run(document)

    values = [entry.value for entry in lab.book.entries()]
    assert len(values) == 3
    assert values[0] == values[1] == values[2]
