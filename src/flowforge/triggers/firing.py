"""Firing: something happened, and a run starts, or is found, or the event is held."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy.exc import IntegrityError

from flowforge.engine.births import StartRequest
from flowforge.engine.events import PinnedVersion
from flowforge.engine.store import Verdict
from flowforge.kit.border import digest_value
from flowforge.kit.clock import Clock
from flowforge.kit.database.session import Database
from flowforge.kit.errors import FlowForgeError
from flowforge.kit.ids import IdSource
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject
from flowforge.language.catalog import Catalog
from flowforge.language.times import format_timestamp_ms
from flowforge.runs import service as runs
from flowforge.runs.once import IdempotencyMismatchError, Once, OnceStarted, find_repeated, start_once
from flowforge.runs.starting import Runner
from flowforge.triggers import event_rows
from flowforge.triggers.errors import TooManyHeldError, TriggerOffError, TriggerPausedError
from flowforge.triggers.inputs import Inputs
from flowforge.triggers.recording import Recorder
from flowforge.triggers.types import Fired, HeldEvent, Paused, RequestRecord, Trigger
from flowforge.web.errors import find_status

HELD_MAX: Final = 10_000
_ERROR_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Something happened for a trigger. `data`: what `trigger` holds beside kind, id and fired_at.

    `once`: what makes two occurrences the same one within a day. `dedup`: a name that is unique for ever (a slot of a schedule).
    `pinned`: the version that runs, where the caller knows it. `is_forced`: a person wants it also while the trigger is paused.
    """

    trigger: Trigger
    data: JsonObject
    at_ms: int
    once: Once | None = None
    dedup: str | None = None
    pinned: PinnedVersion | None = None
    is_forced: bool = False
    remote_address: str | None = None
    user_agent: str | None = None


class Firing:
    """Fires triggers of all kinds. Wired under this class; one per process."""

    def __init__(
        self,
        database: Database,
        runner: Runner,
        catalog: Catalog,
        limits: Limits,
        clock: Clock,
        ids: IdSource,
        recorder: Recorder,
    ) -> None:
        self.recorder = recorder
        self._database = database
        self._runner = runner
        self._clock = clock
        self._ids = ids
        self._inputs = Inputs(database.read, catalog, limits)

    async def fire(self, occurrence: Occurrence) -> Fired:
        """As `start`, and remembers it among the trigger's requests, also where it fails."""
        try:
            fired = await self.start(occurrence)
        except FlowForgeError as fault:
            self.remember(occurrence, status=find_status(fault), error=name_fault(fault))
            raise
        self.remember(occurrence, status=202, fired=fired)
        return fired

    def remember(self, occurrence: Occurrence, *, status: int, fired: Fired | None = None, error: str | None = None) -> None:
        """Adds a request to the trigger's list and figures."""
        trigger = occurrence.trigger
        self.recorder.on_fired(trigger.kind, is_successful=error is None)
        self.recorder.add(
            RequestRecord(
                trigger_id=trigger.id,
                workspace_id=trigger.workspace_id,
                at_ms=occurrence.at_ms,
                status=status,
                run_id=None if fired is None else fired.run_id,
                event_id=None if fired is None else fired.event_id,
                error=error,
                remote_address=occurrence.remote_address,
                user_agent=occurrence.user_agent,
            )
        )

    async def start(self, occurrence: Occurrence) -> Fired:
        """Starts the run, or finds the one that the same occurrence has started; a paused trigger holds the event instead.

        Raises:
            TriggerOffError, TriggerPausedError, TooManyHeldError: nothing is started or held.
            NotFoundError, ConflictError: its workflow takes no runs.
            InputFailedError, ValidationError: the input cannot be made of what came, or does not fit.
            IdempotencyMismatchError: the same delivery came with another body.
            NotInstalledError, StartRejectedError, OverloadedError: as `Runner.start`.
        """
        trigger = occurrence.trigger
        if not trigger.is_live:
            raise TriggerOffError(trigger.id)
        if trigger.paused is not Paused.NO and not occurrence.is_forced:
            return await self._hold(occurrence)
        pinned = occurrence.pinned or await self._runner.pin(trigger.workspace_id, trigger.workflow_id)
        request = await self._make_request(occurrence, pinned)
        started = await start_once(self._runner, self._database.read, request, occurrence.once, now_ms=self._clock.now_ms())
        return await self._describe(trigger.workspace_id, started)

    async def _make_request(self, occurrence: Occurrence, pinned: PinnedVersion) -> StartRequest:
        trigger = occurrence.trigger
        fired_at = format_timestamp_ms(occurrence.at_ms)
        holds: JsonObject = {"kind": trigger.kind, "id": trigger.key, "fired_at": fired_at, **occurrence.data}
        value = await self._inputs.make(trigger, holds, occurrence.at_ms)
        return StartRequest(
            workspace_id=trigger.workspace_id,
            workflow=pinned,
            input=value,
            actor=trigger.actor,
            trigger=holds,
            dedup=occurrence.dedup,
        )

    async def _describe(self, workspace_id: str, answer: OnceStarted) -> Fired:
        started = answer.started
        if started.verdict is not Verdict.DUPLICATE:
            status = "queued" if started.verdict is Verdict.QUEUED else "running"
            return Fired(started.run_id, started.run_no, status)
        async with self._database.read() as session:
            header = await runs.get_run(session, workspace_id, started.run_id)
        return Fired(started.run_id, started.run_no, header.status, is_duplicate=True)

    async def _hold(self, occurrence: Occurrence) -> Fired:
        trigger, once = occurrence.trigger, occurrence.once
        if trigger.paused is Paused.REFUSE:
            raise TriggerPausedError(trigger.id)
        if once is not None:
            now_ms = self._clock.now_ms()
            known = await find_repeated(self._database.read, trigger.workspace_id, once, now_ms=now_ms)
            if known is not None:
                return await self._describe(trigger.workspace_id, OnceStarted(known, is_repeat=True))
        dedup = occurrence.dedup if once is None else once.key
        digest = digest_value(occurrence.data) if once is None else once.digest
        event = HeldEvent(
            self._ids.make_id("evt"), trigger.id, trigger.workspace_id, occurrence.at_ms, dedup, digest, occurrence.data
        )
        try:
            return await self._keep(event)
        except IntegrityError:
            # The same delivery came at the same moment, and the other one was first.
            return await self._keep(event)

    async def _keep(self, event: HeldEvent) -> Fired:
        async with self._database.write.begin() as session:
            if event.dedup is not None:
                known = await event_rows.find_held(session, event.workspace_id, event.trigger_id, event.dedup)
                if known is not None and known.digest != event.digest:
                    raise IdempotencyMismatchError("", known.id)
                if known is not None:
                    return Fired(event_id=known.id, is_duplicate=True)
            if await event_rows.count_held(session, event.workspace_id, event.trigger_id) >= HELD_MAX:
                raise TooManyHeldError(HELD_MAX)
            await event_rows.add_held(session, event.workspace_id, event)
        return Fired(event_id=event.id)


def name_fault(fault: FlowForgeError) -> str:
    """The finest code that an error has."""
    return (fault.details[0].code if fault.details else fault.code)[:_ERROR_MAX]
