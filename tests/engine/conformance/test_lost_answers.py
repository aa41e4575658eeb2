"""F21, F22: the connection breaks around COMMIT; the same commit again stores everything once."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.support.stores import COMPLETED, ENDED, MIDDLE, Shop, read_runs, read_slots

from flowforge.engine.store import FAR_FUTURE_MS, NewMail, Release, SlotScope, Store, Turn, Verdict
from flowforge.kit.crashpoint import crash_hook


def commit_with_lost_answer(store: Store, turns: Sequence[Turn], place: str) -> list[Verdict]:
    def cut(name: str) -> None:
        if name == place:
            raise ConnectionAbortedError

    with crash_hook(cut), pytest.raises(ConnectionAbortedError):
        store.commit(turns)
    return [result.verdict for result in store.commit(turns)]


@pytest.mark.parametrize("place", ["CP10a", "CP10b"])
class TestF21:
    def test_f21_middle_turns_are_stored_once(self, shop: Shop, store: Store, place: str):
        runs = [shop.started() for _ in range(3)]
        turns = [shop.turn(run, seq) for run in runs for seq in (2, 3)]
        assert commit_with_lost_answer(store, turns, place) == [Verdict.DONE] * 6
        assert [len(store.load(run.no)) for run in runs] == [3, 3, 3]

    @pytest.mark.parametrize("body", [b"", MIDDLE])
    def test_f21_start_is_stored_once(self, shop: Shop, store: Store, place: str, body: bytes):
        run = replace(shop.new(slot=SlotScope("wf", 1, "reject")), dedup="d", labels={"a": "b"})
        assert commit_with_lost_answer(store, [shop.birth(run, body)], place) == [Verdict.DONE]
        assert len(store.load(run.no)) == (2 if body else 1)
        assert read_slots(store) == {"wf": {1: run.no}}

    def test_f21_queued_start_is_stored_once(self, shop: Shop, store: Store, place: str):
        slot = SlotScope("wf", 1, "queue")
        shop.start(shop.new(slot=slot))
        run = shop.new(slot=slot)
        assert commit_with_lost_answer(store, [shop.birth(run, MIDDLE)], place) == [Verdict.QUEUED]
        assert len(store.load(run.no)) == 1

    def test_f21_finish_sends_its_mail_once(self, shop: Shop, store: Store, place: str):
        child, parent = shop.started(), shop.started()
        mail = NewMail(parent.no, "child", b"{}", "system")
        turn = replace(shop.turn(child, 2, body=ENDED), finish=COMPLETED, mails=[mail])
        assert commit_with_lost_answer(store, [turn], place) == [Verdict.DONE]
        assert (read_runs(store)[parent.no].mail, read_runs(store)[child.no].is_finished) == (1, True)

    def test_f21_children_are_born_once(self, shop: Shop, store: Store, place: str):
        parent = shop.started()
        child = replace(shop.new(), parent_no=parent.no, parent_key="call#1")
        turn = replace(shop.turn(parent, 2), children=[child])
        assert commit_with_lost_answer(store, [turn], place) == [Verdict.DONE]
        assert len(store.load(child.no)) == 1

    def test_f21_release_is_stored_once(self, shop: Shop, store: Store, place: str):
        run = shop.started()
        turn = replace(shop.turn(run, 2), release=Release("waiting", FAR_FUTURE_MS, "{}"))
        assert commit_with_lost_answer(store, [turn], place) == [Verdict.DONE]
        view = read_runs(store)[run.no]
        assert (view.due_at, list(view.seqs)) == (FAR_FUTURE_MS, [1, 2])

    def test_f21_another_turn_at_the_same_place_is_stale(self, shop: Shop, store: Store, place: str):
        run = shop.started()
        commit_with_lost_answer(store, [shop.turn(run, 2)], place)
        assert shop.append(run, 2, body=b'["other"]').verdict is Verdict.STALE


def test_f21_release_whose_answer_was_lost_is_known_though_mail_came_since(shop: Shop, store: Store):
    run = shop.started()
    turn = replace(shop.turn(run, 2), release=Release("waiting", FAR_FUTURE_MS, "{}"))
    shop.commit(turn)
    shop.send(run)
    assert shop.commit(turn).verdict is Verdict.DONE
    assert [one.run_no for one in shop.claim()] == [run.no]


def test_f22_broken_commit_leaves_nothing_behind(shop: Shop, store: Store):
    parent = shop.started()
    child = replace(shop.new(slot=SlotScope("wf", 1, "queue")), parent_no=parent.no, parent_key="call#1")
    before = read_runs(store)
    turn = replace(shop.turn(parent, 2), children=[child], mails=[NewMail(parent.no, "signal", b"{}", "u")])

    def cut(name: str) -> None:
        if name == "CP10a":
            raise ConnectionAbortedError

    with crash_hook(cut), pytest.raises(ConnectionAbortedError):
        store.commit([turn])
    assert read_runs(store) == before
    assert read_slots(store) == {}
