"""A server in the test's loop with a real engine beside it, on one SQLite file."""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from tests.support.lab import Lab, Outcome, open_lab
from tests.support.web_lab import WebLab, open_web_lab

from flowforge.engine.events import PinnedVersion
from flowforge.engine.executor.engine import Started
from flowforge.entrypoints.server.embedded import EmbeddedRunner
from flowforge.kit.border import decode
from flowforge.kit.signing import SigningKeys
from flowforge.kit.values import JsonValue
from flowforge.runs.bulk import BulkKind
from flowforge.runs.endpoints import ROUTERS
from flowforge.runs.ports import RunGround
from flowforge.runs.starting import Runner, RunReader
from flowforge.web.batches.types import BatchKinds

SIGNING = SigningKeys(b"s" * 32)
WAITING = """
flowforge: 1
name: order
steps:
  - id: approve
    uses: flow.wait
    with: {signal: approved}
  - id: done
    uses: flow.set
    with: {values: {who: "${{ steps.approve.output }}"}}
"""
QUICK = """
flowforge: 1
name: quick
output: {n: 1}
steps:
  - id: first
    uses: flow.set
    with: {values: {n: 1}}
"""


class LabGround:
    """`RunGround` on the lab's engine."""

    is_cluster = False
    expiry_ms = 30_000

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def list_dead_workers(self) -> Collection[int]:
        return ()

    def find_broker_trouble(self) -> str | None:
        return None

    async def deliver_event(self, number: int) -> int:
        return await self._lab.engine.committer.call(self._lab.store.match, number)


@dataclass
class ApiLab:
    """`engine` makes runs, `web` looks at them."""

    engine: Lab
    web: WebLab

    @property
    def client(self) -> httpx2.AsyncClient:
        return self.web.client

    async def start(self, document: str | PinnedVersion, value: JsonValue = None, **facts: Any) -> Started:
        """A run that has come to its end, or to a standstill."""
        return (await self.engine.run(document, value, **facts)).started

    async def finish(self, run: Started) -> Outcome:
        return await self.engine.finish(run)

    async def get(self, path: str, **query: Any) -> Any:
        """The JSON of an answer that must be 200."""
        answer = await self.client.get(f"/api/v1{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, body: Any = None, **options: Any) -> httpx2.Response:
        given: Mapping[str, Any] = {} if body is None else {"json": body}
        return await self.client.post(f"/api/v1{path}", **given, **options)


def read_code(answer: httpx2.Response) -> str:
    """The finer code of an error."""
    return answer.json()["error"]["details"][0]["code"]


def ids_of(page: Any) -> Sequence[str]:
    return [row["id"] for row in page["data"]]


@asynccontextmanager
async def open_api_lab(folder: Path) -> AsyncGenerator[ApiLab]:
    async with open_lab(folder) as lab:
        reader = lab.open_store()
        runner = EmbeddedRunner(lab.engine, reader, lab.shelf, lambda ref: decode(lab.objects.read(ref["id"])))
        ports: dict[type, object] = {
            Runner: runner,
            RunReader: runner,
            RunGround: LabGround(lab),
            BatchKinds: BatchKinds([BulkKind()]),
            SigningKeys: SIGNING,
        }
        try:
            async with open_web_lab(folder, ROUTERS, ports=ports, clock=lab.clock) as web:
                yield ApiLab(lab, web)
        finally:
            reader.close()
