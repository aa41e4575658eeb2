"""Proof of the proof (cases 6.7): faults sown into the engine, each on purpose, are seen by the checker or by the run's result."""

# pyright: reportPrivateUsage=false
# A bug is sown into the inside of the engine; nothing of it is public.

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from tests.support.checker import Acknowledged, Request, Witnesses, check
from tests.support.documents import make_document
from tests.support.lab import Lab, Started
from tests.support.moody import MoodyStore

from flowforge.engine.events import Event
from flowforge.engine.executor import Engine
from flowforge.engine.executor.intake import Intake
from flowforge.engine.machine import TurnSheet, actions, deciding, folding
from flowforge.engine.machine.mail import _HANDLERS as MAIL_HANDLERS
from flowforge.engine.machine.work import Effect, Work
from flowforge.engine.sqlite import claim, commit
from flowforge.engine.store import Store, Turn
from flowforge.kit.border import encode
from flowforge.kit.errors import StorageError
from flowforge.language.graph import OnInterrupt

EFFECT = "- {id: a, uses: test.record, with: {name: a}}\n"
TWO = EFFECT + "- {id: b, uses: test.record, with: {name: b}}\n"


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    opened = Lab(tmp_path)
    opened.store = cast("Store", MoodyStore(opened.store))
    opened.engine = opened.make_engine()
    await opened.engine.open()
    yield opened
    moody(opened).calm()
    await opened.close()


def do_nothing(*_: object) -> None:
    """In the place of a function that a bug leaves out."""


def moody(lab: Lab) -> MoodyStore:
    return cast("MoodyStore", lab.store)


def broken(lab: Lab, *acknowledged: Acknowledged, is_healed: bool = False) -> set[str]:
    """The invariants that the checker finds broken."""
    requests = [Request(entry.key, entry.attempt, entry.at_ms) for entry in lab.book.entries()]
    now_ms = lab.clock.now_ms() if is_healed else None
    witnesses = Witnesses(requests=requests, acknowledged=acknowledged, now_ms=now_ms)
    return {violation.invariant for violation in check(lab.database, witnesses)}


async def crash_in_flight(lab: Lab, document: str) -> Started:
    """Dies while the effect `a` is in flight; what comes afterwards is up to the test."""
    lab.book.gate("a")
    started = await lab.start(document)
    await lab.until(lambda: lab.book.names() == ["a"])
    await lab.crash()
    lab.book.gates.clear()
    await restart(lab)
    return started


async def restart(lab: Lab) -> None:
    lab.store = cast("Store", MoodyStore(lab.open_store()))
    lab.engine = lab.make_engine()
    await lab.engine.open()


async def watch_without_bug(lab: Lab) -> None:
    """The same life without a bug breaks nothing."""
    started = await crash_in_flight(lab, make_document(TWO))
    assert (await lab.finish(started)).status == "completed"
    assert broken(lab, is_healed=True) == set()


async def test_engine_without_a_bug_passes(lab: Lab):
    await watch_without_bug(lab)


