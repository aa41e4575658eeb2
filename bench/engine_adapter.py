"""The engine as the bench sees it: the same composition as the command line's, on a data folder of its own."""

import asyncio
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from bench.operations import effect, pure
from flowforge.engine.births import StartRequest
from flowforge.engine.events import PinnedVersion
from flowforge.engine.executor import Engine
from flowforge.engine.executor.settling import settle
from flowforge.entrypoints.running import open_engine
from flowforge.entrypoints.wiring import Installation, open_installation
from flowforge.kit.border import encode
from flowforge.kit.masking import Masker
from flowforge.kit.settings import Settings
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.compiler import compile_document

WORKSPACE: Final = "ws_bench"
_LOOK_S: Final = 0.005
_PATIENCE_S: Final = 600


class EngineUnderTest:
    """An open engine."""

    def __init__(self, installation: Installation, engine: Engine) -> None:
        self.installation = installation
        self._engine = engine

    def define(self, document: JsonObject) -> PinnedVersion:
        """Compiles and stores a document."""
        compilation = compile_document(document, self.installation.registry, self.installation.settings.limits)
        workflow = compilation.workflow
        if workflow is None:
            raise SystemExit(f"The bench's workflow does not compile: {compilation.errors}")
        self.installation.store.define(workflow.digest, encode(workflow.document))
        return {"id": f"wf_{workflow.name}", "name": workflow.name, "version": 1, "digest": workflow.digest}

    async def start(self, workflow: PinnedVersion, value: JsonValue = None) -> int:
        """Starts a run; it is durable when this returns. Its number."""
        request = StartRequest(WORKSPACE, workflow, {} if value is None else value, "bench", {"kind": "manual"})
        return (await self._engine.start(request)).run_no

    async def finish(self, run_no: int) -> None:
        """Returns as soon as the run has ended."""
        status = await settle(self._engine, run_no, None)
        if status != "completed":
            raise SystemExit(f"A run of the bench ended as {status}.")

    async def finish_all(self, run_nos: Collection[int]) -> None:
        """Returns within 5 ms of the end of the last of these runs."""
        left = set(run_nos)
        async with asyncio.timeout(_PATIENCE_S):
            while left:
                left -= self._engine.watch.ended.keys()
                await asyncio.sleep(_LOOK_S)

    def journal_times(self, run_no: int) -> list[tuple[int, int]]:
        """(time in ms, steps completed so far) for each journal row of a run."""
        times: list[tuple[int, int]] = []
        steps = 0
        for row in self.installation.store.load(run_no):
            steps += row.body.count(b'"type":"step.completed"')
            times.append((row.at, steps))
        return times


@asynccontextmanager
async def open_engine_under_test(folder: Path, database_url: str | None = None) -> AsyncGenerator[EngineUnderTest]:
    """An engine on the data folder, which is made where there is none, or on a database server.

    It carries only the runs that are started here.
    """
    url = None if database_url is None else SecretStr(database_url)
    installation = open_installation(Settings(data=folder, database_url=url))
    for operation in (effect, pure):
        installation.registry.register(operation)
    try:
        async with open_engine(installation, name="bench", takes_all=False, grace_ms=1_000, masker=Masker()) as engine:
            yield EngineUnderTest(installation, engine)
    finally:
        await installation.aclose()
