from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update
from tests.support.databases import Kind
from tests.support.filled import AT, OWNED, change_rows, fill, make_run, read_everything, read_rows
from tests.support.ground import Ground

from flowforge.engine.tables import inbox, journal, outbox, runs, step_logs, workers
from flowforge.kit.clock import SystemClock
from flowforge.kit.crashpoint import crash_hook
from flowforge.kit.database.errors import DatabaseNewerError
from flowforge.kit.database.schema import require_current
from flowforge.kit.database.url import DatabaseUrl
from flowforge.kit.folder import DataFolder
from flowforge.upkeep.copying import Copied, CopyPlan, Progress, copy_database
from flowforge.upkeep.errors import (
    CopyUnfitError,
    CountDiffersError,
    RowDiffersError,
    TargetNotEmptyError,
    WorkersAliveError,
)

CLOCK = SystemClock()
WAYS: Sequence[tuple[Kind, Kind]] = (
    ("sqlite", "postgres"),
    ("sqlite", "mysql"),
    ("sqlite", "sqlite"),
    ("postgres", "mysql"),
    ("postgres", "sqlite"),
    ("mysql", "postgres"),
    ("mysql", "sqlite"),
)
FENCED = {"workers", "runs", "queue", "jobs", "inbox", "leases"}
"""Tables that are changed once all is copied."""


def copy(source: DatabaseUrl, target: DatabaseUrl, folder: DataFolder, **plan: bool) -> Copied:
    return copy_database(source, target, folder, CopyPlan(**plan), CLOCK, lambda _: None)


@pytest.mark.parametrize(("of", "to"), WAYS)
def test_every_row_is_copied_to_the_byte(ground: Ground, of: Kind, to: Kind):
    folder, source, target = ground.folder(), ground.upgraded(of), ground.bare(to)
    fill(source, size=540)
    before = read_everything(source)
    copied = copy(source, target, folder)
    after = read_everything(target)
    for name, rows in before.items():
        assert name in FENCED or after[name] == rows, name
    assert copied.tables == {name: len(rows) for name, rows in before.items() if name != "schema_compatibility"}
    assert copied.found == 0
    assert (copied.fenced.runs, copied.fenced.jobs, copied.fenced.workers) == (1, 2, 1)
    assert read_everything(source) == before
    require_current(target)


def test_numbers_of_the_copy_go_on(ground: Ground):
    source, target = ground.upgraded("sqlite"), ground.bare("postgres")
    fill(source)
    change_rows(source, delete(step_logs).where(step_logs.c.no == 3))
    copied = copy(source, target, ground.folder())
    line = insert(step_logs).values(run_no=1, at=AT, level="info", step="a", attempt=1, message="m", fields="{}")
    mail = insert(inbox).values(run_no=1, kind="signal", body="{}", sender="a", unread=1)
    change_rows(target, line, mail, insert(workers).values(name="new", expires_at=AT, dead=0))
    assert max(row["no"] for row in read_rows(target, select(step_logs.c.no))) == 3
    assert max(row["no"] for row in read_rows(target, select(workers.c.no))) >= copied.fenced.next_worker
    assert max(row["no"] for row in read_rows(target, select(inbox.c.no))) > 10**12


class Killed(BaseException):
    pass


@pytest.mark.parametrize(("of", "to"), [("sqlite", "postgres"), ("sqlite", "mysql"), ("postgres", "sqlite")])
def test_copy_that_was_killed_is_gone_on_with(ground: Ground, of: Kind, to: Kind):
    folder, source, target = ground.folder(), ground.upgraded(of), ground.bare(to)
    fill(source, size=540)
    before = read_everything(source)
    passed = 0

    def kill(name: str) -> None:
        nonlocal passed
        passed += name == "CP30"
        if passed == 4:
            raise Killed

    with crash_hook(kill), pytest.raises(Killed):
        copy(source, target, folder)
    with pytest.raises(DatabaseNewerError, match="copy-not-finished"):
        require_current(target)
    copied = copy(source, target, folder)
    assert 0 < copied.found < sum(copied.tables.values())
    after = read_everything(target)
    assert all(after[name] == rows for name, rows in before.items() if name not in FENCED)
    require_current(target)


