"""F60 on every object store: values wait while it is away, the journal names none that is not there, orphans are collected by age."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.checker import Witnesses, check
from tests.support.documents import make_document
from tests.support.lab import Lab, open_lab
from tests.support.objects import KINDS, make_bucket_url
from tests.support.s3 import serve_s3
from tests.support.tcp_proxy import open_tcp_proxy

from flowforge.engine.executor.retention import Retention
from flowforge.kit.clock import SystemClock
from flowforge.kit.crashpoint import crash_hook
from flowforge.kit.ids import IdSource
from flowforge.kit.objects import ObjectStore, open_shelf

SIZE = 300_000
LARGE = f"- {{id: a, uses: test.record, with: {{name: a, size: {SIZE}}}}}\n"
READER = '- {id: b, uses: test.record, with: {name: b, value: "${{ size(steps.a.output.value) }}"}}\n'
FOR_EVER_MS = 2**50


@dataclass
class Depot:
    """An object store that can be taken away, and brought back."""

    objects: ObjectStore
    take_away: Callable[[], object]
    bring_back: Callable[[], object]

    def list_values(self) -> set[str]:
        return {value.id for value in self.objects.list_values(stored_before_ms=FOR_EVER_MS)}


@contextmanager
def open_depot(kind: str, folder: Path) -> Generator[Depot]:
    ids = IdSource(SystemClock())
    if kind == "bucket":
        with serve_s3() as port, open_tcp_proxy(port) as proxy:
            yield Depot(ObjectStore(open_shelf(make_bucket_url(proxy.port)), ids), proxy.cut, proxy.heal)
        return
    aside = folder.with_name("aside")

    def take_away() -> None:
        folder.rename(aside)
        if kind == "folder":
            folder.touch()

    def bring_back() -> None:
        folder.unlink(missing_ok=True)
        aside.rename(folder)

    folder.mkdir()
    shelf = open_shelf(f"file://{folder}") if kind == "shared folder" else folder
    yield Depot(ObjectStore(shelf, ids), take_away, bring_back)


@pytest.fixture(params=KINDS)
def depot(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Depot]:
    with open_depot(request.param, tmp_path / "depot") as opened:
        yield opened


@pytest.fixture
async def lab(tmp_path: Path, depot: Depot) -> AsyncIterator[Lab]:
    async with open_lab(tmp_path, objects=depot.objects) as opened:
        yield opened
    kept = depot.list_values()
    assert check(opened.database, Witnesses(has_blob=lambda blob: blob in kept)) == []


def named(lab: Lab) -> set[str]:
    with closing(sqlite3.connect(lab.database)) as connection:
        return {blob for (blob,) in connection.execute("SELECT blob FROM run_blobs")}


async def test_f60_value_waits_for_the_object_store_and_is_stored_before_its_row(lab: Lab, depot: Depot):
    pinned = lab.define(make_document(LARGE + READER))
    depot.take_away()
    started = await lab.start(pinned)
    await lab.until(lambda: lab.book.names() == ["a"])
    assert [event["type"] for event in lab.events(started.run_no)][-1] == "step.planned"
    assert named(lab) == set()

    depot.bring_back()

    outcome = await lab.finish(started, 20_000)
    assert outcome.status == "completed"
    assert lab.book.names() == ["a", "b"]
    assert lab.book.entries()[-1].value == SIZE
    assert named(lab) == depot.list_values() != set()


async def test_f60_value_is_read_when_the_object_store_is_back(lab: Lab, depot: Depot):
    gate = lab.book.gate("c")
    pinned = lab.define(make_document(LARGE + "- {id: c, uses: test.record, with: {name: c}}\n" + READER))
    started = await lab.start(pinned)
    await lab.until(lambda: lab.book.names() == ["a", "c"])
    await lab.crash()
    depot.take_away()
    gate.set()
    await lab.restart()
    await lab.until(lambda: lab.engine.lives != {})
    depot.bring_back()

    outcome = await lab.finish(started, 20_000)

    assert outcome.status == "completed"
    assert lab.book.entries()[-1].value == SIZE


async def test_f60_value_whose_row_was_never_written_is_collected_by_its_age(lab: Lab, depot: Depot):
    class Died(BaseException):
        pass

    died: list[str] = []

    def die(name: str) -> None:
        if name == "CP23":
            died.append(name)
            raise Died

    pinned = lab.define(make_document(LARGE))
    with crash_hook(die):
        started = await lab.start(pinned)
        await lab.until(lambda: died != [])
    (lost,) = depot.list_values()
    await lab.crash()
    await lab.restart()
    assert (await lab.finish(started)).status == "completed"
    assert named(lab) == depot.list_values() - {lost}

    await Retention(lab.engine).look(lab.clock.now_ms())
    assert lost in depot.list_values()
    lab.advance(2 * 3_600_000)
    await Retention(lab.engine).look(lab.clock.now_ms())

    assert depot.list_values() == named(lab)
