"""The way to the store: what breaks one commit ends neither the others nor the engine."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest
from tests.support.documents import make_document
from tests.support.lab import Lab, open_lab
from tests.support.moody import MoodyStore
from tests.support.soundness import assert_sound

from flowforge.engine.executor.commits import Committer, Item
from flowforge.engine.store import NewMail, Store, Turn, TurnResult, Verdict
from flowforge.kit.clock import SystemClock
from flowforge.kit.errors import InvariantError, StorageError
from flowforge.kit.telemetry.metrics import Metrics

Commit = Callable[[Sequence[Turn]], Sequence[TurnResult]]
DONE = TurnResult(Verdict.DONE)
REFUSED = TurnResult(Verdict.UNSTORABLE, problem="too large")


class Desk:
    """A committer on a store that does what the test says, and what became of each turn (run, seq)."""

    def __init__(self, commit: Commit, *, is_inline: bool) -> None:
        self._commit = commit
        self.seen: list[list[tuple[int, int]]] = []
        self.results: dict[tuple[int, int], Verdict] = {}
        self.committer = Committer(cast("Store", self), SystemClock(), Metrics(), commits_inline=is_inline)

    def commit(self, turns: Sequence[Turn]) -> Sequence[TurnResult]:
        self.seen.append([(turn.run_no, turn.seq) for turn in turns])
        return self._commit(turns)

    def submit(self, *turns: tuple[int, int]) -> None:
        for run_no, seq in turns:
            turn = Turn(run_no, 1, 0, seq, b"[]", 1)
            self.committer.submit(Item(turn, lambda result, name=(run_no, seq): self._hear(name, result)))

    def _hear(self, name: tuple[int, int], result: TurnResult) -> None:
        self.results[name] = result.verdict

    async def drain(self) -> None:
        async with asyncio.timeout(10):
            await self.committer.drain()


@contextmanager
def open_desk(commit: Commit, *, is_inline: bool) -> Generator[Desk]:
    desk = Desk(commit, is_inline=is_inline)
    yield desk
    desk.committer.close()


@pytest.mark.parametrize("is_inline", [True, False])
async def test_turn_that_breaks_a_commit_is_refused_alone(*, is_inline: bool):
    def commit(turns: Sequence[Turn]) -> Sequence[TurnResult]:
        if any(turn.run_no == 2 for turn in turns):
            raise InvariantError("The database refused a statement.")
        return [DONE for _ in turns]

    with open_desk(commit, is_inline=is_inline) as desk:
        desk.submit((1, 2), (2, 2), (2, 3), (3, 2))
        await desk.drain()
        desk.submit((1, 3))
        await desk.drain()
    refused = {(2, 2): Verdict.UNSTORABLE, (2, 3): Verdict.UNSTORABLE}
    assert desk.results == {(1, 2): Verdict.DONE, (3, 2): Verdict.DONE, (1, 3): Verdict.DONE, **refused}
    assert desk.seen[1:] == [[(1, 2)], [(2, 2)], [(3, 2)], [(1, 3)]]


async def test_turn_that_was_taken_behind_a_refused_one_leaves_no_gap():
    is_free = threading.Event()

    def commit(turns: Sequence[Turn]) -> Sequence[TurnResult]:
        assert is_free.wait(10)
        return [REFUSED if turn.run_no == 1 else DONE for turn in turns]

    with open_desk(commit, is_inline=False) as desk:
        desk.submit((1, 2), (2, 2))
        await asyncio.sleep(0)
        desk.submit((1, 3), (2, 3))
        is_free.set()
        await desk.drain()
    assert desk.seen == [[(1, 2), (2, 2)], [(2, 3)]]
    assert [desk.results[1, seq] for seq in (2, 3)] == [Verdict.UNSTORABLE] * 2


async def test_nobody_waits_for_a_database_that_goes_away():
    def commit(_turns: Sequence[Turn]) -> Sequence[TurnResult]:
        raise StorageError("It is gone.")

    with open_desk(commit, is_inline=False) as desk:
        desk.submit((1, 2))
        await desk.drain()
    assert desk.committer.is_stalled
    assert desk.results == {}


@pytest.fixture
async def moody(tmp_path: Path) -> AsyncIterator[tuple[Lab, MoodyStore]]:
    async with open_lab(tmp_path) as lab:
        await lab.engine.close(0)
        store = MoodyStore(lab.store)
        lab.store = cast("Store", store)
        lab.engine = lab.make_engine()
        await lab.engine.open()
        yield lab, store
        store.calm()
    assert_sound(lab)


@pytest.mark.parametrize("is_inline", [True, False])
async def test_engine_goes_on_after_a_commit_that_failed_by_a_fault_of_ours(
    moody: tuple[Lab, MoodyStore], monkeypatch: pytest.MonkeyPatch, *, is_inline: bool
):
    lab, store = moody
    monkeypatch.setattr(lab.engine.committer, "_commits_inline", is_inline)
    faults = iter([True])

    def fail(name: str) -> None:
        if name == "commit" and next(faults, False):
            raise InvariantError("The database refused a statement.")

    document = make_document("- {id: a, uses: test.record, with: {name: a}}\n")
    gate = lab.book.gate("a")
    broken = await lab.start(document)
    await lab.until(lambda: lab.engine.attempts.in_flight == 1)
    store.before = fail
    gate.set()
    await lab.until(lambda: lab.engine.lives == {})

    assert (await lab.run(make_document("- {id: b, uses: test.record, with: {name: b}}\n", name="other"))).status == "completed"
    assert lab.engine.find_status(broken.run_no) is None


async def test_run_whose_mail_came_late_is_read_anew_when_the_database_is_back(
    moody: tuple[Lab, MoodyStore], monkeypatch: pytest.MonkeyPatch
):
    lab, store = moody
    monkeypatch.setattr("flowforge.engine.executor.loading._RETRY_S", 0.02)
    refusals = iter([True])
    faults = 0

    def commit(turns: Sequence[Turn]) -> Sequence[TurnResult]:
        if any(turn.finish is not None for turn in turns) and next(refusals, False):
            for turn in turns:
                lab.store.deliver([NewMail(turn.run_no, "resume", b"{}", "user")])
        return store.inner.commit(turns)

    def fail(name: str) -> None:
        nonlocal faults
        if name == "load" and faults < 2:
            faults += 1
            raise StorageError("It is away.")

    monkeypatch.setattr(store, "commit", commit)
    store.before = fail
    assert (await lab.run(make_document("- {id: a, uses: test.record, with: {name: a}}\n"))).status == "completed"
    assert faults == 2
    assert lab.book.names() == ["a"]
