"""Batches by themselves: who works on one, what becomes of one that fails, and of one that nobody here knows."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.support.databases import Kind
from tests.support.sessions import KINDS
from tests.support.web_lab import WebLab, open_web_lab

from flowforge.kit.clock import Clock
from flowforge.kit.errors import StorageError, ValidationError
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID as WORKSPACE
from flowforge.runs.endpoints import batches
from flowforge.web.batches import rows as batch_rows
from flowforge.web.batches import working
from flowforge.web.batches.types import HELD_MS, Batch, BatchKinds, BatchStatus, Slice
from flowforge.web.batches.working import BatchDuty, get_batch, work_on, work_while_asked
from flowforge.web.calls import Parts


class Moment:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at_ms = 1_000_000

    def now_ms(self) -> int:
        return self.at_ms

    def monotonic_s(self) -> float:
        return self.at_ms / 1_000


@dataclass
class Counting:
    """A kind that counts to three, one a slice; `fault` is raised in the second."""

    name: str = "test.count"
    seen: list[int] = field(default_factory=list[int])
    fault: Exception | None = None
    gate: asyncio.Event | None = None

    async def advance(self, parts: Parts, batch: Batch) -> Slice:
        place = batch.place if isinstance(batch.place, int) else 0
        self.seen.append(place)
        if self.gate is not None:
            await self.gate.wait()
        if self.fault is not None and place == 1:
            raise self.fault
        return Slice(place + 1, 1, 0, {"counted": place + 1}, is_last=place == 2)


@dataclass
class BatchLab:
    web: WebLab
    clock: Moment
    kind: Counting

    async def begin(self, kind: str = "test.count") -> Batch:
        call = self.web.call()
        batch = Batch(call.make_id("bat"), WORKSPACE, kind, call.actor, {}, call.now_ms, total=3)
        async with call.change() as session:
            await batch_rows.insert_batch(session, batch)
        return batch

    async def is_takable(self) -> bool:
        async with self.web.call().read() as session:
            return bool(await batch_rows.list_takable(session, self.clock.at_ms, 1))

    async def read(self, batch: Batch) -> Batch:
        return await get_batch(self.web.call(), batch.id)


@pytest.fixture(params=KINDS)
async def lab(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BatchLab]:
    kind: Kind = request.param
    clock, counting = Moment(), Counting()
    moment: Clock = clock
    ports: dict[type, object] = {BatchKinds: BatchKinds([counting])}
    async with open_web_lab(tmp_path, [batches.router], kind=kind, ports=ports, clock=moment) as web:
        yield BatchLab(web, clock, counting)


async def test_batch_is_worked_on_slice_by_slice_until_it_has_ended(lab: BatchLab):
    batch = await lab.begin()
    await work_on(lab.web.parts, WORKSPACE, batch.id, 0)
    half = await lab.read(batch)
    assert (half.status, half.done, half.place) == (BatchStatus.RUNNING, 1, 1)
    await work_on(lab.web.parts, WORKSPACE, batch.id, 60)
    ended = await lab.read(batch)
    assert (ended.status, ended.done, ended.result) == (BatchStatus.COMPLETED, 3, {"counted": 3})
    assert lab.kind.seen == [0, 1, 2]
    await work_on(lab.web.parts, WORKSPACE, batch.id, 60)
    assert lab.kind.seen == [0, 1, 2]


async def test_slice_that_takes_too_long_is_made_without_its_caller(lab: BatchLab, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(working, "_SLICE_MAX_S", 0)
    monkeypatch.setattr(working, "HELD_MS", 30)
    gate = lab.kind.gate = asyncio.Event()
    batch = await lab.begin()
    assert await work_while_asked(lab.web.parts, WORKSPACE, batch.id, 0.1) is None
    lab.clock.at_ms += 31
    while await lab.is_takable():
        await asyncio.sleep(0.01)
    await BatchDuty(lab.web.parts).run_once()
    assert (lab.kind.seen, (await lab.read(batch)).done) == ([0], 0)
    gate.set()
    while (await lab.read(batch)).done == 0:
        await asyncio.sleep(0.01)
    await asyncio.gather(*working._left)  # pyright: ignore[reportPrivateUsage]


async def test_only_one_works_on_a_batch_and_another_one_goes_on_after_its_death(lab: BatchLab):
    batch = await lab.begin()
    parts = lab.web.parts
    async with parts.database.write.begin() as session:
        assert await batch_rows.take_batch(session, batch.id, "dead", lab.clock.at_ms, lab.clock.at_ms + HELD_MS)
    await BatchDuty(parts).run_once()
    assert lab.kind.seen == []
    lab.clock.at_ms += HELD_MS
    await BatchDuty(parts).run_once()
    assert (await lab.read(batch)).status is BatchStatus.COMPLETED
    async with parts.database.write.begin() as session:
        late = await batch_rows.save_progress(session, batch, "dead", lab.clock.at_ms, lab.clock.at_ms + HELD_MS)
    assert not late


async def test_batch_that_cannot_go_on_has_failed(lab: BatchLab):
    lab.kind.fault = ValidationError("Nobody can do that.")
    batch = await lab.begin()
    await BatchDuty(lab.web.parts).run_once()
    ended = await lab.read(batch)
    assert (ended.status, ended.done) == (BatchStatus.FAILED, 1)
    assert ended.error == {"code": "VALIDATION_ERROR", "message": "Nobody can do that."}


async def test_batch_waits_for_a_database_that_is_away(lab: BatchLab):
    lab.kind.fault = StorageError("The database is away.")
    batch = await lab.begin()
    with pytest.raises(StorageError):
        await work_on(lab.web.parts, WORKSPACE, batch.id, 60)
    lab.kind.fault = None
    await BatchDuty(lab.web.parts).run_once()
    assert (await lab.read(batch)).status is BatchStatus.COMPLETED


async def test_batch_of_a_kind_that_is_not_known_here_is_left_alone(lab: BatchLab):
    batch = await lab.begin("another.kind")
    await BatchDuty(lab.web.parts).run_once()
    assert (await lab.read(batch)).finished_at_ms is None


async def test_old_batches_are_dropped(lab: BatchLab):
    batch = await lab.begin()
    await BatchDuty(lab.web.parts).run_once()
    lab.clock.at_ms += batch_rows.KEPT_MS + 1
    await BatchDuty(lab.web.parts).run_once()
    answer = await lab.web.client.get(f"/api/v1/batches/{batch.id}")
    assert answer.status_code == 404
