"""The duty that offers events to triggers: it reads the outbox by number, from a position of its own, so that none is lost."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, cast

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.cluster.outbox import OutboxRow, list_messages
from flowforge.engine.tables import journal, outbox, runs
from flowforge.kit.border import decode
from flowforge.kit.bus import BusEvent
from flowforge.kit.clock import Clock
from flowforge.kit.database.session import Database
from flowforge.kit.errors import InvariantError, RequestError
from flowforge.kit.telemetry.logs import get_logger
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.times import format_timestamp_ms
from flowforge.triggers.errors import InputFailedError
from flowforge.triggers.firing import Firing, Occurrence
from flowforge.triggers.inputs import Inputs
from flowforge.triggers.reading import read_trigger
from flowforge.triggers.repository import list_live_triggers
from flowforge.triggers.source_models import EventReaderRow
from flowforge.triggers.types import Trigger

EVERY_MS: Final = 1_000
"""How often the duty wants to be run."""
CHAIN_MAX: Final = 16
"""Runs that may start each other by events, one after the other."""
GAP_MS: Final = 30_000
"""A number that is missing this long belongs to a transaction that was undone; until then it may still be committed."""
CHAIN_FIELD: Final = "chain"
"""Of a run's `trigger`: how many runs before it were started by events."""
_READER: Final = "triggers"
_PAGE: Final = 500
_WINDOW: Final = 20_000
_CALLS_MAX: Final = 20
_LOOP: Final = "event_loop"

logger = get_logger("triggers.events")


