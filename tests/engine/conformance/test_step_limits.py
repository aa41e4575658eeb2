"""`limit` of steps: slots by count, places by rate."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from tests.support.clock import ManualClock
from tests.support.stores import Shop, read_slots

from flowforge.engine.store import SlotAnswer, SlotRequest, Store

GRANTED = SlotAnswer(granted=True)
FULL = SlotAnswer(granted=False)


def ask(run_no: int, key: str, *, concurrency: int | None = 2, rate: tuple[int, int] | None = None) -> SlotRequest:
    count, per_ms = rate or (None, None)
    return SlotRequest("ws/api", run_no, key, concurrency, count, per_ms)


def test_slots_are_given_up_to_the_limit(shop: Shop, store: Store):
    run = shop.started()
    assert store.acquire([ask(run.no, key) for key in ("a", "b", "c")]) == [GRANTED, GRANTED, FULL]
    assert read_slots(store) == {"ws/api": {1: run.no, 2: run.no}}


def test_held_slot_is_granted_again(shop: Shop, store: Store):
    run = shop.started()
    assert store.acquire([ask(run.no, "a", concurrency=1)] * 2) == [GRANTED, GRANTED]
    assert read_slots(store) == {"ws/api": {1: run.no}}


def test_turn_gives_slots_back(shop: Shop, store: Store):
    run = shop.started()
    store.acquire([ask(run.no, "a"), ask(run.no, "b")])
    shop.commit(replace(shop.turn(run, 2), slots_freed=["a"]))
    assert read_slots(store) == {"ws/api": {2: run.no}}
    assert store.acquire([ask(run.no, "c")]) == [GRANTED]


def test_refused_turn_gives_nothing_back(shop: Shop, store: Store):
    run = shop.started()
    store.acquire([ask(run.no, "a")])
    shop.commit(replace(shop.turn(run, 2, epoch=8), slots_freed=["a"]))
    assert read_slots(store) == {"ws/api": {1: run.no}}


def test_finish_gives_back_all_and_expiry_none(shop: Shop, store: Store):
    run = shop.started()
    store.acquire([ask(run.no, "a"), ask(run.no, "b")])
    shop.kill()
    shop.worker = shop.hire()
    shop.claim()
    assert len(read_slots(store)["ws/api"]) == 2
    assert store.acquire([ask(run.no, "a")]) == [GRANTED]
    shop.finish(run, 3, epoch=2)
    assert read_slots(store) == {}


def test_ended_or_unknown_run_gets_no_slot(shop: Shop, store: Store):
    run = shop.started()
    shop.finish(run, 2)
    assert store.acquire([ask(run.no, "a"), ask(99, "a")]) == [FULL, FULL]
    assert read_slots(store) == {}


def test_rate_spaces_its_places_evenly(shop: Shop, store: Store, clock: ManualClock):
    run, begun = shop.started(), clock.now_ms()
    given: list[int] = []
    while len(given) < 5:
        [answer] = store.acquire([ask(run.no, f"k{len(given)}", concurrency=None, rate=(10, 1_000))])
        if answer.granted:
            given.append(clock.now_ms() - begun)
        else:
            assert answer.retry_at is not None
            clock.advance(answer.retry_at - clock.now_ms())
    assert given == [0, 100, 200, 300, 400]


def test_rate_keeps_fractions_of_milliseconds(shop: Shop, store: Store, clock: ManualClock):
    run, begun = shop.started(), clock.now_ms()
    given = 0
    while clock.now_ms() - begun < 1_000:
        given += store.acquire([ask(run.no, f"k{given}", concurrency=None, rate=(300, 1_000))])[0].granted
        clock.advance(1)
    assert 249 <= given <= 301


def test_step_that_gets_no_slot_uses_no_place_of_the_rate(shop: Shop, store: Store, clock: ManualClock):
    run = shop.started()
    first, second = (ask(run.no, key, concurrency=1, rate=(1, 1_000)) for key in ("a", "b"))
    assert store.acquire([first]) == [GRANTED]
    clock.advance(1_000)
    assert store.acquire([second]) == [FULL]
    shop.commit(replace(shop.turn(run, 2), slots_freed=["a"]))
    assert store.acquire([second]) == [GRANTED]


def test_step_that_gets_no_place_takes_no_slot(shop: Shop, store: Store, clock: ManualClock):
    run = shop.started()
    requests = [ask(run.no, key, concurrency=5, rate=(1, 1_000)) for key in ("a", "b")]
    assert store.acquire(requests) == [GRANTED, SlotAnswer(granted=False, retry_at=clock.now_ms() + 1_000)]
    assert read_slots(store) == {"ws/api": {1: run.no}}


def test_slots_never_exceed_the_limit_on_threads(shop: Shop, store: Store):
    runs = [shop.started() for _ in range(8)]

    def work(place: int) -> int:
        granted = 0
        for turn in range(25):
            if store.acquire([ask(runs[place].no, "k", concurrency=3)])[0].granted:
                granted += 1
                assert len(read_slots(store)["ws/api"]) <= 3
                shop.commit(replace(shop.turn(runs[place], granted + 1), slots_freed=["k"] if turn % 3 else []))
        return granted

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(work, range(8))) > 0
