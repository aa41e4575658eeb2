"""What the elected scheduler does, on real databases."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, cast

import orjson
import pytest
from sqlalchemy import delete, update
from tests.cluster.places import Place
from tests.support.lab import make_registry
from tests.support.stores import EXPIRY_MS, Shop, check_sound, read_runs

from flowforge.cluster.duties import REFUSED_KEPT, DutyParts, DutySettings, list_duties
from flowforge.cluster.oversight import adopt_orphan
from flowforge.engine.database_server.store import DatabaseServerStore
from flowforge.engine.machine import Program
from flowforge.engine.sqlite.store import SqliteStore
from flowforge.engine.store import NewJob, Store
from flowforge.engine.tables import outbox, queue, refused_messages, runs, workers
from flowforge.kit.crashpoint import crash_hook
from flowforge.kit.database.clock import DatabaseClock
from flowforge.kit.ids import IdSource
from flowforge.kit.limits import Limits
from flowforge.kit.objects import ObjectStore
from flowforge.kit.telemetry.metrics import Metrics
from flowforge.language.compiler import compile_document

DAY_MS = 86_400_000
SETTINGS = DutySettings(
    sweep_ms=100, stuck_after_ms=1_800_000, keep_outbox_ms=7 * DAY_MS, keep_runs_ms=90 * DAY_MS, step_timeout_ms=300_000
)
DOCUMENT = """
flowforge: 1
name: order
steps:
  - {id: quick, uses: test.record, with: {name: quick}}
  - {id: slow, uses: test.record, timeout: 5h, with: {name: slow}}
