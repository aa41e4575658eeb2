"""Runs are started by the engine of this very process."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from flowforge.engine.births import StartRequest
from flowforge.engine.events import BlobRef, Event, PinnedVersion
from flowforge.engine.executor import Engine, Started
from flowforge.engine.executor.settling import settle
from flowforge.engine.executor.watching import Listener
from flowforge.engine.ports import Versions
from flowforge.engine.store import Delivery, JournalRow, NewMail, Store
from flowforge.kit.errors import NotFoundError
from flowforge.kit.values import JsonValue
from flowforge.language.graph import Workflow
from flowforge.runs.types import LoadBlob

_FIRST_S = 0.25
"""So long nobody asks why a run has not ended: most have, by then."""


class EmbeddedRunner:
    """`runs.starting.Runner` and `RunReader` on an engine. `reader`: a store of its own, so that no reader waits for a writer."""

    def __init__(self, engine: Engine, reader: Store, versions: Versions, load_blob: LoadBlob) -> None:
        self._engine = engine
        self._reader = reader
        self._versions = versions
        self._load_blob = load_blob

    async def start(self, request: StartRequest) -> Started:
        return await self._engine.start(request)

    async def start_watched(self, request: StartRequest, on_turn: Listener) -> Started:
        """`runs.starting.TurnTeller`."""
        return await self._engine.start(request, on_turn)

    def leave(self, run_no: int, on_turn: Listener) -> None:
        self._engine.watch.leave(run_no, on_turn)

    async def deliver(self, mail: NewMail) -> Delivery:
        return Delivery(await self._engine.deliver(mail))

    async def wait(self, run_no: int, timeout_s: float) -> None:
        """Woken by the engine's commits."""
        watch = self._engine.watch
        if run_no in watch.ended:
            return
        if run_no in self._engine.lives:
            first_s = min(timeout_s, _FIRST_S)
            await watch.await_leaving(run_no, first_s)
            timeout_s -= first_s
            if run_no in watch.ended or timeout_s <= 0:
                return
        with suppress(TimeoutError, NotFoundError):
            async with asyncio.timeout(timeout_s):
                await settle(self._engine, run_no, int(timeout_s * 1_000))

    async def define(self, digest: str, definition: bytes) -> None:
        await self._engine.committer.call(self._engine.store.define, digest, definition)

    async def pin(self, workspace_id: str, workflow: str, version: int | None = None) -> PinnedVersion:
        return await self._versions.resolve(workspace_id, workflow, version)

    async def load(self, run_no: int) -> Sequence[JournalRow]:
        return await asyncio.to_thread(self._reader.load, run_no)

    def load_blob(self, ref: BlobRef) -> JsonValue:
        return self._load_blob(ref)

    async def get_workflow(self, digest: str) -> Workflow:
        return (await self._engine.programs.get(digest)).workflow

    @asynccontextmanager
    async def watch(self, run_no: int, run_id: str, on_turn: Listener, on_news: Callable[[], None]) -> AsyncGenerator[None]:
        """`live.ports.RunWatch`: straight from the engine's commits."""
        del run_id, on_news
        self._engine.listen(run_no, on_turn)
        try:
            yield
        finally:
            self._engine.watch.leave(run_no, on_turn)

    async def wait_for_news(self, run_no: int, timeout_s: float) -> None:
        """`triggers.ports.RunNews`: returns when the run has a new row in its journal, or has left this process."""
        news = asyncio.Event()

        def hear(_seq: int, _at: int, _events: Sequence[Event]) -> None:
            news.set()

        self._engine.listen(run_no, hear)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await news.wait()
        finally:
            self._engine.watch.leave(run_no, hear)
