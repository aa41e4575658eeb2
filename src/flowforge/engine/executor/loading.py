"""What a turn needs from outside memory: values in the object store, definitions that are called, a journal read anew."""

import asyncio
from collections.abc import Coroutine
from typing import Final

from flowforge.engine.events import BlobRef, ErrorValue
from flowforge.engine.executor.claims import fold_rows, put_mail
from flowforge.engine.executor.host import Host
from flowforge.engine.executor.live import LiveRun
from flowforge.engine.executor.turns import encode_events, large_values, move_to_blob
from flowforge.engine.machine import TurnSheet
from flowforge.engine.machine.actions import WorkflowNeeded
from flowforge.engine.machine.contexts import BlobNeeded
from flowforge.engine.machine.work import Callee, LookBack, MailRead
from flowforge.engine.store import JournalRow, Mail, WaitRow
from flowforge.kit.border import decode
from flowforge.kit.crashpoint import crashpoint
from flowforge.kit.errors import FlowForgeError, NotInstalledError, RequestError, StorageError
from flowforge.kit.telemetry.logs import get_logger

_RETRY_S: Final = 1.0

logger = get_logger("engine.loading")


class Loader:
    """Interrupts a run while something is fetched or stored for it; its turn then goes on where it was."""

    def __init__(self, engine: Host) -> None:
        self._engine = engine
        self._tasks: set[asyncio.Task[None]] = set()

    def _spawn(self, live: LiveRun, work: Coroutine[None, None, None]) -> None:
        live.is_blocked = True
        self._keep(work)

    def _keep(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def quiet(self) -> None:
        """Returns when nothing is being loaded or stored."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self.quiet()

    def load(self, live: LiveRun, sheet: TurnSheet, need: BlobNeeded | WorkflowNeeded) -> None:
        live.sheet = sheet
        if isinstance(need, BlobNeeded):
            self._spawn(live, self._load_blob(live, need.blob))
        else:
            self._spawn(live, self._load_workflow(live, need))

    def _go_on(self, live: LiveRun) -> None:
        live.is_blocked = False
        self._engine.wake(live)

    async def _load_blob(self, live: LiveRun, blob: BlobRef) -> None:
        while not live.is_dropped:
            try:
                data = await asyncio.to_thread(self._engine.parts.objects.read, blob["id"])
            except FlowForgeError as fault:
                logger.error("A value cannot be read; the run waits for it.", run=live.state.run_id, cause=fault.message)
                await asyncio.sleep(_RETRY_S)
            else:
                live.state.blobs[blob["id"]] = decode(data)
                self._go_on(live)
                return

    async def _load_workflow(self, live: LiveRun, need: WorkflowNeeded) -> None:
        state = live.state
        while not live.is_dropped:
            try:
                callee = await self._resolve(live, need)
            except StorageError as fault:
                logger.error("A definition cannot be read; the run waits for it.", run=state.run_id, cause=fault.message)
                await asyncio.sleep(_RETRY_S)
            else:
                state.callees[need.name, need.version] = callee
                self._go_on(live)
                return

    async def _resolve(self, live: LiveRun, need: WorkflowNeeded) -> Callee:
        engine, workspace_id = self._engine, live.state.workspace_id
        try:
            pinned = await engine.parts.versions.resolve(workspace_id, need.name, need.version)
            program = await engine.programs.get(pinned["digest"])
            missing = [name for name in program.workflow.operations if engine.parts.registry.find(name) is None]
            if missing:
                raise NotInstalledError(f"The workflow {need.name} uses {', '.join(missing)}, which is not installed here.")
            variables = await engine.parts.vault.read_variables(workspace_id, program.workflow.variables)
        except RequestError as fault:
            code = fault.details[0].code if fault.details else fault.code.lower()
            error: ErrorValue = {"code": code, "message": fault.message}
            return Callee(None, None, error)
        return Callee(pinned, program.workflow, None, variables)

    def store_large(self, live: LiveRun, sheet: TurnSheet) -> None:
        """Values above the inline limit go to the object store first, then the row that names them: never the other way round."""
        self._spawn(live, self._store_large(live, sheet))

    async def _store_large(self, live: LiveRun, sheet: TurnSheet) -> None:
        objects, limit = self._engine.parts.objects, self._engine.settings.limits.step_out_inline_bytes
        for event, field, data in large_values(sheet.events, limit):
            while not live.is_dropped:
                try:
                    stored = await asyncio.to_thread(objects.put_value, data)
                except StorageError as fault:
                    logger.error("A value cannot be stored; the run waits for it.", run=live.state.run_id, cause=fault.message)
                    await asyncio.sleep(_RETRY_S)
                else:
                    move_to_blob(event, field, {"id": stored.id, "size": stored.size_bytes, "sha256": stored.sha256})
                    break
        crashpoint("CP23")
        if live.is_dropped:
            return
        live.is_blocked = False
        self._engine.hand_in(live, sheet, encode_events(sheet.events))
        if live.outcomes:
            self._engine.wake(live)

    def look_back(self, live: LiveRun, work: LookBack) -> None:
        """Named events that came before the wait was there become mail. The turn that asked for it counted it (`live.looking`)."""
        self._keep(self._look_back(live, WaitRow(work.key, work.name, work.correlation, work.since)))

    async def _look_back(self, live: LiveRun, wait: WaitRow) -> None:
        engine = self._engine
        while not live.is_dropped:
            try:
                reached = await engine.committer.call(engine.store.look_back, live.no, wait)
            except StorageError as fault:
                logger.error("Earlier events cannot be read; the run waits for that.", run=live.state.run_id, cause=fault.message)
                await asyncio.sleep(_RETRY_S)
                continue
            live.looking -= 1
            if reached:
                await engine.read_mail()
            engine.wake(live)
            return

    def reload(self, live: LiveRun, void: TurnSheet) -> None:
        """Mail came between deciding and committing: what was decided is void. The run is read anew; what came from outside stands."""
        self._spawn(live, self._reload(live, void))

    async def _reload(self, live: LiveRun, void: TurnSheet) -> None:
        engine = self._engine
        read = await self._read(live)
        if read is None:
            return
        rows, mails = read
        fresh = LiveRun(live.no, fold_rows(live.state.program, rows), live.epoch, rows[-1].seq)
        fresh.is_suspect, fresh.priority, fresh.is_warned = live.is_suspect, live.priority, live.is_warned
        fresh.history_events, fresh.history_bytes = live.history_events, live.history_bytes
        fresh.state.epoch = live.epoch
        fresh.logs = live.logs
        fresh.outcomes.extend(outcome for outcome in [*void.recorded, *live.outcomes] if not isinstance(outcome, MailRead))
        for mail in mails:
            put_mail(fresh, mail)
        engine.replace(live, fresh)

    async def _read(self, live: LiveRun) -> tuple[list[JournalRow], list[Mail]] | None:
        """The run's journal and unread mail, as soon as the database can be used; None if it is dropped before."""
        engine = self._engine
        while not live.is_dropped:
            try:
                rows = list(await engine.committer.call(engine.store.load, live.no))
                mails = [mail for mail in await engine.committer.call(engine.store.mail, engine.worker) if mail.run_no == live.no]
            except StorageError as fault:
                logger.error("A run cannot be read anew; it waits for that.", run=live.state.run_id, cause=fault.message)
                await asyncio.sleep(_RETRY_S)
            else:
                return None if live.is_dropped else (rows, mails)
        return None
