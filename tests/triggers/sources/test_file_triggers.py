"""Watched folders: one run for each file, whatever happens between seeing it and starting the run."""

import asyncio
import os
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from tests.support.databases import Kind
from tests.support.sessions import KINDS
from tests.support.trigger_lab import TriggerLab, make_firing, open_trigger_lab

from flowforge.kit.clock import SystemClock
from flowforge.kit.errors import ConflictError, DependencyError, StorageError
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.kit.limits import Limits
from flowforge.kit.paths import Entry
from flowforge.kit.values import JsonObject
from flowforge.triggers.file_watch import check_folder, read_wish
from flowforge.triggers.file_watching import FileDuty


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncGenerator[TriggerLab]:
    (tmp_path / "work" / "inbox").mkdir(parents=True)
    async with open_trigger_lab(tmp_path, SystemClock().now_ms() - 10_000) as lab:
        yield lab


@pytest.fixture
async def duty(lab: TriggerLab, tmp_path: Path) -> AsyncGenerator[FileDuty]:
    duty = make_duty(lab, tmp_path)
    yield duty
    await duty.close()


def make_duty(lab: TriggerLab, tmp_path: Path) -> FileDuty:
    return FileDuty(lab.database, make_firing(lab.database, lab.runner, lab.clock), {"work": tmp_path / "work"}, lab.clock)


def put(tmp_path: Path, name: str, text: str = "x", *, age_s: int = 0) -> Path:
    path = tmp_path / "work" / "inbox" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    moment_s = SystemClock().now_ms() / 1_000 - age_s
    os.utime(path, (moment_s, moment_s))
    return path


async def look(lab: TriggerLab, duty: FileDuty, times: int = 3) -> None:
    """As long as it takes until a folder is looked through anew and its files stand still."""
    for _ in range(times):
        lab.clock.advance(61_000)
        await duty.run_once()


async def list_files(lab: TriggerLab) -> list[tuple[str, str]]:
    return [(str(run.trigger["event"]), str(run.trigger["path"])) for run in await lab.list_runs()]


async def test_a_file_starts_one_run_and_is_named_as_file_operations_name_it(lab: TriggerLab, duty: FileDuty, tmp_path: Path):
    put(tmp_path, "old.csv", age_s=3_600)
    await lab.add("file", {"path": "inbox", "patterns": ["*.csv"]})
    await duty.run_once()
    put(tmp_path, "new.csv", "1,2")
    put(tmp_path, "new.txt")
    await look(lab, duty)
    (run,) = await lab.list_runs()
    assert isinstance(run.input, dict)
    assert {name: run.input[name] for name in ("root", "path", "name", "size")} == {
        "root": "work",
        "path": "inbox/new.csv",
        "name": "new.csv",
        "size": 3,
    }
    await look(lab, duty)
    assert len(await lab.list_runs()) == 1


async def test_a_file_that_came_while_nobody_watched_starts_one_run(lab: TriggerLab, duty: FileDuty, tmp_path: Path):
    await lab.add("file", {"path": "inbox"})
    await duty.run_once()
    await duty.close()
    put(tmp_path, "a.csv", age_s=86_400)
    other = make_duty(lab, tmp_path)
    await look(lab, other)
    assert await list_files(lab) == [("created", "inbox/a.csv")], "though it is older than the trigger"
    await other.close()


async def test_a_file_that_still_grows_starts_no_run(lab: TriggerLab, duty: FileDuty, tmp_path: Path):
    await lab.add("file", {"path": "inbox", "stable_for": "5m", "events": ["created", "changed"]})
    await duty.run_once()
    for size in range(1, 4):
        put(tmp_path, "a.csv", "x" * size)
        await look(lab, duty, 2)
    assert await lab.list_runs() == []
    await look(lab, duty, 6)
    (run,) = await lab.list_runs()
    assert run.trigger["event"] == "created"
    assert isinstance(run.input, dict)
    assert run.input["size"] == 3


async def test_changed_and_deleted_files_are_told_where_they_are_asked_for(lab: TriggerLab, duty: FileDuty, tmp_path: Path):
    path = put(tmp_path, "a.csv", age_s=3_600)
    await lab.add("file", {"path": "inbox", "events": ["changed", "deleted"]})
    await duty.run_once()
    put(tmp_path, "a.csv", "more")
    put(tmp_path, "b.csv")
    await look(lab, duty)
    path.unlink()
    await look(lab, duty)
    assert await list_files(lab) == [("changed", "inbox/a.csv"), ("deleted", "inbox/a.csv")]


async def test_the_same_name_again_is_another_file(lab: TriggerLab, duty: FileDuty, tmp_path: Path):
    await lab.add("file", {"path": "inbox"})
    await duty.run_once()
    for _ in range(2):
        path = put(tmp_path, "a.csv")
        await look(lab, duty)
        path.unlink()
        await look(lab, duty)
    assert await list_files(lab) == [("created", "inbox/a.csv")] * 2