"""


class KilledError(BaseException):
    """The process ends here."""


@dataclass
class NotedBell:
    rings: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])

    def ring(self, queue: str, run_no: int, epoch: int) -> None:
        assert epoch == 0
        self.rings.append((queue, run_no))


@dataclass
class Office:
    """A store with a shop in it, and the duties over it."""

    place: Place
    shop: Shop
    bell: NotedBell
    metrics: Metrics
    duties: dict[str, Any]

    async def do(self, name: str) -> bool:
        return cast("bool", await self.duties[name].run())

    def count(self, name: str) -> float:
        return self.metrics.registry.get_sample_value(f"flowforge_{name}") or 0.0


def open_store(place: Place) -> Store:
    if place.kind == "sqlite":
        return SqliteStore(place.url.file, place.clock, lambda: 0.5, sleep=lambda _: None)
    return DatabaseServerStore(place.url, cast("DatabaseClock", place.clock), lambda: 0.5, sleep=lambda _: None)


@pytest.fixture
async def office(place: Place, tmp_path: Path) -> AsyncGenerator[Office]:
    store, bell, metrics = open_store(place), NotedBell(), Metrics()
    shop = Shop(store, place.clock, store.register("first", EXPIRY_MS))
    objects = ObjectStore(tmp_path / "files", IdSource(place.clock))
    parts = DutyParts(store, place.sessions, place.clock, bell, objects, find_program, metrics)
    yield Office(place, shop, bell, metrics, {duty.name: duty for duty in list_duties(parts, SETTINGS)})
    store.close()


def find_program(digest: str) -> Program:
    assert digest == "digest"
    compilation = compile_document(DOCUMENT, make_registry(), Limits())
    assert compilation.workflow is not None, compilation.errors
    return Program(compilation.workflow)


async def test_runs_of_a_dead_worker_are_queued_and_workers_are_told(office: Office):
    shop = office.shop
    run = shop.started()
    await office.do("expire")
    assert office.bell.rings == []
    office.place.clock.advance(EXPIRY_MS)
    await office.do("expire")
    assert office.bell.rings == [("default", 0)]
    assert office.count("crashes_total") == 1
    assert [claimed.run_no for claimed in shop.claim(shop.hire())] == [run.no]


async def test_f15_every_run_of_a_dead_worker_is_queued_once_however_often_who_expires_it_is_killed(office: Office):
    shop, random = office.shop, Random(15)
    deaths = 0
    heir = shop.hire("heir")
    for _ in range(20):
        victim = shop.hire("victim")
        born = [shop.started(owner=victim, no=(victim << 32) | number, id=f"{victim}-{number}") for number in range(1, 4)]
        office.place.clock.advance(EXPIRY_MS)
        assert shop.store.beat(heir, EXPIRY_MS)
        deaths += await _expire_with_a_death(office, random.randrange(1, 4))
        await office.do("expire")
        check_sound(shop.store)
        views = read_runs(shop.store)
        assert {views[run.no].epoch for run in born} == {1}
        assert {views[run.no].crashes for run in born} == {1}
    assert deaths >= 15
    claimed = shop.claim(heir, limit=200, suspects=200)
    assert len(claimed) == 60
    assert {each.epoch for each in claimed} == {2}


async def _expire_with_a_death(office: Office, at_point: int) -> int:
    points = 0

    def hook(name: str) -> None:
        nonlocal points
        if name in ("CP21", "CP22"):
            points += 1
            if points == at_point:
                raise KilledError

    with crash_hook(hook):
        try:
            office.shop.store.expire()
        except KilledError:
            return 1
    return 0


async def test_workers_are_told_of_due_runs_and_waiting_jobs(office: Office):
    shop, now_ms = office.shop, office.place.clock.now_ms()
    due, later = shop.new(is_queued=True), replace(shop.new(is_queued=True), due_at=now_ms + 60_000)
    busy = shop.started()
    shop.start(replace(due, due_at=now_ms), later)
    job = NewJob(busy.no, "slow", 1, "ws", "heavy", 5, now_ms, b"{}")
    shop.commit(replace(shop.turn(busy, 2), jobs=[job]))
    await office.do("ring")
    assert office.bell.rings == [("default", due.no), ("heavy", busy.no)]
    office.bell.rings.clear()
    office.place.clock.advance(60_000)
    await office.do("ring")
    assert ("default", later.no) in office.bell.rings


def started_body(*events: dict[str, Any]) -> bytes:
    pinned = {"id": "wf", "name": "order", "version": 1, "digest": "digest"}
    first = {"type": "run.started", "run": "r1", "workspace": "ws", "workflow": pinned, "input": {}, "vars": {}}
    return orjson.dumps([{**first, "trigger": {}, "actor": "user"}, *events])


def planned(step: str) -> dict[str, Any]:
    return {"type": "step.planned", "step": step, "attempt": 1, "key": "k", "digest": "p"}


async def test_run_that_its_living_worker_does_not_move_is_told_of_once(office: Office, caplog: pytest.LogCaptureFixture):
    shop, clock = office.shop, office.place.clock
    run = shop.started(body=started_body(planned("quick")))
    slow = shop.started(body=started_body(planned("slow")))
    clock.advance(SETTINGS.stuck_after_ms - 1)
    shop.store.beat(shop.worker, EXPIRY_MS)
    await office.do("stuck")
    assert office.count("stuck_runs") == 0
    clock.advance(2)
    for _ in range(3):
        await office.do("stuck")
    assert office.count("stuck_runs") == 1
    assert caplog.text.count("A run is stuck") == 1
    clock.advance(6 * 3_600_000)
    await office.do("stuck")
    assert office.count("stuck_runs") == 2
    assert caplog.text.count("A run is stuck") == 2
    shop.append(run, 2)
    shop.append(slow, 2)
    await office.do("stuck")
    assert office.count("stuck_runs") == 0


async def test_run_that_nobody_has_is_queued_again(office: Office, caplog: pytest.LogCaptureFixture):
    shop, place = office.shop, office.place
    lost, kept, owned = shop.new(is_queued=True), shop.new(is_queued=True), shop.new()
    shop.start(lost, kept, owned)
    async with place.sessions.write.begin() as session:
        await session.execute(delete(queue).where(queue.c.run_no == lost.no))
    assert await office.do("orphans")
    assert office.count("orphans_total") == 0
    assert not await office.do("orphans")
    assert office.count("orphans_total") == 1
    assert "neither worker nor queue row" in caplog.text
    assert office.bell.rings == [("default", lost.no)]
    check_sound(shop.store)
    assert sorted(claimed.run_no for claimed in shop.claim()) == sorted([lost.no, kept.no])
    async with place.sessions.write.begin() as session:
        for run_no in (lost.no, kept.no, owned.no, 4_711):
            assert await adopt_orphan(session, run_no, place.clock.now_ms()) is None


async def test_what_is_old_goes_and_what_a_person_may_need_stays(office: Office):
    place, shop = office.place, office.shop
    await place.tell(0, 1)
    async with place.sessions.write.begin() as session:
        await session.execute(update(outbox).where(outbox.c.no == 1).values(published_at=place.clock.now_ms(), due_at=None))
    told = {"at": 1, "queue": "default", "reason": "no JSON", "excerpt": "x"}
    await place.put(refused_messages, *(told for _ in range(REFUSED_KEPT + 5)))
    dead, owing, fresh = shop.hire("dead"), shop.hire("owing"), shop.hire("fresh")
    shop.started(owner=owing, no=(owing << 32) | 1)
    async with place.sessions.write.begin() as session:
        await session.execute(update(workers).where(workers.c.no.in_([dead, owing])).values(dead=1, expires_at=5))
        await session.execute(update(workers).where(workers.c.no == fresh).values(dead=1))
    place.clock.advance(SETTINGS.keep_outbox_ms + 1 - DAY_MS)
    await office.do("outbox")
    assert len(await place.rows(outbox)) == 2
    place.clock.advance(DAY_MS)
    for name in ("outbox", "refused_messages"):
        assert not await office.do(name)
    assert [row["published_at"] for row in await place.rows(outbox)] == [None]
    assert len(await place.rows(refused_messages)) == REFUSED_KEPT
    place.clock.set_wall(place.clock.now_ms() - 6 * DAY_MS)
    assert not await office.do("dead_workers")
    assert [row["no"] for row in await place.rows(workers)] == [shop.worker, owing, fresh]


async def test_finished_runs_go_after_their_time(office: Office):
    run, still_open = office.shop.started(), office.shop.started()
    office.shop.finish(run, 2)
    office.place.clock.advance(90 * DAY_MS + 1)
    await office.do("retention")
    assert [row["no"] for row in await office.place.rows(runs)] == [still_open.no]
