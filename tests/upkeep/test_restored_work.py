"""What a restore promises to those who work: nothing that the journal knows is done twice, and nobody of before goes on."""

from pathlib import Path
from typing import Final, cast

import pytest
from tests.support.databases import Kind
from tests.support.documents import make_document
from tests.support.ground import Ground
from tests.support.lab import Lab

from flowforge.engine.database_server.store import DatabaseServerStore
from flowforge.engine.sqlite.store import SqliteStore
from flowforge.engine.store import ClaimRequest, NewRun, Store, Turn, Verdict
from flowforge.kit.clock import SystemClock
from flowforge.kit.database.clock import DatabaseClock
from flowforge.kit.database.url import DatabaseUrl, name_sqlite
from flowforge.kit.folder import open_data_folder
from flowforge.kit.values import JsonObject
from flowforge.upkeep.backup import BackupPlan, make_backup
from flowforge.upkeep.copying import CopyPlan, copy_database
from flowforge.upkeep.restore import RestorePlan, restore_backup

CLOCK: Final = SystemClock()
BARE: Final = BackupPlan(has_files=False, has_keys=False)
THREE: Final = make_document(
    """
- {id: a, uses: test.record, with: {name: a}}
- {id: b, uses: test.record, with: {name: b}}
- {id: c, uses: test.record, with: {name: c}}
"""
)


def open_store(url: DatabaseUrl) -> Store:
    if url.is_server:
        return DatabaseServerStore(url, DatabaseClock(), lambda: 0.5)
    return SqliteStore(url.file, CLOCK, lambda: 0.5)


async def test_nothing_that_the_journal_knows_is_executed_twice(tmp_path: Path):
    """The backup knows that `a` is done and `b` was begun; the work went on to the end after it."""
    for name in ("before", "after"):
        (tmp_path / name).mkdir()
    lab = Lab(tmp_path / "before", clock=CLOCK)
    await lab.engine.open()
    gate = lab.book.gate("b")
    started = await lab.start(THREE)
    await lab.until(lambda: "b" in lab.book.names())
    path = tmp_path / "one.flowforge"
    make_backup(name_sqlite(lab.database), open_data_folder(tmp_path / "data1"), path, BARE, CLOCK)
    gate.set()
    assert (await lab.finish(started)).status == "completed"
    assert lab.book.names() == ["a", "b", "c"]
    await lab.close()

    target = name_sqlite(tmp_path / "after" / "flowforge.db")
    restored = restore_backup(target, open_data_folder(tmp_path / "data2"), path, RestorePlan(), CLOCK)
    assert (restored.fenced.workers, restored.fenced.runs) == (1, 1)
    later = Lab(tmp_path / "after", clock=CLOCK)
    later.book.path = lab.book.path
    await later.engine.open()
    await later.until(lambda: any(event["type"] == "run.finished" for event in later.events(started.run_no)))
    assert later.book.names() == ["a", "b", "c", "b", "c"], "a is in the journal; b may have happened, c is not known of"
    assert [len(later.book.keys_of(name)) for name in ("a", "b", "c")] == [1, 1, 1], "and each under its first key"
    claims = [event for event in later.events(started.run_no) if event["type"] == "run.claimed"]
    assert claims[-1]["worker"] >= restored.fenced.next_worker
    await later.close()


async def test_zombie_engine_of_before_a_restore_cannot_append(tmp_path: Path):
    """The database is restored below an engine that goes on: what it has in memory is refused, and it comes back as another worker."""
    lab = Lab(tmp_path, clock=CLOCK)
    await lab.engine.open()
    gate = lab.book.gate("b")
    started = await lab.start(THREE)
    await lab.until(lambda: "b" in lab.book.names())
    url, path = name_sqlite(lab.database), tmp_path / "one.flowforge"
    make_backup(url, open_data_folder(tmp_path / "data"), path, BARE, CLOCK)
    plan = RestorePlan(is_replacing=True, is_forced=True)
    restored = restore_backup(url, open_data_folder(tmp_path / "data"), path, plan, CLOCK)
    before = len(lab.events(started.run_no))
    gate.set()
    await lab.until(lambda: any(event["type"] == "run.finished" for event in lab.events(started.run_no)))
    events = cast("list[JsonObject]", lab.events(started.run_no))
    assert events[before]["type"] == "run.claimed", "the first to write is a new owner"
    assert cast("int", events[before]["worker"]) >= restored.fenced.next_worker
    assert cast("int", events[before]["epoch"]) > CLOCK.now_ms() - 60_000
    completed = [event["step"] for event in events if event["type"] == "step.completed"]
    assert completed == ["a", "b", "c"]
    assert len(lab.book.keys_of("b")) == 1
    await lab.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgres", "mysql"])
@pytest.mark.parametrize("how", ["restore", "copy"])
def test_old_epoch_and_old_worker_are_refused(ground: Ground, tmp_path: Path, kind: Kind, how: str):
    """The same worker number and epoch as in the backup: a process that was frozen all the time, and now wakes."""
    folder, url = ground.folder(), ground.upgraded(kind)
    store = open_store(url)
    zombie = store.register("zombie", 60_000)
    no, at = (zombie << 32) | 1, store.now_ms()
    store.define("d" * 32, b"{}")
    birth = NewRun(
        no=no,
        id="run_" + "0" * 26,
        workspace_id="ws_" + "0" * 26,
        workflow_id="wf_1",
        workflow_name="w",
        version=1,
        digest="d" * 32,
        priority=5,
        actor="user:tester",
        at=at,
        body=b'[{"type":"run.started"}]',
        owner=zombie,
    )
    (born,) = store.commit([Turn(run_no=no, epoch=1, at=at, seq=2, body=b"", events=0, start=birth)])
    assert born.verdict is Verdict.DONE
    late = Turn(run_no=no, epoch=1, at=at, seq=2, body=b'[{"type":"step.completed"}]', events=1)
    target = url
    if how == "restore":
        make_backup(url, folder, tmp_path / "one", BARE, CLOCK)
        plan = RestorePlan(is_replacing=True, is_forced=True)
        fenced = restore_backup(url, folder, tmp_path / "one", plan, CLOCK).fenced
    else:
        target = ground.bare(kind)
        fenced = copy_database(url, target, folder, CopyPlan(is_forced=True), CLOCK, lambda _: None).fenced
        store.close()
        store = open_store(target)
    assert (fenced.workers, fenced.runs) == (1, 1)
    assert [result.verdict for result in store.commit([late])] == [Verdict.STALE]
    assert not store.beat(zombie, 60_000)
    assert [row.seq for row in store.load(no)] == [1]
    successor = store.register("successor", 60_000)
    assert successor >= fenced.next_worker > zombie
    (claimed,) = store.claim(ClaimRequest(worker=successor, limit=5))
    assert claimed.epoch > at - 60_000
    assert [result.verdict for result in store.commit([late])] == [Verdict.STALE]
    assert [row.seq for row in store.load(no)] == [1, 2], "the claim's row"
    store.close()
