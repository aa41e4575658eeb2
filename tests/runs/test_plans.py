"""The plan of each list on SQLite: by the index of the filter that leads, without a sort where the index is in the order of time."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from tests.support.sessions import open_database_sessions

from flowforge.runs.criteria import Criterion, read_criteria
from flowforge.runs.searching import Search, _count_few, _select_page  # pyright: ignore[reportPrivateUsage]

TRIGGER = "trg_" + "3" * 26
WORKFLOW = "wf_" + "3" * 26
INDEXES = {
    "status:eq:failed": "ix_runs_workspace_id_status_started_at_no (workspace_id=? AND status=?)",
    "status:eq:waiting": "ix_runs_finished_at (finished_at=?)",
    "subject:eq:a": "ix_runs_workspace_id_subject_started_at_no (workspace_id=? AND subject=?)",
    "subject:starts_with:a": "ix_runs_workspace_id_subject_started_at_no (workspace_id=? AND subject>? AND subject<?)",
    "error_code:eq:a": "ix_runs_workspace_id_error_code_started_at_no (workspace_id=? AND error_code=?)",
    f"trigger_id:eq:{TRIGGER}": "ix_runs_workspace_id_actor_started_at_no (workspace_id=? AND actor=?)",
    "version:eq:1": "ix_runs_workspace_id_version_started_at_no (workspace_id=? AND version=?)",
    f"workflow_id:eq:{WORKFLOW}": "ix_runs_workflow_id_started_at_no (workflow_id=?)",
    "labels.env:eq:a": "ix_run_labels_workspace_id_key_value_started_at (workspace_id=? AND key=? AND value=?)",
    "labels.env:starts_with:a": "ix_run_labels_workspace_id_key_value_started_at (workspace_id=? AND key=? AND value>? AND value<?)",
    "finished_at:ge:2026-01-01T00:00:00Z": "ix_runs_finished_at (finished_at>?)",
}
SORTED = {"status:eq:waiting", "subject:starts_with:a", "labels.env:starts_with:a", "finished_at:ge:2026-01-01T00:00:00Z"}
"""Ways that are only taken where few rows are left."""


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[AsyncSession]:
    async with open_database_sessions("sqlite", tmp_path) as database, database.read() as session:
        yield session


async def explain(session: AsyncSession, statement: object) -> list[str]:
    made = str(statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))  # type: ignore[attr-defined]
    rows = await session.execute(text(f"EXPLAIN QUERY PLAN {made}".replace(":", "\\:")))
    return [row[3] for row in rows]


def read_one(where: str) -> Criterion:
    return read_criteria([where])[0]


@pytest.mark.parametrize("where", INDEXES)
async def test_filter_that_leads_is_found_by_its_index(session: AsyncSession, where: str):
    driver = read_one(where)
    # The others must not lead the planner away, whatever they are.
    others = read_criteria([other for other in INDEXES if other.partition(":")[0] != where.partition(":")[0]])
    for criteria in ((driver,), (driver, *others)):
        plan = await explain(session, _select_page(Search("ws", criteria), driver, None, 51))
        assert INDEXES[where] in plan[0]
        sorts = [line for line in plan if "TEMP B-TREE" in line and "RIGHT PART" not in line]
        assert bool(sorts) is (where in SORTED), plan
        counted = await explain(session, _count_few(Search("ws", criteria), driver))
        assert any(INDEXES[where] in line for line in counted), counted


async def test_without_a_leading_filter_the_list_goes_along_time(session: AsyncSession):
    search = Search("ws", read_criteria(list(INDEXES)))
    plan = await explain(session, _select_page(search, None, None, 51))
    assert "ix_runs_workspace_id_started_at_no (workspace_id=?" in plan[0]
    assert not [line for line in plan if "TEMP B-TREE" in line]
