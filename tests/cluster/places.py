"""Databases with this version's tables and sessions on them, one a test, on SQLite and on the real servers."""

import atexit
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Table, delete, insert, select
from tests.support.clock import ManualClock
from tests.support.templates import ServerKind, Templates, open_shared

from flowforge.engine.outbox_events import PLACES_PER_ROW
from flowforge.engine.tables import outbox
from flowforge.kit.border import encode
from flowforge.kit.database.schema import upgrade_database
from flowforge.kit.database.session import Database, open_sessions
from flowforge.kit.database.url import DatabaseUrl, name_sqlite, parse_database_url
from flowforge.kit.values import JsonObject

KINDS = ("sqlite", "postgres", "mysql")
WORKSPACE = "ws_" + "0" * 26
RUN = "run_" + "0" * 25 + "1"


@cache
def _templates(kind: ServerKind) -> Templates:
    templates = open_shared(kind)
    atexit.register(templates.close)
    return templates


@dataclass
class Place:
    """One database, by a clock that the test moves."""

    kind: str
    url: DatabaseUrl
    sessions: Database
    clock: ManualClock

    async def rows(self, table: Table) -> list[dict[str, Any]]:
        async with self.sessions.read() as session:
            return [dict(row) for row in (await session.execute(select(table).order_by(*table.primary_key))).mappings()]

    async def put(self, table: Table, *rows: dict[str, Any]) -> None:
        async with self.sessions.write.begin() as session:
            await session.execute(insert(table), list(rows))

    async def clear(self, table: Table) -> None:
        async with self.sessions.write.begin() as session:
            await session.execute(delete(table))

    async def tell(self, *places: int, **changes: Any) -> None:
        """Rows in the outbox as a turn would leave them, due now."""
        await self.put(outbox, *(self.event_row(place) | changes for place in places))

    def event_row(self, place: int) -> dict[str, Any]:
        data: JsonObject = {"run_id": RUN, "workflow_id": "wf_1"}
        payload: JsonObject = {"seq": PLACES_PER_ROW + place, "actor": "user:ann", "data": data}
        now = self.clock.now_ms()
        return {
            "workspace_id": WORKSPACE,
            "aggregate_type": "run",
            "aggregate_id": RUN,
            "event_type": "run.paused",
            "payload": encode(payload).decode(),
            "created_at": now,
            "due_at": now,
            "attempts": 0,
        }


@asynccontextmanager
async def open_place(kind: str, folder: Path) -> AsyncGenerator[Place]:
    if kind == "sqlite":
        url = name_sqlite(folder / "flowforge.db")
        upgrade_database(url)
        name = ""
    else:
        templates = _templates(cast("ServerKind", kind))
        name = templates.clone()
        url = parse_database_url(templates.url(name))
    sessions = open_sessions(url)
    try:
        yield Place(kind, url, sessions, ManualClock())
    finally:
        await sessions.close()
        if name:
            _templates(cast("ServerKind", kind)).drop(name)
