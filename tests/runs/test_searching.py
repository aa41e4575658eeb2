"""Every filter of a list of runs, alone and together, on each database: whatever way is taken, the same rows come out."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from tests.runs.test_repository import OTHER, put
from tests.support.databases import Kind
from tests.support.sessions import KINDS, open_database_sessions

from flowforge.kit.ids import DEFAULT_WORKSPACE_ID as WORKSPACE
from flowforge.language.times import format_timestamp_ms
from flowforge.runs import repository, searching
from flowforge.runs.criteria import read_criteria
from flowforge.runs.listing import list_groups, list_page

TRIGGER = "trg_" + "3" * 26
RUNS = 40


@pytest.fixture(params=KINDS)
async def session(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AsyncSession]:
    kind: Kind = request.param
    async with open_database_sessions(kind, tmp_path) as database, database.write() as session:
        await fill(session)
        yield session


async def fill(session: AsyncSession) -> None:
    """Forty runs, two at each time; every fourth failed, every fifth is open; and one of another workspace."""
    for no in range(1, RUNS + 1):
        is_open, is_failed = no % 5 == 0, no % 4 == 0 and no % 5 != 0
        started_at = 1_000 * (no // 2 + 1)
        await put(
            session,
            no,
            started_at=started_at,
            finished_at=None if is_open else started_at + 500,
            status="waiting" if is_open else "failed" if is_failed else "completed",
            error_code="broken" if is_failed else None,
            error_key="pay:broken" if is_failed else None,
            subject=f"order-{no % 3}" if no % 2 else None,
            actor=f"trigger:{TRIGGER}" if no % 6 == 0 else "user:ann",
            version=no % 2 + 1,
            workflow_id=f"wf_{no % 3}",
            labels={"env": "prod" if no % 2 else "test", "Größe": "100%_"},
        )
    await put(session, 99, workspace_id=OTHER, subject="order-1", labels={"env": "prod"}, status="failed", error_code="broken")


def at(no: int) -> str:
    return format_timestamp_ms(1_000 * no)


EXPECTED: dict[str, Callable[[int], bool]] = {
    "status:eq:failed": lambda no: no % 4 == 0 and no % 5 != 0,
    "status:eq:waiting": lambda no: no % 5 == 0,
    "status:in:waiting,failed": lambda no: no % 5 == 0 or no % 4 == 0,
    "subject:eq:order-1": lambda no: no % 2 == 1 and no % 3 == 1,
    "subject:in:order-1,order-2": lambda no: no % 2 == 1 and no % 3 > 0,
    "subject:starts_with:order-": lambda no: no % 2 == 1,
    "subject:starts_with:Order-": lambda _: False,
    "labels.env:eq:prod": lambda no: no % 2 == 1,
    "labels.env:in:prod,test": lambda _: True,
    "labels.Größe:starts_with:100%_": lambda _: True,
    "labels.Größe:starts_with:1000": lambda _: False,
    f"trigger_id:eq:{TRIGGER}": lambda no: no % 6 == 0,
    "error_code:eq:broken": lambda no: no % 4 == 0 and no % 5 != 0,
    "version:eq:2": lambda no: no % 2 == 1,
    "version:in:2,3": lambda no: no % 2 == 1,
    f"started_at:ge:{at(11)}": lambda no: no // 2 + 1 >= 11,
    f"started_at:lt:{at(11)}": lambda no: no // 2 + 1 < 11,
    f"finished_at:ge:{at(11)}": lambda no: no % 5 != 0 and no // 2 + 1 >= 11,
    f"finished_at:le:{at(11)}": lambda no: no % 5 != 0 and no // 2 + 1 < 11,
}


async def find_all(session: AsyncSession, where: list[str], *, is_rising: bool = False, limit: int = 7) -> list[int]:
    """The numbers of all pages."""
    criteria, cursor = read_criteria(where), None
    seen: list[int] = []
    while True:
        page = await list_page(session, WORKSPACE, criteria, limit=limit, cursor=cursor, is_rising=is_rising)
        seen += [row.no for row in page.items]
        cursor = page.cursor
        if cursor is None:
            return seen


async def test_every_filter_finds_what_it_names_in_order(session: AsyncSession):
    for where, is_meant in EXPECTED.items():
        expected = [no for no in range(RUNS, 0, -1) if is_meant(no)]
        assert await find_all(session, [where]) == expected, where
        assert await find_all(session, [where], is_rising=True) == expected[::-1], where


async def test_filters_hold_together_whichever_leads(session: AsyncSession):
    names = list(EXPECTED)
    for place, where in enumerate(names):
        other = names[(place * 7 + 3) % len(names)]
        expected = [no for no in range(RUNS, 0, -1) if EXPECTED[where](no) and EXPECTED[other](no)]
        assert await find_all(session, [where, other], limit=50) == expected, (where, other)


async def test_many_are_found_along_time(session: AsyncSession, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(searching, "FEW", 3)
    for where, is_meant in EXPECTED.items():
        assert await find_all(session, [where]) == [no for no in range(RUNS, 0, -1) if is_meant(no)], where


async def test_groups_are_counted_in_pages(session: AsyncSession):
    groups = (await list_groups(session, WORKSPACE, (), "status", limit=10)).items
    assert [(group.key, group.count) for group in groups] == [("completed", 24), ("failed", 8), ("waiting", 8)]
    first = await list_groups(session, WORKSPACE, (), "status", limit=2)
    second = await list_groups(session, WORKSPACE, (), "status", limit=2, cursor=first.cursor)
    assert [group.key for group in second.items] == ["waiting"]
    criteria = read_criteria(["version:eq:1"])
    failed = (await list_groups(session, WORKSPACE, criteria, "error_key", limit=10)).items
    assert [(group.key, group.count, group.last_started_at_ms) for group in failed] == [("pay:broken", 8, 19_000)]


async def test_run_is_deleted_with_all_that_hangs_on_it_but_only_after_its_end(session: AsyncSession):
    assert not await repository.delete_run(session, WORKSPACE, 5)
    assert not await repository.delete_run(session, OTHER, 1)
    assert await repository.delete_run(session, WORKSPACE, 1)
    assert await repository.find_run_by_no(session, WORKSPACE, 1) is None
    assert await repository.find_run_by_no(session, WORKSPACE, 5) is not None


async def test_like_failures_and_durations_are_those_of_the_workspace(session: AsyncSession):
    assert await repository.count_like_failures(session, WORKSPACE, "pay:broken", 0) == 8
    assert await repository.count_like_failures(session, WORKSPACE, "pay:other", 0) == 0
    assert set(await repository.list_durations(session, WORKSPACE, "wf_1", 2, 100)) == {500}
    assert await repository.list_durations(session, OTHER, "wf_2", 2, 100) == []
