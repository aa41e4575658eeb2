"""Intake: due runs are claimed, mail of other processes is fetched, old runs are pruned. One loop, woken early where there is reason."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Final

from flowforge.engine.errors import UnknownEventError
from flowforge.engine.executor.claims import find_head, read_started, revive, revive_from_snapshot
from flowforge.engine.executor.giving_back import leave_to_newer, set_aside
from flowforge.engine.executor.host import Host
from flowforge.engine.executor.live import LiveRun
from flowforge.engine.executor.retention import Retention
from flowforge.engine.store import FAR_FUTURE_MS, Claimed, ClaimRequest
from flowforge.kit.errors import FlowForgeError, StorageError
from flowforge.kit.telemetry.logs import get_logger

_CLAIM_MAX: Final = 500
_MATCH_EVERY_MS: Final = 10_000

logger = get_logger("engine.intake")


class Intake:
    """Looks at least every `poll_ms`; at once when poked, and when the next timer falls due."""

    def __init__(self, engine: Host) -> None:
        self._engine = engine
        self._retention = Retention(engine)
        self._adopted: set[int] | None = None if engine.settings.takes_all else set()
        self._poked = asyncio.Event()
        self._has_mail = False
        self._next_due = 0
        self._released_until = FAR_FUTURE_MS
        """The earliest time until which a run was released since the queue was last looked at."""
        self._next_match_ms = 0
        self._is_stopped = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        self._is_stopped = True
        self._poked.set()
        if self._task is not None:
            await self._task

    def adopt(self, *run_nos: int) -> None:
        if self._adopted is not None:
            self._adopted.update(run_nos)

    def forget(self, run_no: int) -> None:
        if self._adopted is not None:
            self._adopted.discard(run_no)

    def poke(self, *, mail: bool = False) -> None:
        self._has_mail = self._has_mail or mail
        self._poked.set()

    def expect(self, due_at: int) -> None:
        """A run was released until then."""
        self._released_until = min(self._released_until, due_at)
        if due_at < self._next_due:
            self._next_due = due_at
            self._poked.set()

    async def _run(self) -> None:
        """Supervisor: whatever becomes of one look, another one follows."""
        while not self._is_stopped:
            self._poked.clear()
            try:
                await self.look()
            except (StorageError, OSError) as fault:
                logger.warning("The database or the object store could not be looked at.", cause=str(fault))
            except Exception:
                logger.exception("A look at the database failed: a fault of ours. It is tried again.")
            if self._is_stopped:
                return
            delay_ms = min(self._engine.settings.poll_ms, max(self._next_due - self._engine.parts.clock.now_ms(), 1))
            with suppress(TimeoutError):
                async with asyncio.timeout(delay_ms / 1_000):
                    await self._poked.wait()

    def has_room(self, runs: int = 1) -> bool:
        """Whether so many more runs would be claimed here now."""
        engine, settings = self._engine, self._engine.settings
        is_taking = settings.claims_runs and not self._is_stopped and engine.committer.backlog < settings.backlog_max
        return is_taking and len(engine.lives) + runs <= settings.runs_max

    async def look(self) -> None:
        """Mail first, then due runs as long as there are some and room for them."""
        engine = self._engine
        looked_at_ms = engine.parts.clock.now_ms()
        has_mail, self._has_mail = self._has_mail, False
        if has_mail or (engine.lives and await engine.committer.call(engine.store.changed)):
            await engine.read_mail()
        while not engine.committer.is_stalled and await self._claim():
            continue
        self._released_until = FAR_FUTURE_MS
        due = await engine.committer.call(engine.store.next_due)
        now_ms = engine.parts.clock.now_ms()
        engine.parts.metrics.queue_age_seconds.set(0.0 if due is None else max(now_ms - due, 0) / 1_000)
        # What was due before and was not claimed is not for us now: another look at once would find the same.
        is_ahead = due is not None and due > looked_at_ms and engine.settings.claims_runs
        next_due = due if due is not None and is_ahead else now_ms + engine.settings.poll_ms
        # What was released meanwhile may have come too late to be found.
        self._next_due = min(next_due, self._released_until)
        engine.poke_slots()
        await self._sweep()

    async def _claim(self) -> bool:
        """Whether there may be more: the claim was as large as it could be."""
        engine = self._engine
        limit = min(engine.settings.runs_max - len(engine.lives), _CLAIM_MAX)
        if not self.has_room() or (self._adopted is not None and not self._adopted):
            return False
        request = ClaimRequest(
            worker=engine.worker,
            limit=limit,
            suspects=0 if any(live.is_suspect for live in engine.lives.values()) else 1,
            only=self._adopted,
            poison_limit=engine.settings.limits.poison_limit,
            format=engine.settings.events_format,
        )
        claimed = await engine.committer.call(engine.store.claim, request)
        for run in claimed:
            await self._admit(run)
        return len(claimed) == limit

    async def _admit(self, claimed: Claimed) -> None:
        """Supervisor: a run that cannot be brought to life goes back into the queue, and the others of its claim come to life."""
        engine = self._engine
        due_at = FAR_FUTURE_MS
        try:
            engine.admit(await self._revive(claimed))
        except UnknownEventError as fault:
            logger.warning("A run is left to a newer version.", run=claimed.run_id, cause=fault.message)
            engine.parts.metrics.left_to_newer.inc()
            leave_to_newer(engine, claimed.run_no, claimed.epoch, claimed.mail, fault.message)
            return
        except StorageError as fault:
            reason = fault.message
            due_at = engine.parts.clock.now_ms() + engine.settings.poll_ms
        except FlowForgeError as fault:
            reason = fault.message
        except Exception:  # supervisor
            logger.exception("A claimed run cannot be read: a fault of ours.", run=claimed.run_id)
            reason = "The engine failed on this run; the log says how."
        else:
            return
        logger.error("A run cannot go on here.", run=claimed.run_id, cause=reason)
        set_aside(engine, claimed.run_no, claimed.epoch, claimed.mail, reason, due_at)

    async def _revive(self, claimed: Claimed) -> LiveRun:
        """From its snapshot and what came behind it, else from its whole journal."""
        engine, head = self._engine, find_head(claimed)
        if head is not None:
            live = revive_from_snapshot(claimed, head, await engine.programs.get(head.digest))
            if live is not None:
                return live
        if claimed.snapshot is not None:
            claimed = replace(claimed, rows=await engine.committer.call(engine.store.load, claimed.run_no))
        started = read_started(list(claimed.rows))
        return revive(claimed, await engine.programs.get(started["workflow"]["digest"]))

    async def _sweep(self) -> None:
        """What is done now and then: named events whose sender died before it matched them, and old runs."""
        engine = self._engine
        now_ms = engine.parts.clock.now_ms()
        if now_ms >= self._next_match_ms:
            self._next_match_ms = now_ms + _MATCH_EVERY_MS
            if await engine.committer.call(engine.store.match):
                self.poke(mail=True)
        if self._adopted is None and engine.settings.keeps_house:
            await self._retention.look(now_ms)