class EventDuty:
    """Offers every event to the live triggers of its workspace once. Two at once do no harm: a run is unique by trigger and event."""

    def __init__(self, database: Database, firing: Firing, inputs: Inputs, clock: Clock) -> None:
        self._database = database
        self._firing = firing
        self._inputs = inputs
        self._clock = clock
        self._seen: set[int] = set()
        """Numbers behind the position that were offered already: they wait for a missing one before them."""

    async def run_once(self) -> None:
        """One pass.

        Raises:
            StorageError, DependencyError: it cannot go on now; the next pass begins where this one has stopped.
        """
        while await self._run():
            pass

    async def _run(self) -> bool:
        """Whether there may be more."""
        position = await self._read_position()
        async with self._database.read() as session:
            query = select(outbox.c.no, outbox.c.created_at).where(outbox.c.no > position).order_by(outbox.c.no).limit(_WINDOW)
            found = [(row[0], row[1]) for row in (await session.execute(query)).all()]
            triggers = [read_trigger(row) for row in await list_live_triggers(session, "event")]
        fresh = [no for no, _ in found if no not in self._seen]
        by_workspace: dict[str, list[Trigger]] = {}
        for trigger in triggers:
            by_workspace.setdefault(trigger.workspace_id, []).append(trigger)
        for start in range(0, len(fresh) if triggers else 0, _PAGE):
            await self._offer_all(fresh[start : start + _PAGE], by_workspace)
        self._seen.update(fresh)
        reached = self._find_reached(position, found)
        if reached > position:
            await self._move(position, reached)
            self._seen = {no for no in self._seen if no > reached}
        return reached > position and len(found) == _WINDOW

    def _find_reached(self, position: int, found: Sequence[tuple[int, int]]) -> int:
        """Up to where every number was seen, or is missing for so long that it never comes."""
        now_ms, reached = self._clock.now_ms(), position
        for no, created_at in found:
            if no != reached + 1 and created_at > now_ms - GAP_MS:
                break
            reached = no
        return reached

    async def _read_position(self) -> int:
        """The first time, what has happened before is left alone."""
        async with self._database.read() as session:
            row = await session.get(EventReaderRow, _READER)
        if row is not None:
            return row.position
        async with self._database.write.begin() as session:
            newest = (await session.execute(select(outbox.c.no).order_by(outbox.c.no.desc()).limit(1))).scalar()
            try:
                await session.execute(insert(EventReaderRow).values(name=_READER, position=newest or 0))
            except IntegrityError:
                # Another one has begun at the same moment; the next pass reads what it wrote.
                await session.rollback()
        return newest or 0

    async def _move(self, position: int, reached: int) -> None:
        statement = update(EventReaderRow).where(EventReaderRow.name == _READER, EventReaderRow.position == position)
        async with self._database.write.begin() as session:
            await session.execute(statement.values(position=reached))

    async def _offer_all(self, nos: Sequence[int], triggers: Mapping[str, Sequence[Trigger]]) -> None:
        columns = [outbox.c[name] for name in OutboxRow.__dataclass_fields__]
        wanted = select(*columns).where(outbox.c.no.in_(nos), outbox.c.workspace_id.in_(triggers)).order_by(outbox.c.no)
        async with self._database.read() as session:
            rows = [OutboxRow(**row) for row in (await session.execute(wanted)).mappings()]
        for row in rows:
            listening = [trigger for trigger in triggers[row.workspace_id] if _is_meant(trigger, row)]
            if not listening:
                continue
            try:
                event = list_messages(row)[0].event
            except InvariantError as fault:
                logger.error("An event cannot be read; no trigger hears it.", no=row.no, cause=fault.message)
                continue
            for trigger in listening:
                await self._offer(trigger, event)

    async def _offer(self, trigger: Trigger, event: BusEvent) -> None:
        now_ms = self._clock.now_ms()
        told = event.as_json()
        if not await self._holds(trigger, told, now_ms):
            return
        async with self._database.read() as session:
            chain = await measure_chain(session, event) + 1
        data: JsonObject = {"event": told, CHAIN_FIELD: chain}
        occurrence = Occurrence(trigger, data, now_ms, dedup=f"event:{trigger.id}:{event.id}")
        if chain > CHAIN_MAX:
            logger.warning("An event starts no run: runs start each other in a circle.", trigger=trigger.id, event=event.id)
            self._firing.remember(occurrence, status=409, error=_LOOP)
            return
        try:
            await self._firing.fire(occurrence)
        except RequestError as fault:
            logger.warning("An event was refused by its workflow.", trigger=trigger.id, event=event.id, cause=fault.message)

    async def _holds(self, trigger: Trigger, event: JsonObject, now_ms: int) -> bool:
        """Whether `where` is true. What it cannot be asked of, an event of another form, does not fulfil it."""
        where = trigger.config.get("where")
        if where is None or isinstance(where, bool):
            return where is not False
        holds: JsonObject = {"kind": "event", "id": trigger.key, "fired_at": format_timestamp_ms(now_ms), "event": event}
        condition = replace(trigger, has_input=True, input=where, etag=f"{trigger.etag}:where")
        try:
            return await self._inputs.make(condition, holds, now_ms) is True
        except InputFailedError as fault:
            logger.info("The condition of a trigger cannot be asked of an event.", trigger=trigger.id, cause=fault.message)
            return False


def _is_meant(trigger: Trigger, row: OutboxRow) -> bool:
    if row.created_at < trigger.created_at_ms:
        return False
    wanted = str(trigger.config.get("type"))
    return row.event_type == wanted or (wanted.endswith(".*") and row.event_type.startswith(wanted[:-1]))


async def measure_chain(session: AsyncSession, event: BusEvent) -> int:
    """How many runs before the one that the event tells of were started by events; runs that were called count as their callers."""
    run_id: JsonValue = event.data.get("run_id")
    for _ in range(_CALLS_MAX + 1):
        if not isinstance(run_id, str):
            return 0
        query = select(journal.c.body).join(runs, runs.c.no == journal.c.run_no)
        query = query.where(runs.c.workspace_id == event.workspace_id, runs.c.id == run_id, journal.c.seq == 1)
        body = await session.scalar(query)
        if body is None:
            return 0
        trigger = cast("list[JsonObject]", decode(body))[0].get("trigger")
        if not isinstance(trigger, dict):
            return 0
        if trigger.get("kind") != "call":
            chain = trigger.get(CHAIN_FIELD)
            return chain if isinstance(chain, int) and trigger.get("kind") == "event" else 0
        run_id = trigger.get("run")
    return 0
