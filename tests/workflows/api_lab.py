"""The routes of workflows, with fakes in the place of what is above them."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from tests.support.databases import Kind
from tests.support.web_lab import WebLab, open_web_lab

from flowforge.audit.models import AuditRow
from flowforge.engine.tables import outbox
from flowforge.entrypoints.wiring import Toolbox
from flowforge.kit.settings import Settings
from flowforge.kit.values import JsonObject
from flowforge.triggers.service import remove_triggers
from flowforge.web.batches.types import BatchKinds
from flowforge.web.callers import Caller, CredentialKind, Rights
from flowforge.workflows.endpoints import ROUTERS
from flowforge.workflows.ports import Compiler, Definitions, OnPublished, OnPurged, OpenRuns, RecentRuns
from flowforge.workflows.transfer.batching import ImportKind
from flowforge.workflows.types import RecentRun

API = "/api/v1"


@cache
def get_toolbox() -> Toolbox:
    return Toolbox(Settings())


@dataclass
class FakeTriggers:
    """What was set live: by workflow's name, the document, or None."""

    live: dict[str, JsonObject | None] = field(default_factory=dict[str, JsonObject | None])
    fails: bool = False

    async def __call__(
        self,
        session: AsyncSession,
        actor: str,
        workspace_id: str,
        workflow_id: str,
        name: str,
        document: JsonObject | None,
        at_ms: int,
    ) -> None:
        assert session.in_transaction()
        assert all((actor, workspace_id, workflow_id, at_ms))
        if self.fails:
            raise RuntimeError("the triggers cannot be set live")
        self.live[name] = document


@dataclass
class FakeRuns:
    """`open_runs`: how many of each workflow's are open; `recent`: those that lists show."""

    open_runs: dict[str, int] = field(default_factory=dict[str, int])
    recent: dict[str, list[RecentRun]] = field(default_factory=dict[str, list[RecentRun]])
    cancelled: list[str] = field(default_factory=list[str])

    async def count_open(self, session: AsyncSession, workspace_id: str, workflow_id: str) -> int:
        return self.open_runs.get(workflow_id, 0)

    async def cancel_open(self, workspace_id: str, workflow_id: str, actor: str) -> int:
        self.cancelled.append(workflow_id)
        return self.open_runs.get(workflow_id, 0)

    async def list_recent(
        self, session: AsyncSession, workspace_id: str, workflow_ids: Sequence[str], limit: int
    ) -> Mapping[str, Sequence[RecentRun]]:
        return {name: self.recent[name][:limit] for name in workflow_ids if name in self.recent}


@dataclass
class FakeDefinitions:
    defined: dict[str, bytes] = field(default_factory=dict[str, bytes])

    async def define(self, digest: str, definition: bytes) -> None:
        self.defined[digest] = definition


@dataclass
class ApiLab:
    """`ask` sends a request below /api/v1 and gives the answer."""

    web: WebLab
    triggers: FakeTriggers
    runs: FakeRuns
    definitions: FakeDefinitions

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> httpx2.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        options: dict[str, Any] = {} if body is None else {"json": body}
        return await self.web.client.request(method, API + path, headers=named, **options)

    async def make(self, name: str = "order", **fields: object) -> dict[str, Any]:
        """A workflow with a draft."""
        answer = await self.ask("POST", "/workflows", {"yaml": write_yaml(name), **fields})
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def publish(self, name: str = "order", **fields: object) -> dict[str, Any]:
        """A workflow with a version."""
        made = await self.make(name, **fields)
        answer = await self.ask("POST", f"/workflows/{name}/publish", {"note": "first"})
        assert answer.status_code == 201, answer.text
        return made

    async def list_audited(self) -> list[str]:
        async with self.web.parts.database.read() as session:
            return list(await session.scalars(select(AuditRow.action).order_by(AuditRow.no)))

    async def list_events(self) -> list[str]:
        async with self.web.parts.database.read() as session:
            return list(await session.scalars(select(outbox.c.event_type).order_by(outbox.c.no)))

    def become(self, caller: Caller) -> None:
        self.web.gate.caller = caller


@asynccontextmanager
async def open_api_lab(folder: Path, kind: Kind = "sqlite") -> AsyncGenerator[ApiLab]:
    triggers, runs, definitions = FakeTriggers(), FakeRuns(), FakeDefinitions()
    ports: dict[type, object] = {
        Compiler: get_toolbox(),
        Definitions: definitions,
        OnPublished: triggers,
        OnPurged: remove_triggers,
        OpenRuns: runs,
        RecentRuns: runs,
        BatchKinds: BatchKinds([ImportKind()]),
    }
    async with open_web_lab(folder, ROUTERS, kind=kind, ports=ports) as web:
        yield ApiLab(web, triggers, runs, definitions)


def write_yaml(name: str = "order", number: int = 1, more: str = "") -> str:
    return f"flowforge: 1\nname: {name}\n{more}steps:\n  - id: go\n    uses: flow.set\n    with: {{values: {{n: {number}}}}}  # kept\n"


def quote(etag: str) -> str:
    return f'"{etag}"'


def code_of(answer: httpx2.Response) -> str:
    """The code of an error's first detail, else its own."""
    error = answer.json()["error"]
    return error["details"][0]["code"] if error["details"] else error["code"]


def make_project_caller(project_id: str, *permissions: str, kind: CredentialKind = CredentialKind.SESSION) -> Caller:
    """A person (or key) with rights in one project only."""
    rights = Rights(frozenset(), {project_id: frozenset(permissions)})
    user = "usr_" + "2" * 26
    return Caller(f"user:{user}", user, kind, "session:ses_" + "2" * 26, "ws_" + "0" * 26, rights, "127.0.0.1")