def test_unfinished_copy_finds_that_its_source_has_changed(ground: Ground):
    folder, source, target = ground.folder(), ground.upgraded("sqlite"), ground.bare("postgres")
    fill(source, size=540)

    def kill(name: str) -> None:
        if name == "CP30" and "journal" in tables[:-1]:
            raise Killed

    tables: list[str] = []
    with crash_hook(kill), pytest.raises(Killed):
        copy_database(
            source,
            target,
            folder,
            CopyPlan(),
            CLOCK,
            lambda progress: tables.append(progress.table) if progress.done == 0 else None,
        )
    change_rows(source, update(journal).where(journal.c.run_no == OWNED).values(body="[]"))
    with pytest.raises(RowDiffersError, match="--anew"):
        copy(source, target, folder)
    with pytest.raises(CopyUnfitError, match="another database"):
        copy(ground.upgraded("sqlite"), target, folder)
    assert copy(source, target, folder, is_anew=True).found == 0
    assert {row["body"] for row in read_rows(target, select(journal).where(journal.c.run_no == OWNED))} == {"[]"}


def test_row_that_is_gone_from_the_source_is_found(ground: Ground):
    folder, source, target = ground.folder(), ground.upgraded("sqlite"), ground.bare("sqlite")
    fill(source, size=3)
    tables: list[str] = []

    def kill(name: str) -> None:
        if name == "CP30" and "journal" in tables and tables[-1] != "journal":
            raise Killed

    with crash_hook(kill), pytest.raises(Killed):
        copy_database(source, target, folder, CopyPlan(), CLOCK, lambda progress: tables.append(progress.table))
    change_rows(source, delete(journal).where(journal.c.run_no == OWNED, journal.c.seq == 2))
    with pytest.raises(CountDiffersError, match="journal"):
        copy(source, target, folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"subject": "a\x00b"}, "subject|NUL|null"),
        ({"actor": "x" * 300}, "too long"),
        ({"crashes": 2**40}, "out of range|integer"),
    ],
)
def test_row_that_the_target_does_not_take_is_named(ground: Ground, change: dict[str, Any], said: str):
    source, target = ground.upgraded("sqlite"), ground.bare("postgres")
    change_rows(source, insert(runs).values(make_run(98)), insert(runs).values(make_run(99, **change)))
    with pytest.raises(RowDiffersError, match=f"no=99 of the table runs.*({said})"):
        copy(source, target, ground.folder())
    change_rows(source, delete(runs).where(runs.c.no == 99))
    assert copy(source, target, ground.folder()).tables["runs"] == 1


def test_copy_refuses_while_somebody_works(ground: Ground):
    source, target = ground.upgraded("sqlite"), ground.bare("sqlite")
    change_rows(source, insert(workers).values(name="busy", expires_at=CLOCK.now_ms() + 60_000, dead=0))
    with pytest.raises(WorkersAliveError, match="busy"):
        copy(source, target, ground.folder())
    assert copy(source, target, ground.folder(), is_forced=True).fenced.workers == 1


def test_copy_refuses_a_target_that_holds_anything(ground: Ground):
    source, target = ground.upgraded("sqlite"), ground.upgraded("sqlite")
    change_rows(
        target,
        insert(outbox).values(
            workspace_id="w", aggregate_type="run", aggregate_id="r", event_type="e", payload="{}", created_at=AT
        ),
    )
    with pytest.raises(TargetNotEmptyError, match="outbox"):
        copy(source, target, ground.folder())
    with pytest.raises(CopyUnfitError):
        copy(source, source, ground.folder())


def test_progress_is_told_by_table(ground: Ground):
    source, target = ground.upgraded("sqlite"), ground.bare("sqlite")
    fill(source, size=1_100)
    told: list[Progress] = []
    copy_database(source, target, ground.folder(), CopyPlan(), CLOCK, told.append)
    of_runs = [progress for progress in told if progress.table == "runs"]
    assert [progress.done for progress in of_runs] == [0, 500, 1_000, 1_104]
    assert {progress.total for progress in of_runs} == {1_104}
