"""What many machines need of a store: facts of workers, formats of events, events for the outside."""

from dataclasses import replace

from tests.support.clock import ManualClock
from tests.support.stores import EXPIRY_MS, Shop, read_facts, read_outbox

from flowforge.engine.store import (
    NO_FACTS,
    ClaimRequest,
    NewOutboxEvent,
    NewRun,
    Release,
    SlotScope,
    Store,
    Verdict,
    WorkerFacts,
)


def test_worker_tells_of_itself(store: Store, clock: ManualClock):
    facts = WorkerFacts("worker", "1.2.3", "höst", 4_711, ("default", "heavy"), "http://10.0.0.1:8081")
    assert read_facts(store, store.register("w", EXPIRY_MS, facts)) == (facts, clock.now_ms())
    assert read_facts(store, store.register("w", EXPIRY_MS)) == (NO_FACTS, clock.now_ms())


def claim(shop: Shop, *, form: int, only: list[int] | None = None) -> list[int]:
    request = ClaimRequest(shop.worker, 10, only=only, format=form)
    return [one.run_no for one in shop.store.claim(request)]


def released(shop: Shop, needs: int) -> NewRun:
    run = shop.started()
    end = Release("waiting", 0, "{}", needs=needs)
    assert shop.commit(replace(shop.turn(run, 2), release=end)).verdict is Verdict.DONE
    return run


def test_run_that_needs_a_later_format_is_left_to_newer_workers(shop: Shop):
    new, old = released(shop, needs=3), released(shop, needs=1)
    assert claim(shop, form=2) == [old.no]
    assert claim(shop, form=2, only=[new.no]) == []
    assert claim(shop, form=3, only=[new.no]) == [new.no]


def test_old_worker_does_not_stop_at_runs_that_it_cannot_read(shop: Shop):
    for _ in range(20):
        released(shop, needs=2)
    old = released(shop, needs=1)
    assert claim(shop, form=1) == [old.no]
    assert len(claim(shop, form=2)) == 10


def test_mail_to_a_run_of_a_later_format_keeps_it_for_newer_workers(shop: Shop):
    run = released(shop, needs=2)
    shop.send(run)
    assert claim(shop, form=1) == []
    assert claim(shop, form=2) == [run.no]


def event(run: NewRun, number: int = 1, **choices: object) -> NewOutboxEvent:
    return replace(
        NewOutboxEvent(run.workspace_id, "run", run.id, "run.completed", b'{"name":"K\xc3\xb6ln","n":%d}' % number, 70 + number),
        **choices,
    )


def test_events_for_the_outside_are_stored_with_their_turn_in_order(shop: Shop, store: Store):
    run = shop.started()
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    events = [event(run, 1, traceparent=trace), event(run, 2)]
    assert shop.commit(replace(shop.turn(run, 2), outbox=events)).verdict is Verdict.DONE
    assert shop.commit(replace(shop.turn(run, 3), outbox=[event(run, 3)])).verdict is Verdict.DONE
    assert read_outbox(store) == [
        ("ws", "run", run.id, "run.completed", '{"name":"Köln","n":1}', 71, trace),
        ("ws", "run", run.id, "run.completed", '{"name":"Köln","n":2}', 72, None),
        ("ws", "run", run.id, "run.completed", '{"name":"Köln","n":3}', 73, None),
    ]


def test_events_of_a_refused_turn_are_not_stored(shop: Shop, store: Store):
    run = shop.started()
    assert shop.commit(replace(shop.turn(run, 2, epoch=9), outbox=[event(run)])).verdict is Verdict.STALE
    assert read_outbox(store) == []


def test_events_of_a_start_are_stored_with_the_run_and_only_then(shop: Shop, store: Store):
    slot = SlotScope("wf", 1, "reject")
    runs = [replace(shop.new(slot=slot), dedup=name) for name in ("a", "a", "b")]
    results = shop.start(*(replace(run, outbox=[event(run)]) for run in runs))
    assert [result.verdict for result in results] == [Verdict.DONE, Verdict.DUPLICATE, Verdict.REJECTED]
    assert [row[2] for row in read_outbox(store)] == [runs[0].id]


def test_events_of_a_turn_that_comes_twice_are_stored_once(shop: Shop, store: Store):
    run = shop.started()
    turn = replace(shop.turn(run, 2), outbox=[event(run)])
    assert [shop.commit(turn).verdict for _ in range(2)] == [Verdict.DONE, Verdict.DONE]
    assert len(read_outbox(store)) == 1
