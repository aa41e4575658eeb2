"""F21-F28: the database answers late, not at all, or not what was asked."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import cast

import pytest
from tests.support.documents import make_document
from tests.support.lab import QUICK, Lab
from tests.support.moody import MoodyStore
from tests.support.soundness import assert_sound

from flowforge.engine.executor.settling import settle
from flowforge.engine.store import Store
from flowforge.kit.errors import StorageError, StorageFullError

DOCUMENT = make_document(
    """
- {id: a, uses: test.record, with: {name: a}}
- id: each
  uses: flow.foreach
  with: {items: [1, 2, 3], concurrency: 2}
  steps:
    - {id: mark, uses: test.record, with: {name: mark, value: "${{ item }}"}}
- {id: nap, uses: flow.wait, with: {for: 350ms}}
- {id: b, uses: test.record, with: {name: b, value: "${{ size(steps.each.output) }}"}}
""",
    'output: "${{ steps.b.output.value }}"\n',
)
WRITES = {"commit", "claim", "beat", "expire", "deliver", "acquire", "look_back", "publish", "match"}


@pytest.fixture
async def moody(tmp_path: Path) -> AsyncIterator[tuple[Lab, MoodyStore]]:
    """A lab whose engine works on a store that a test can make fail."""
    lab = Lab(tmp_path, replace(QUICK, storage_patience_ms=400))
    store = MoodyStore(lab.store)
    lab.store = cast("Store", store)
    lab.engine = lab.make_engine()
    await lab.engine.open()
    yield lab, store
    store.calm()
    await lab.close()
    assert_sound(lab)


def fail_often(seed: int, names: set[str], share: float, fault: Callable[[], Exception]) -> Callable[[str], None]:
    chance = Random(seed)

    def act(name: str) -> None:
        if name in names and chance.random() < share:
            raise fault()

    return act


def unavailable() -> StorageError:
    return StorageError("The database cannot be used.")


async def finish_many(lab: Lab, count: int) -> None:
    runs = [await lab.start(DOCUMENT) for _ in range(count)]
    for started in runs:
        outcome = await lab.finish(started)
        assert (outcome.status, outcome.output) == ("completed", 3)


async def test_f21_lost_answers_of_commits_store_nothing_twice(moody: tuple[Lab, MoodyStore]):
    lab, store = moody
    store.after = fail_often(1, {"commit"}, 0.3, unavailable)

    await finish_many(lab, 10)

    assert lab.book.names().count("mark") == 30
    assert lab.book.names().count("a") == lab.book.names().count("b") == 10


async def test_f22_commit_that_is_cut_is_done_again_as_a_whole(moody: tuple[Lab, MoodyStore]):
    lab, store = moody
    store.before = fail_often(2, {"commit"}, 0.3, unavailable)

    await finish_many(lab, 10)

    assert len(lab.book.entries()) == 50


async def test_f23_busy_database_costs_time_and_nothing_else(moody: tuple[Lab, MoodyStore]):
    lab, store = moody
    store.before = fail_often(3, WRITES - {"beat", "expire"}, 0.3, unavailable)

    await finish_many(lab, 10)

    assert len(lab.book.entries()) == 50


@pytest.mark.parametrize("fault", [StorageFullError, StorageError], ids=["F24 full", "F28 read-only"])
async def test_work_goes_on_by_itself_when_the_database_can_be_written_again(
    moody: tuple[Lab, MoodyStore], fault: type[StorageError]
):
    lab, store = moody
    gate = lab.book.gate("a")
    started = await lab.start(DOCUMENT)
    await lab.until(lambda: lab.book.names() == ["a"])
    store.before = fail_often(4, WRITES, 1, lambda: fault("It cannot be written."))
    gate.set()
    await lab.until(lambda: lab.engine.committer.is_stalled)

    with pytest.raises(StorageError):
        await settle(lab.engine, started.run_no, 5_000)
    assert lab.book.names() == ["a"]
    assert lab.events(started.run_no)[-1]["type"] == "step.planned"
    store.calm()
    await lab.until(lambda: not lab.engine.committer.is_stalled)

    assert (await lab.finish(started)).output == 3
    assert lab.book.names().count("a") in {1, 2}
    assert len(lab.book.keys_of("a")) == 1


async def test_f28_effects_that_were_stopped_for_want_of_a_beat_begin_anew(moody: tuple[Lab, MoodyStore]):
    lab, store = moody
    gate = lab.book.gate("a")
    started = await lab.start(DOCUMENT)
    await lab.until(lambda: lab.book.names() == ["a"])
    store.before = fail_often(5, WRITES | {"retire"}, 1, unavailable)
    await lab.until(lambda: lab.engine.attempts.in_flight == 0)
    gate.set()
    store.calm()

    assert (await lab.finish(started)).output == 3
    assert lab.book.names()[:2] == ["a", "a"]
    assert len(lab.book.keys_of("a")) == 1


async def test_f24_start_is_not_acknowledged_before_it_is_stored(moody: tuple[Lab, MoodyStore]):
    lab, store = moody
    pinned = lab.define(DOCUMENT)
    await lab.run(pinned)
    store.before = fail_often(6, WRITES, 1, lambda: StorageFullError("The disk is full."))
    starting = asyncio.create_task(lab.start(pinned))
    await lab.until(lambda: lab.engine.committer.is_stalled)

    assert not starting.done()
    store.calm()

    assert (await lab.finish(await starting)).status == "completed"


async def test_f25_held_write_lock_delays_and_fails_nothing(moody: tuple[Lab, MoodyStore]):
    lab, _ = moody
    with closing(sqlite3.connect(lab.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        starting = asyncio.create_task(asyncio.to_thread(lab.store.expire))
        await asyncio.to_thread(_hold, 0.7)
        other.execute("ROLLBACK")
    await starting

    await finish_many(lab, 2)


def _hold(seconds: float) -> None:
    import threading  # kept beside its only use

    threading.Event().wait(seconds)
