"""The same request gives the same run, for a day."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.support.databases import Kind
from tests.support.sessions import KINDS, open_database_sessions

from flowforge.engine.births import StartRequest
from flowforge.engine.executor import Started
from flowforge.engine.store import Verdict
from flowforge.engine.tables import journal, runs
from flowforge.kit.border import encode
from flowforge.kit.database.session import Database
from flowforge.kit.errors import ConflictError
from flowforge.runs.once import REPEATED_WITHIN_MS, IdempotencyMismatchError, Once, find_repeated, start_once

WORKSPACE = "ws_1"
BEGUN_MS = 1_750_000_000_000


@dataclass
class Rows:
    """A runner that writes what a store would: one run for each name."""

    database: Database
    now_ms: int = BEGUN_MS
    is_closed: bool = False
    names: dict[str, tuple[str, int]] = field(default_factory=dict[str, tuple[str, int]])

    async def start(self, request: StartRequest) -> Started:
        if self.is_closed:
            raise ConflictError("The workflow takes no runs.")
        if request.dedup in self.names:
            run_id, run_no = self.names[request.dedup or ""]
            return Started(run_id, run_no, Verdict.DUPLICATE)
        no = len(self.names) + 1
        self.names[request.dedup or str(no)] = (f"run_{no}", no)
        values = {
            "no": no,
            "id": f"run_{no}",
            "workspace_id": request.workspace_id,
            "workflow_id": "wf_1",
            "workflow_name": "a",
            "digest": "d",
            "status": "running",
            "priority": 5,
            "actor": "user:a",
            "epoch": 1,
            "mail": 0,
            "crashes": 0,
            "dedup": request.dedup,
            "started_at": self.now_ms,
            "events": 0,
            "bytes": 0,
            "counted_seq": 0,
        }
        body = encode([{"type": "run.started", "trigger": request.trigger}]).decode()
        async with self.database.write.begin() as session:
            await session.execute(runs.insert().values(**values))
            await session.execute(journal.insert().values(run_no=no, seq=1, epoch=1, at=self.now_ms, events=1, body=body))
        return Started(f"run_{no}", no, Verdict.DONE)

    async def start_once(self, once: Once | None) -> tuple[str, bool]:
        request = StartRequest(
            WORKSPACE, {"id": "wf_1", "name": "a", "version": 1, "digest": "d"}, {}, "user:a", {"kind": "manual"}
        )
        found = await start_once(self, self.database.read, request, once, now_ms=self.now_ms)
        return found.started.run_id, found.is_repeat


@pytest.fixture(params=KINDS)
async def rows(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Rows]:
    kind: Kind = request.param
    async with open_database_sessions(kind, tmp_path) as database:
        yield Rows(database)


def once(key: str = "k", digest: str = "d1") -> Once:
    return Once("start", "POST /runs", key, digest)


async def test_a_key_gives_one_run_for_a_day_and_another_one_after(rows: Rows):
    assert await rows.start_once(once()) == ("run_1", False)
    rows.now_ms += REPEATED_WITHIN_MS - 1
    assert await rows.start_once(once()) == ("run_1", True)
    rows.now_ms += 1
    assert await rows.start_once(once(digest="d2")) == ("run_2", False)
    assert await rows.start_once(once(digest="d2")) == ("run_2", True)
    rows.now_ms += REPEATED_WITHIN_MS
    assert await rows.start_once(once()) == ("run_3", False)
    assert list(rows.names) == ["start:POST /runs:k", "start:POST /runs:k@run_1", "start:POST /runs:k@run_2"]


async def test_another_body_is_refused(rows: Rows):
    await rows.start_once(once())
    with pytest.raises(IdempotencyMismatchError, match="run_1"):
        await rows.start_once(once(digest="d2"))
    assert await rows.start_once(once("K")) == ("run_2", False)
    assert await rows.start_once(None) == ("run_3", False)
    assert await rows.start_once(None) == ("run_4", False)


async def test_a_start_that_is_refused_now_finds_the_run_of_before(rows: Rows):
    await rows.start_once(once())
    rows.is_closed = True
    assert await rows.start_once(once()) == ("run_1", True)
    with pytest.raises(ConflictError):
        await rows.start_once(once("other"))
    assert await find_repeated(rows.database.read, WORKSPACE, once("other"), now_ms=rows.now_ms) is None
    assert await find_repeated(rows.database.read, "ws_2", once(), now_ms=rows.now_ms) is None
