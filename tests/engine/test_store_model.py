"""Harness B (cases 6.4): any sequence of starts, turns, mail, claims, kills and lost answers, on both stores side by side.

Both must answer the same, and after each step the invariants hold that no store may break. At the end everything is healed and
every run must come to its end. `FLOWFORGE_TEST_EXAMPLES` sets the number of sequences.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Final, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test
from tests.support.clock import ManualClock
from tests.support.stores import EXPIRY_MS, STARTED, check_sound, make_sqlite_file, read_runs, read_slots

from flowforge.engine.memory_store import MemoryStore
from flowforge.engine.sqlite.store import SqliteStore
from flowforge.engine.store import (
    FAR_FUTURE_MS,
    Claimed,
    ClaimRequest,
    Delivery,
    Finish,
    NewEvent,
    NewMail,
    NewRun,
    Release,
    SlotRequest,
    SlotScope,
    Store,
    Turn,
    TurnResult,
    Verdict,
    WaitRow,
)
from flowforge.kit.crashpoint import crash_hook

T = TypeVar("T")

EXAMPLES: Final = int(os.environ.get("FLOWFORGE_TEST_EXAMPLES", "50"))
LIMITS: Final = {"one": 1, "two": 2}
STEP_LIMIT: Final = 2
WORKSPACES: Final = ("a", "b", "c")
HEAL_ROUNDS: Final = 300


@dataclass(slots=True)
class Live:
    """A run in the memory of a worker, or of one that does not know yet that it has lost it."""

    no: int
    epoch: int
    seq: int
    mail_seen: int
    worker: int


@dataclass(slots=True)
class Track:
    """What must be true of a run, by the rules alone."""

    epoch: int
    length: int
    is_finished: bool = False


class StoreMachine(RuleBasedStateMachine):
    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.folder = Path(tempfile.mkdtemp())
        shutil.copyfile(self.template, self.folder / "store.db")
        sqlite = SqliteStore(self.folder / "store.db", self.clock, lambda: 0.5)
        # What a power cut would lose is not asked here.
        sqlite._connection.execute("PRAGMA synchronous=OFF")  # pyright: ignore[reportPrivateUsage]
        self.stores: tuple[Store, ...] = (MemoryStore(self.clock), sqlite)
        self.workers: list[int] = []
        self.dead: int | None = None
        self.lives: dict[int, Live] = {}
        self.zombies: list[Live] = []
        self.runs: dict[int, Track] = {}
        self.dedups: set[tuple[str, str]] = set()
        self.counter = count(1)

    def both(self, ask: Callable[[Store], T]) -> T:
        """What both stores answer."""
        first, second = (ask(store) for store in self.stores)
        assert first == second
        return first

    def commit(self, *turns: Turn, lost_at: str | None = None) -> list[TurnResult]:
        def send(store: Store) -> list[TurnResult]:
            if lost_at is not None:
                _commit_in_vain(store, turns, lost_at)
            return list(store.commit(turns))

        return self.both(send)

    # Births

    @initialize()
    def hire(self) -> None:
        self.workers.append(self.both(lambda store: store.register("worker", EXPIRY_MS)))

    @rule(
        workspace=st.sampled_from(WORKSPACES),
        priority=st.integers(0, 9),
        scope=st.sampled_from([None, *LIMITS]),
        when_full=st.sampled_from(["queue", "reject", "cancel_oldest"]),
        dedup=st.sampled_from([None, None, "x", "y"]),
        owner=st.sampled_from(["living", "living", "nobody", "dead"]),
        lost_at=st.sampled_from([None, None, None, "CP10a", "CP10b"]),
    )
    def start(
        self,
        workspace: str,
        priority: int,
        scope: str | None,
        when_full: str,
        dedup: str | None,
        owner: str,
        lost_at: str | None,
    ) -> None:
        slot = None if scope is None else SlotScope(scope, LIMITS[scope], when_full)
        run = replace(self.new_run(), workspace_id=workspace, priority=priority, slot=slot, dedup=dedup)
        run = run if owner == "living" else replace(run, owner=self.dead if owner == "dead" else None)
        [result] = self.commit(Turn(run.no, 1, self.clock.now_ms(), 2, b"", 0, start=run), lost_at=lost_at)
        is_known = dedup is not None and (workspace, dedup) in self.dedups
        assert (result.verdict is Verdict.DUPLICATE) == is_known
        if result.verdict in (Verdict.DONE, Verdict.QUEUED):
            if dedup is not None:
                self.dedups.add((workspace, dedup))
            self.take_in(run, is_owned=run.owner is not None and result.verdict is Verdict.DONE)

    @precondition(lambda self: self.lives)
    @rule(data=st.data(), scope=st.sampled_from([None, *LIMITS]))
    def start_child(self, data: st.DataObject, scope: str | None) -> None:
        live = self.pick(data, self.lives)
        child = replace(self.new_run(), parent_no=live.no, parent_key=f"call#{live.seq}", owner=live.worker)
        child = child if scope is None else replace(child, slot=SlotScope(scope, LIMITS[scope], "queue"))
        [result] = self.commit(replace(self.turn(live), children=[child]))
        self.note(live, result)
        if result.verdict is Verdict.DONE:
            self.take_in(child, is_owned=result.children == (Verdict.DONE,))

    def new_run(self) -> NewRun:
        worker = self.workers[-1]
        number = next(self.counter)
        at = self.clock.now_ms()
        return NewRun(worker << 32 | number, f"r{number}", "a", "wf", "order", 1, "d", 5, "u", at, STARTED, worker)

    def take_in(self, run: NewRun, *, is_owned: bool) -> None:
        self.runs[run.no] = Track(1 if is_owned else 0, 1)
        if is_owned:
            assert run.owner is not None
            self.lives[run.no] = Live(run.no, 1, 2, 0, run.owner)

    # Turns

    def pick(self, data: st.DataObject, lives: dict[int, Live]) -> Live:
        return data.draw(st.sampled_from(list(lives.values())))

    def turn(self, live: Live) -> Turn:
        return Turn(live.no, live.epoch, self.clock.now_ms(), live.seq, b"[%d]" % next(self.counter), 1, live.mail_seen)

    def note(self, live: Live, result: TurnResult) -> None:
        """The fence decides, and nothing else: the newest epoch of an open run writes, no other does."""
        track = self.runs[live.no]
        is_current = live.epoch == track.epoch and not track.is_finished and live.seq == track.length + 1
        assert (result.verdict is Verdict.STALE) == (not is_current)
        if result.verdict is Verdict.DONE:
            live.seq += 1
            track.length += 1

    @precondition(lambda self: self.lives)
    @rule(data=st.data(), is_progress=st.booleans(), lost_at=st.sampled_from([None, None, None, "CP10a", "CP10b"]))
    def append(self, data: st.DataObject, is_progress: bool, lost_at: str | None) -> None:
        live = self.pick(data, self.lives)
        self.note(live, self.commit(replace(self.turn(live), progressed=is_progress), lost_at=lost_at)[0])

    @precondition(lambda self: len(self.lives) > 1)
    @rule(data=st.data())
    def append_many(self, data: st.DataObject) -> None:
        """A group commit of owners and zombies, some with two turns."""
        chosen = data.draw(st.lists(st.sampled_from([*self.lives.values(), *self.zombies]), unique_by=id, max_size=6))
        by_run = {live.no: live for live in chosen}
        firsts = {no: self.turn(live) for no, live in by_run.items()}
        seconds = {no: replace(turn, seq=turn.seq + 1, body=b'["second"]') for no, turn in firsts.items() if no % 2}
        results = self.commit(*firsts.values(), *seconds.values())
        for turn, result in zip([*firsts.values(), *seconds.values()], results, strict=True):
            self.note(by_run[turn.run_no], result)

    @precondition(lambda self: self.lives)
    @rule(data=st.data(), lost_at=st.sampled_from([None, None, None, "CP10a", "CP10b"]), tells=st.booleans())
    def finish(self, data: st.DataObject, lost_at: str | None, tells: bool) -> None:
        live = self.pick(data, self.lives)
        others = [no for no in self.runs if no != live.no]
        mails = [NewMail(others[-1], "child", b"{}", "system", f"child {live.no}")] if tells and others else []
        turn = replace(self.turn(live), finish=Finish("completed", None, None), mails=mails)
        [result] = self.commit(turn, lost_at=lost_at)
        self.note(live, result)
        if result.verdict is Verdict.DONE:
            self.runs[live.no].is_finished = True
            del self.lives[live.no]

    @precondition(lambda self: self.lives)
    @rule(data=st.data(), delay=st.sampled_from([0, 500, 60_000, None]), has_snapshot=st.booleans())
    def release(self, data: st.DataObject, delay: int | None, has_snapshot: bool) -> None:
        live = self.pick(data, self.lives)
        due_at = FAR_FUTURE_MS if delay is None else self.clock.now_ms() + delay
        end = Release("waiting", due_at, "{}", b"state" if has_snapshot else None, 1)
        [result] = self.commit(replace(self.turn(live), release=end))
        self.note(live, result)
        if result.verdict is Verdict.DONE:
            del self.lives[live.no]
            self.zombies.append(live)

    @precondition(lambda self: self.zombies)
    @rule(data=st.data(), kind=st.sampled_from(["append", "finish"]))
    def zombie_writes(self, data: st.DataObject, kind: str) -> None:
        live = data.draw(st.sampled_from(self.zombies))
        turn = self.turn(live)
        [result] = self.commit(turn if kind == "append" else replace(turn, finish=Finish("completed", None, None)))
        self.note(live, result)
        if kind == "finish" and result.verdict is Verdict.DONE:
            self.runs[live.no].is_finished = True

    # Mail and events

    @precondition(lambda self: self.runs)
    @rule(data=st.data(), kind=st.sampled_from(["signal", "cancel"]), dedup=st.sampled_from([None, "m1", "m2"]))
    def deliver(self, data: st.DataObject, kind: str, dedup: str | None) -> None:
        no = data.draw(st.sampled_from(list(self.runs)))
        [answer] = self.both(lambda store: store.deliver([NewMail(no, kind, b"{}", "user", dedup)]))
        assert (answer is Delivery.FINISHED) == self.runs[no].is_finished

    @rule(data=st.data())
    def read_mail(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(self.workers))
        mails = self.both(lambda store: list(store.mail(worker)))
        for no in {mail.run_no for mail in mails}:
            live = self.lives[no]
            mine = [mail.no for mail in mails if mail.run_no == no]
            [result] = self.commit(replace(self.turn(live), mail_read=mine))
            self.note(live, result)
            if result.verdict is Verdict.DONE:
                live.mail_seen += len(mine)

    @precondition(lambda self: self.lives)
    @rule(data=st.data(), correlation=st.sampled_from([None, "k"]))
    def wait(self, data: st.DataObject, correlation: str | None) -> None:
        live = self.pick(data, self.lives)
        row = WaitRow(f"hold{live.seq}", "paid", correlation, 0)
        self.note(live, self.commit(replace(self.turn(live), waits_added=[row]))[0])
        self.both(lambda store: store.look_back(live.no, row))

    @rule(workspace=st.sampled_from(WORKSPACES), correlation=st.sampled_from([None, "k"]))
    def publish(self, workspace: str, correlation: str | None) -> None:
        event = NewEvent(workspace, "paid", correlation, b"{}", "user", self.clock.now_ms())
        self.both(lambda store: store.publish(event))

    # Limits of steps

    @precondition(lambda self: self.lives)
    @rule(data=st.data(), key=st.sampled_from(["s1", "s2"]), has_rate=st.booleans())
    def acquire(self, data: st.DataObject, key: str, has_rate: bool) -> None:
        live = self.pick(data, self.lives)
        rate = (5, 1_000) if has_rate else (None, None)
        self.both(lambda store: list(store.acquire([SlotRequest("api", live.no, key, STEP_LIMIT, *rate)])))

    @precondition(lambda self: self.lives)
    @rule(data=st.data(), keys=st.lists(st.sampled_from(["s1", "s2"]), unique=True, min_size=1))
    def free(self, data: st.DataObject, keys: list[str]) -> None:
        live = self.pick(data, self.lives)
        self.note(live, self.commit(replace(self.turn(live), slots_freed=keys))[0])

    # Workers

    @rule(data=st.data(), limit=st.integers(1, 6), suspects=st.integers(0, 3))
    def claim(self, data: st.DataObject, limit: int, suspects: int) -> None:
        # The list of workspaces may be a second old.
        self.clock.advance(1_000)
        worker = data.draw(st.sampled_from(self.workers))
        for claimed in self.take(ClaimRequest(worker, limit, suspects)):
            assert claimed.crashes == 0 or suspects > 0

    def take(self, request: ClaimRequest) -> list[Claimed]:
        found = self.both(lambda store: [_plain(claimed) for claimed in store.claim(request)])
        for claimed in found:
            track = self.runs[claimed.run_no]
            assert not track.is_finished
            assert claimed.run_no not in self.lives
            track.epoch += 1
            track.length += 1
            assert (claimed.epoch, claimed.rows[-1].seq) == (track.epoch, track.length)
            self.lives[claimed.run_no] = Live(
                claimed.run_no, claimed.epoch, track.length + 1, claimed.mail - len(claimed.mails), request.worker
            )
        return found

    @precondition(lambda self: len(self.workers) < 4)
    @rule()
    def hire_another(self) -> None:
        self.hire()

    @rule(data=st.data(), is_noticed=st.booleans())
    def kill(self, data: st.DataObject, is_noticed: bool) -> None:
        worker = data.draw(st.sampled_from(self.workers))
        if not is_noticed:
            self.clock.advance(EXPIRY_MS)
            for other in self.workers:
                if other != worker:
                    assert self.both(lambda store, other=other: store.beat(other, EXPIRY_MS))
        known = [worker] if is_noticed else []
        expired = self.both(lambda store: store.expire(known))
        assert list(expired.workers) == [worker]
        self.bury(worker)

    @rule(data=st.data())
    def retire(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(self.workers))
        self.both(lambda store: store.retire(worker))
        self.bury(worker)

    def bury(self, worker: int) -> None:
        gone = [live for live in self.lives.values() if live.worker == worker]
        self.zombies.extend(gone)
        for live in gone:
            del self.lives[live.no]
        self.workers.remove(worker)
        self.dead = worker
        assert not self.both(lambda store: store.beat(worker, EXPIRY_MS))
        assert self.take(ClaimRequest(worker, 10, 10)) == []
        if not self.workers:
            self.hire()

    @rule(duration_ms=st.sampled_from([1, 1_000, 70_000]))
    def advance(self, duration_ms: int) -> None:
        self.clock.advance(duration_ms)
        for worker in self.workers:
            assert self.both(lambda store, worker=worker: store.beat(worker, EXPIRY_MS))

    # What must hold

    @invariant()
    def is_sound(self) -> None:
        for store in self.stores:
            check_sound(store)
        views = self.both(read_runs)
        assert set(views) == set(self.runs)
        for no, track in self.runs.items():
            assert (views[no].epoch, len(views[no].seqs), views[no].is_finished) == (track.epoch, track.length, track.is_finished)
            assert views[no].owner == (self.lives[no].worker if no in self.lives else None)

    @invariant()
    def limits_hold(self) -> None:
        for scope, held in self.both(read_slots).items():
            limit = LIMITS.get(scope, STEP_LIMIT)
            assert set(held) <= set(range(1, limit + 1))
            assert not any(self.runs[no].is_finished for no in held.values())

    def teardown(self) -> None:
        """Heals everything; then every run must end (I14), and every slot come back."""
        try:
            if self.workers:
                self.heal()
        finally:
            for store in self.stores:
                store.close()
            shutil.rmtree(self.folder)

    def heal(self) -> None:
        for worker in list(self.workers):
            self.kill_for_heal(worker)
        for _ in range(HEAL_ROUNDS):
            if all(track.is_finished for track in self.runs.values()):
                break
            self.clock.advance(60_000)
            self.both(lambda store: store.beat(self.workers[-1], EXPIRY_MS))
            for claimed in self.take(ClaimRequest(self.workers[-1], 3, 1)):
                self.end(self.lives.pop(claimed.run_no), claimed)
            self.wake_sleepers()
        left = [no for no, track in self.runs.items() if not track.is_finished]
        assert left == []
        assert self.both(read_slots) == {}

    def kill_for_heal(self, worker: int) -> None:
        self.both(lambda store: store.expire([worker]))
        self.bury(worker)

    def end(self, live: Live, claimed: Claimed) -> None:
        turn = replace(self.turn(live), finish=Finish("completed", None, None), mail_seen=claimed.mail)
        [result] = self.commit(turn)
        assert result.verdict is Verdict.DONE
        self.runs[live.no].is_finished = True

    def wake_sleepers(self) -> None:
        """Who waits for mail alone waits rightly; who waits for a slot must get it without help."""
        views = read_runs(self.stores[0])
        memory = self.stores[0]
        assert isinstance(memory, MemoryStore)
        for run in memory.tables.runs.values():
            if run.queued is not None and run.queued.slot is None and views[run.no].due_at == FAR_FUTURE_MS:
                self.both(lambda store, no=run.no: list(store.deliver([NewMail(no, "signal", b"{}", "u")])))


def _commit_in_vain(store: Store, turns: Sequence[Turn], place: str) -> None:
    def cut(name: str) -> None:
        if name == place:
            raise ConnectionAbortedError

    with crash_hook(cut), pytest.raises(ConnectionAbortedError):
        store.commit(turns)


def _plain(claimed: Claimed) -> Claimed:
    return replace(claimed, rows=list(claimed.rows), mails=list(claimed.mails))


@pytest.mark.slow(120)
def test_stores_agree_and_keep_their_promises(tmp_path_factory: pytest.TempPathFactory):
    StoreMachine.template = make_sqlite_file(tmp_path_factory.mktemp("template"))
    profile = settings(
        max_examples=EXAMPLES,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large),
        print_blob=True,
    )
    run_state_machine_as_test(StoreMachine, settings=profile)