async def test_patterns_ignore_and_recursion_choose_files(lab: TriggerLab, duty: FileDuty, tmp_path: Path):
    config: JsonObject = {"path": "inbox", "patterns": ["*.csv"], "ignore": ["tmp", "~*"], "recursive": True}
    await lab.add("file", config)
    await lab.add("file", {"path": "inbox", "patterns": ["*.csv"], "ignore": ["~*"]}, key="flat")
    await duty.run_once()
    for name in ("a.csv", "~a.csv", "deep/b.csv", "deep/b.txt", "tmp/c.csv", "deep/tmp/d.csv"):
        put(tmp_path, name)
    await look(lab, duty)
    assert sorted(await list_files(lab)) == [("created", "inbox/a.csv")] * 2 + [("created", "inbox/deep/b.csv")]


async def test_links_lead_nowhere(lab: TriggerLab, duty: FileDuty, tmp_path: Path):
    await lab.add("file", {"path": "inbox", "recursive": True})
    await duty.run_once()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.csv").write_text("x")
    (tmp_path / "work" / "inbox" / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "work" / "inbox" / "link.csv").symlink_to(tmp_path / "outside" / "secret.csv")
    await look(lab, duty)
    assert await lab.list_runs() == []


async def test_the_system_tells_of_a_change_at_once(lab: TriggerLab, duty: FileDuty, tmp_path: Path):
    await lab.add("file", {"path": "inbox", "stable_for": "1ms"})
    await duty.run_once()
    began = lab.clock.now_ms()
    async with asyncio.timeout(20):
        number = 0
        while not await lab.list_runs():
            number += 1
            if number % 50 == 1:
                # The listening begins in the background.
                put(tmp_path, f"{number}.csv")
            lab.clock.advance(2)
            await duty.run_once()
    assert lab.clock.now_ms() - began < 5_000, "before the folder is looked through of itself"


async def test_a_file_is_tried_again_and_one_that_is_refused_is_not(lab: TriggerLab, duty: FileDuty, tmp_path: Path):
    await lab.add("file", {"path": "inbox"})
    await duty.run_once()
    put(tmp_path, "a.csv")
    lab.runner.faults = [DependencyError("Away.")]
    await look(lab, duty, 2)
    assert await lab.list_runs() == []
    lab.runner.faults = [StorageError("Away.")]
    with pytest.raises(StorageError):
        await look(lab, duty, 1)
    await look(lab, duty, 1)
    assert await list_files(lab) == [("created", "inbox/a.csv")]
    put(tmp_path, "b.csv")
    lab.runner.faults = [ConflictError("Full.")]
    await look(lab, duty)
    assert len(await lab.list_runs()) == 1


async def test_a_folder_that_is_away_for_a_while_has_lost_no_file(lab: TriggerLab, duty: FileDuty, tmp_path: Path):
    put(tmp_path, "a.csv", age_s=3_600)
    await lab.add("file", {"path": "inbox", "events": ["created", "deleted"]})
    await duty.run_once()
    inbox = tmp_path / "work" / "inbox"
    inbox.rename(tmp_path / "work" / "away")
    await look(lab, duty)
    (tmp_path / "work" / "away").rename(inbox)
    await look(lab, duty)
    assert await lab.list_runs() == []


@pytest.mark.parametrize("kind", KINDS)
async def test_two_watchers_and_a_kill_start_one_run(kind: Kind, tmp_path: Path):
    (tmp_path / "work" / "inbox").mkdir(parents=True)
    async with open_trigger_lab(tmp_path, SystemClock().now_ms() - 10_000, kind=kind) as lab:
        await lab.add("file", {"path": "inbox"})
        duties = [make_duty(lab, tmp_path), make_duty(lab, tmp_path)]
        await duties[0].run_once()
        for name in ("a.csv", "b.csv", "c.csv"):
            put(tmp_path, name)
        for _ in range(4):
            lab.clock.advance(61_000)
            await asyncio.gather(*(duty.run_once() for duty in duties))
        assert sorted(await list_files(lab)) == [("created", f"inbox/{name}.csv") for name in "abc"]
        for duty in duties:
            await duty.close()


@pytest.mark.parametrize(
    ("path", "code"),
    [("../etc", "path_denied"), ("work:/etc", "path_denied"), ("a\\b", "path_denied"), ("work:a/../..", "path_denied")],
)
async def test_paths_that_lead_out_are_refused(path: str, code: str, lab: TriggerLab):
    async with lab.database.read() as session:
        faults = await check_folder(session, DEFAULT_WORKSPACE_ID, {"path": path}, Limits(), 0)
        assert [(fault.field, fault.code) for fault in faults] == [("path", code)]
        assert await check_folder(session, DEFAULT_WORKSPACE_ID, {"path": "scans:inbox"}, Limits(), 0) == ()


def test_a_wish_is_read_from_the_parameters():
    wish = read_wish({"path": "scans:.", "debounce": "2s", "stable_for": "5s", "patterns": ["in/*.csv"]})
    assert (wish.root, wish.folder, wish.quiet_ms) == ("scans", "", 5_000)
    assert wish.wants(Entry("in/a.csv", is_folder=False, size_bytes=1, modified_at_ms=1))
    assert not wish.wants(Entry("a.csv", is_folder=False, size_bytes=1, modified_at_ms=1))
