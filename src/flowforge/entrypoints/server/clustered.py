"""Runs are put into the queue for the workers of a cluster; what becomes of them is heard over the bus, and looked for besides."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from itertools import count
from typing import Final

from sqlalchemy import select

from flowforge.engine.births import StartRequest, check_start, make_root
from flowforge.engine.errors import StartRejectedError
from flowforge.engine.events import BlobRef, PinnedVersion
from flowforge.engine.executor import Started
from flowforge.engine.executor.watching import Listener
from flowforge.engine.outbox_events import list_birth_events
from flowforge.engine.ports import RUN_QUEUE, Versions
from flowforge.engine.store import Delivery, JournalRow, NewMail, NewRun, Turn, TurnResult, Verdict, WorkerFacts
from flowforge.engine.tables import runs
from flowforge.entrypoints.ports import LinkPort, VaultPort
from flowforge.entrypoints.roles import wait_at_most
from flowforge.entrypoints.server.batching import StartBatches
from flowforge.entrypoints.wiring import Installation
from flowforge.kit.border import decode
from flowforge.kit.bus import Bus, BusError, Subscription, run_topic
from flowforge.kit.errors import InvariantError, NotFoundError, StorageError
from flowforge.kit.telemetry.logs import get_logger
from flowforge.kit.values import JsonValue
from flowforge.language.graph import Workflow

_PROGRAMS_MAX: Final = 256
_LOOK_FIRST_S: Final = 0.05
_LOOK_MAX_S: Final = 1.0
_STANDING: Final = frozenset({"waiting", "paused"})

logger = get_logger("server.starts")


class ClusterRunner:
    """`runs.starting.Runner` and `RunReader` on a database that workers share. Open it in the loop that serves.

    It has one worker number for its life, from which it numbers the runs that it starts; it owns none of them.
    """

    def __init__(self, installation: Installation, versions: Versions, bus: Bus, facts: WorkerFacts, name: str) -> None:
        self._installation = installation
        self._versions = versions
        self._bus = bus
        self._facts = facts
        self._name = name
        self._vault = VaultPort(installation)
        self._link = LinkPort(installation)
        self._doorbell = installation.doorbell
        self._workflows: OrderedDict[str, Workflow] = OrderedDict()
        self.worker = 0

    async def open(self) -> None:
        """Raises StorageError where the database cannot be used."""
        self._store = self._installation.open_store()
        self._reader = self._installation.open_store()
        self._batches = StartBatches(self._store)
        await self._register()
        self._beating = asyncio.get_running_loop().create_task(self._beat())

    async def close(self) -> None:
        """What was accepted is stored first."""
        self._beating.cancel()
        with suppress(asyncio.CancelledError):
            await self._beating
        await self._batches.close()
        with suppress(StorageError):  # where it cannot sign off, its silence tells
            await asyncio.to_thread(self._store.retire, self.worker)
        self._store.close()
        self._reader.close()

    async def _register(self) -> None:
        settings = self._installation.settings
        self.worker = await asyncio.to_thread(self._store.register, self._name, settings.expiry_ms, self._facts)
        self._counter = count(1)

    async def _beat(self) -> None:
        settings = self._installation.settings
        while True:
            await asyncio.sleep(settings.beat_ms / 1_000)
            try:
                if not await asyncio.to_thread(self._store.beat, self.worker, settings.expiry_ms):
                    await self._register()
            except StorageError as fault:
                logger.warning("A beat did not succeed.", cause=fault.message)

    # --- Runner --------------------------------------------------------------------------------------------------------------

    async def start(self, request: StartRequest) -> Started:
        workflow = await self.get_workflow(request.workflow["digest"])
        value = check_start(workflow, request.input, self._installation.registry)
        variables = await self._vault.read_variables(request.workspace_id, workflow.variables)
        at_ms, run_id = self._installation.clock.now_ms(), self._installation.ids.make_id("run")
        run_no = (self.worker << 32) | next(self._counter)
        given = replace(request, input=value)
        birth = make_root(given, workflow, variables, no=run_no, run_id=run_id, at=at_ms, link=self._link)
        new_run = replace(birth.new_run, outbox=list_birth_events(birth.started, at_ms))
        turn = Turn(run_no=run_no, epoch=0, at=at_ms, seq=2, body=b"", events=0, start=new_run)
        return self._tell(await self._batches.submit(turn), new_run, workflow.name)

    def _tell(self, result: TurnResult, new_run: NewRun, name: str) -> Started:
        if result.verdict is Verdict.REJECTED:
            raise StartRejectedError(name, 0 if new_run.slot is None else new_run.slot.limit)
        if result.verdict is Verdict.UNSTORABLE:
            raise InvariantError(f"The start could not be stored: {result.problem}")
        if result.run_id is not None and result.run_no is not None:
            return Started(result.run_id, result.run_no, result.verdict)
        self._installation.metrics.runs_started.inc()
        self._doorbell.ring(RUN_QUEUE, new_run.no, 0)
        return Started(new_run.id, new_run.no, result.verdict, new_run)

    async def deliver(self, mail: NewMail) -> Delivery:
        (delivery,) = await asyncio.to_thread(self._store.deliver, [mail])
        if delivery is Delivery.DELIVERED:
            self._doorbell.ring(RUN_QUEUE, mail.run_no, 0)
        return delivery

    async def define(self, digest: str, definition: bytes) -> None:
        await asyncio.to_thread(self._store.define, digest, definition)

    async def pin(self, workspace_id: str, workflow: str, version: int | None = None) -> PinnedVersion:
        return await self._versions.resolve(workspace_id, workflow, version)

    # --- waiting -------------------------------------------------------------------------------------------------------------

    async def wait(self, run_no: int, timeout_s: float) -> None:
        """Woken by the run's events; where the bus is away, or is this process' own, the run's row is looked at now and then."""
        async with self._installation.database.read() as session:
            run_id = await session.scalar(select(runs.c.id).where(runs.c.no == run_no))
        if run_id is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._listen(run_no, run_id)

    async def _listen(self, run_no: int, run_id: str) -> None:
        try:
            async with self._bus.subscribe(run_topic(run_id)) as subscription:
                await self._watch(run_no, subscription)
        except BusError:
            await self._watch(run_no, None)

    async def _watch(self, run_no: int, subscription: Subscription | None) -> None:
        news = asyncio.Event()
        hearing = None if subscription is None else asyncio.create_task(_hear(subscription, news))
        try:
            delay_s = _LOOK_FIRST_S
            while not await self._stands_still(run_no):
                await wait_at_most(news, delay_s)
                news.clear()
                delay_s = min(2 * delay_s, _LOOK_MAX_S)
        finally:
            if hearing is not None:
                hearing.cancel()

    async def _stands_still(self, run_no: int) -> bool:
        glance = await asyncio.to_thread(self._reader.glance, run_no)
        if glance is None or glance.is_finished:
            return True
        # A run that is due, because a message came or a time is over, goes on as soon as a worker has it.
        is_due = glance.due_at is None or glance.due_at <= self._installation.clock.now_ms()
        return glance.status in _STANDING and not is_due

    @asynccontextmanager
    async def watch(self, run_no: int, run_id: str, on_turn: Listener, on_news: Callable[[], None]) -> AsyncGenerator[None]:
        """`live.ports.RunWatch`: the bus says that there is something new, the journal says what."""
        del run_no, on_turn
        hearing = asyncio.create_task(self._hear_news(run_id, on_news))
        try:
            yield
        finally:
            hearing.cancel()

    async def _hear_news(self, run_id: str, on_news: Callable[[], None]) -> None:
        # Where the bus is away, the journal is looked at now and then.
        with suppress(BusError):
            async with self._bus.subscribe(run_topic(run_id)) as subscription:
                async for _ in subscription:
                    on_news()

    # --- RunReader -----------------------------------------------------------------------------------------------------------

    async def load(self, run_no: int) -> Sequence[JournalRow]:
        return await asyncio.to_thread(self._reader.load, run_no)

    def load_blob(self, ref: BlobRef) -> JsonValue:
        return self._installation.load_blob(ref)

    async def get_workflow(self, digest: str) -> Workflow:
        known = self._workflows.get(digest)
        if known is not None:
            self._workflows.move_to_end(digest)
            return known
        stored = await asyncio.to_thread(self._reader.definition, digest)
        document = None if stored is None else decode(stored)
        if not isinstance(document, dict):
            raise NotFoundError(f"The definition {digest} is not in the database any more.")
        workflow = await asyncio.to_thread(self._installation.compile_definition, document)
        if workflow is None:
            raise InvariantError(f"The stored definition {digest} does not compile here.")
        self._workflows[digest] = workflow
        if len(self._workflows) > _PROGRAMS_MAX:
            self._workflows.popitem(last=False)
        return workflow


async def _hear(subscription: Subscription, news: asyncio.Event) -> None:
    async for _ in subscription:
        news.set()