async def test_bug_effect_before_its_plan_is_committed_is_caught(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    seal = Engine.hand_in

    def hand_in(self: Engine, live: Any, sheet: TurnSheet, *rest: Any) -> None:
        effects: list[Work] = [work for work in sheet.work if isinstance(work, Effect)]
        sheet.work = [work for work in sheet.work if not isinstance(work, Effect)]
        self._begin_work(live, effects)
        seal(self, live, sheet, *rest)

    await lab.run(make_document(EFFECT, name="calm"))
    monkeypatch.setattr(Engine, "hand_in", hand_in)

    def fail(name: str) -> None:
        if name == "commit":
            raise StorageError("The database is gone.")

    moody(lab).before = fail
    starting = asyncio.create_task(lab.start(make_document(EFFECT)))
    await lab.until(lambda: len(lab.book.entries()) == 2)
    starting.cancel()

    assert "I8" in broken(lab)


async def test_bug_claim_without_a_seq_of_its_own_is_caught(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    started = await lab.start(make_document("- {id: nap, uses: flow.wait, with: {for: 1h}}\n" + EFFECT))
    assert (await lab.finish(started)).status == "waiting"
    monkeypatch.setattr(claim, "write_rows", do_nothing)
    lab.advance(3_700_000)

    await lab.finish(started)

    assert "I4" in broken(lab)


async def test_bug_epoch_that_restarts_is_caught(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(claim, "_OWN", claim._OWN.replace("epoch=epoch+1", "epoch=1"))

    started = await crash_in_flight(lab, make_document(TWO))
    await lab.finish(started)

    assert "I4" in broken(lab)


async def test_bug_retry_that_counts_infrastructure_is_caught(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    def fail_unknown(sheet: TurnSheet) -> None:
        for key, attempt in list(sheet.state.unknown.items()):
            error = {"code": "outcome_unknown", "message": "lost", "attempt": attempt.attempt}
            event = {"type": "step.failed", "step": key, "attempt": attempt.attempt, "error": error, "retry_at": sheet.at}
            sheet.write(cast("Event", event))

    monkeypatch.setattr(deciding, "_face_unknown", fail_unknown)
    step = "- {id: a, uses: test.record, with: {name: a, failures: 2}, retry: {attempts: 2, initial: 1ms}}\n"

    outcome = await lab.finish(await crash_in_flight(lab, make_document(step)))

    assert outcome.status != "completed"


async def test_bug_finish_without_the_mail_guard_is_caught(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    judge = commit._Batch._judge

    def judge_blindly(self: Any, turn: Turn, states: dict[int, Any], births: Any) -> Any:
        if turn.finish is not None:
            known = states[turn.run_no]
            states[turn.run_no] = (known[0], turn.mail_seen, *known[2:])
        return judge(self, turn, states, births)

    monkeypatch.setattr(commit._Batch, "_judge", judge_blindly)
    started = await in_the_way(lab)

    outcome = await lab.finish(started)

    assert outcome.status == "completed"
    assert "I1" in broken(lab, Acknowledged(started.run_id, "signal"))


async def in_the_way(lab: Lab) -> Started:
    """A signal is acknowledged just before the commit that ends its run."""
    gate = lab.book.gate("a")
    started = await lab.start(make_document(EFFECT))
    await lab.until(lambda: lab.book.names() == ["a"])
    told: list[str] = []
    inner = moody(lab).inner
    keep: Callable[[Sequence[Turn]], Any] = inner.commit

    def commit_later(turns: Sequence[Turn]) -> Any:
        if not told and any(turn.finish is not None for turn in turns):
            told.extend(inner.deliver([_signal(started)]))
        return keep(turns)

    inner.commit = commit_later
    gate.set()
    await lab.until(lambda: bool(told))
    assert told == ["delivered"]
    return started


def _signal(started: Started) -> Any:
    from flowforge.engine.store import NewMail  # kept beside its only use

    return NewMail(started.run_no, "signal", encode({"name": "go"}), "user:tester")


async def test_acknowledged_signal_is_kept_where_the_guard_stands(lab: Lab):
    started = await in_the_way(lab)

    assert (await lab.finish(started)).status == "completed"
    assert broken(lab, Acknowledged(started.run_id, "signal")) == set()


async def test_bug_row_without_its_journal_is_caught(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    write = commit._Batch._write

    def forget_ends(self: Any, turns: Sequence[Turn], births: Any) -> None:
        write(self, [replace(turn, body=b"") if turn.finish is not None else turn for turn in turns], births)

    monkeypatch.setattr(commit._Batch, "_write", forget_ends)

    await lab.start(make_document(EFFECT))
    await lab.until(lambda: lab.book.names() == ["a"] and not lab.engine.lives)

    assert "I5" in broken(lab)


async def test_bug_lost_answer_of_a_commit_taken_for_a_failure_is_caught(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(commit, "find_stored", do_nothing)
    failures = iter([True])

    def lose_one(name: str) -> None:
        if name == "commit" and lab.book.names() == ["a"] and next(failures, False):
            raise StorageError("The answer is lost.")

    gate = lab.book.gate("a")
    started = await lab.start(make_document(TWO))
    await lab.until(lambda: lab.book.names() == ["a"])
    moody(lab).after = lose_one
    gate.set()
    await lab.until(lambda: started.run_no not in lab.engine.lives)
    await asyncio.sleep(0)

    assert "I14" in broken(lab, is_healed=True)


async def test_bug_key_that_changes_with_the_attempt_is_caught(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    numbers = iter(range(1_000))
    make_key = actions.hash_text

    def make_another(text: str) -> str:
        return make_key(f"{text}{next(numbers)}")

    monkeypatch.setattr(actions, "hash_text", make_another)

    await lab.run(
        make_document("- {id: a, uses: test.record, with: {name: a, failures: 1}, retry: {attempts: 2, initial: 1ms}}\n")
    )

    assert "I7" in broken(lab)


async def test_bug_timer_that_fires_early_is_caught(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    def fire_early(sheet: TurnSheet) -> None:
        for which, due in list(sheet.state.timers.items()):
            sheet.write({"type": "timer.fired", "which": which, "due": due})

    monkeypatch.setattr(deciding, "_fire_timers", fire_early)

    await lab.run(make_document("- {id: nap, uses: flow.wait, with: {for: 200ms}}\n"))

    assert "I9" in broken(lab)


async def test_bug_cancel_that_is_not_heeded_is_caught(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(MAIL_HANDLERS, "cancel", do_nothing)
    gate = lab.book.gate("a")
    started = await lab.start(make_document(TWO))
    await lab.until(lambda: lab.book.names() == ["a"])
    await lab.send(started, "cancel")
    await lab.until(lambda: any(event["type"] == "run.mail" for event in lab.events(started.run_no)))
    gate.set()
    await lab.finish(started)

    assert "I8" in broken(lab)


async def test_bug_repeat_in_spite_of_ask_is_caught(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    def repeat_always(sheet: TurnSheet) -> None:
        for key, attempt in list(sheet.state.unknown.items()):
            assert attempt.scope.graph.steps[attempt.index].on_interrupt is OnInterrupt.ASK
            deciding._repeat(sheet, key, attempt.scope, attempt.index)

    monkeypatch.setattr(deciding, "_face_unknown", repeat_always)
    step = "- {id: a, uses: test.record, with: {name: a}, on_interrupt: ask}\n"

    await lab.finish(await crash_in_flight(lab, make_document(step)))

    assert "I7" in broken(lab)


async def test_bug_step_that_runs_again_after_its_completion_is_caught(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    """Half of the outcomes are forgotten when a journal is folded again."""
    handlers = cast("dict[str, Callable[..., None]]", folding._HANDLERS)
    complete = handlers["step.completed"]
    started = await lab.start(make_document(TWO + "- {id: w, uses: flow.wait, with: {signal: go}}\n"))
    assert (await lab.finish(started)).status == "waiting"

    def forget_a(state: Any, event: Any) -> None:
        if event["step"] != "a":
            complete(state, event)

    with monkeypatch.context() as patch:
        patch.setitem(handlers, "step.completed", forget_a)
        await lab.send(started, "signal", name="go")
        await lab.until(lambda: lab.book.names().count("a") == 2 or bool(_faults(lab, started)))

    assert broken(lab) & {"I3", "I7"} or _faults(lab, started)


def _faults(lab: Lab, started: Started) -> bool:
    with closing(sqlite3.connect(lab.database)) as connection:
        row = connection.execute("SELECT why FROM queue WHERE run_no=?", (started.run_no,)).fetchone()
    return row is not None and row[0] is not None and "fault" in row[0]


async def test_bug_zombie_whose_epoch_and_seq_are_not_looked_at_is_caught(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    judge = commit._Batch._judge

    def judge_blindly(self: Any, turn: Turn, states: dict[int, Any], births: Any) -> Any:
        if turn.run_no in states:
            states[turn.run_no] = (turn.epoch, *states[turn.run_no][1:])
        return judge(self, turn, states, births)

    gate = lab.book.gate("a")
    started = await lab.start(make_document(TWO))
    await lab.until(lambda: lab.book.names() == ["a"])
    monkeypatch.setattr(commit._Batch, "_judge", judge_blindly)
    monkeypatch.setattr(claim, "write_rows", do_nothing)
    lab.engine.pulse.die()
    rival = await lab.open_rival()
    await lab.until(lambda: started.run_no in rival.lives)

    gate.set()
    await lab.until(lambda: "b" in lab.book.names())

    assert "I4" in broken(lab)


async def test_bug_queue_that_nobody_looks_at_is_caught(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    async def sleep_on(self: Intake) -> bool:
        return False

    started = await lab.start(make_document("- {id: nap, uses: flow.wait, with: {for: 1h}}\n"))
    assert (await lab.finish(started)).status == "waiting"
    monkeypatch.setattr(Intake, "_claim", sleep_on)
    lab.advance(3_700_000)

    assert {"I9", "I14"} <= broken(lab, is_healed=True)
