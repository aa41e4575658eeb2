"""The duty that offers events to triggers: it reads each source by number, from a position of its own, so that none is lost."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, cast

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.cluster.event_types import means
from flowforge.engine.tables import journal, runs
from flowforge.kit.border import decode
from flowforge.kit.clock import Clock
from flowforge.kit.database.session import Database
from flowforge.kit.errors import InvariantError, RequestError
from flowforge.kit.telemetry.logs import get_logger
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.times import format_timestamp_ms
from flowforge.triggers.errors import InputFailedError
from flowforge.triggers.event_sources import SOURCES, Heard, Source
from flowforge.triggers.firing import Firing, Occurrence
from flowforge.triggers.inputs import Inputs
from flowforge.triggers.reading import read_trigger
from flowforge.triggers.repository import list_live_triggers
from flowforge.triggers.source_models import EventReaderRow
from flowforge.triggers.types import Trigger

CHAIN_MAX: Final = 16
"""Runs that may start each other by events, one after the other."""
GAP_MS: Final = 30_000
"""So long a number that is missing may still be committed; what is younger is looked at again in each pass."""
CHAIN_FIELD: Final = "chain"
"""Of a run's `trigger`: how many runs before it were started by events."""
_PAGE: Final = 500
_CALLS_MAX: Final = 20
_LOOP: Final = "event_loop"

logger = get_logger("triggers.events")


class EventDuty:
    """Offers every event to the live triggers that mean it once. Two at once do no harm: a run is unique by trigger and event.

    Events that no trigger means are not read: the database is asked for the others by workspace and type.
    """

    def __init__(self, database: Database, firing: Firing, inputs: Inputs, clock: Clock, *, is_ordered: bool = False) -> None:
        """`is_ordered`: the database is SQLite, which commits in the order of its numbers."""
        self._database = database
        self._firing = firing
        self._inputs = inputs
        self._clock = clock
        self._lag_ms = 0 if is_ordered else GAP_MS
        self._offered: dict[str, set[int]] = {source.reader: set() for source in SOURCES}
        """Numbers behind the position that were offered already, by reader: below them one may still be missing."""

    async def run_once(self) -> None:
        """One pass.

        Raises:
            StorageError, DependencyError: it cannot go on now; the next pass begins where this one has stopped.
        """
        async with self._database.read() as session:
            triggers = [read_trigger(row) for row in await list_live_triggers(session, "event")]
        for source in SOURCES:
            await self._read(source, triggers)

    async def _read(self, source: Source, triggers: Sequence[Trigger]) -> None:
        position = await self._read_position(source)
        before_ms = self._clock.now_ms() - self._lag_ms if self._lag_ms else None
        async with self._database.read() as session:
            settled = await source.find_settled(session, position, before_ms)
        after = position
        while triggers:
            async with self._database.read() as session:
                rows = await source.list_meant(session, after, triggers, _PAGE)
            await self._offer_all(source, rows, triggers)
            if len(rows) < _PAGE:
                break
            after = rows[-1]["no"]
            await self._move(source, min(after, settled))
        await self._move(source, settled)

    async def _read_position(self, source: Source) -> int:
        """The first time, what has happened before is left alone."""
        async with self._database.read() as session:
            row = await session.get(EventReaderRow, source.reader)
        if row is not None:
            return row.position
        async with self._database.write.begin() as session:
            newest = await source.find_last(session)
            try:
                await session.execute(insert(EventReaderRow).values(name=source.reader, position=newest))
            except IntegrityError:
                # Another one has begun at the same moment; the next pass reads what it wrote.
                await session.rollback()
        return newest

    async def _move(self, source: Source, reached: int) -> None:
        behind = (EventReaderRow.name == source.reader, EventReaderRow.position < reached)
        async with self._database.read() as session:
            if await session.scalar(select(EventReaderRow.name).where(*behind)) is None:
                return
        async with self._database.write.begin() as session:
            await session.execute(update(EventReaderRow).where(*behind).values(position=reached))
        self._offered[source.reader] = {no for no in self._offered[source.reader] if no > reached}

    async def _offer_all(self, source: Source, rows: Sequence[RowMapping], triggers: Sequence[Trigger]) -> None:
        offered = self._offered[source.reader]
        for row in rows:
            if row["no"] in offered:
                continue
            try:
                heard = source.read(row)
            except InvariantError as fault:
                logger.error("An event cannot be read; no trigger hears it.", no=row["no"], cause=fault.message)
                heard = None
            for trigger in triggers:
                if heard is not None and _is_meant(trigger, heard):
                    await self._offer(trigger, heard)
            offered.add(row["no"])

    async def _offer(self, trigger: Trigger, heard: Heard) -> None:
        now_ms, event_id = self._clock.now_ms(), str(heard.told["id"])
        if not await self._holds(trigger, heard.told, now_ms):
            return
        async with self._database.read() as session:
            chain = await measure_chain(session, heard) + 1
        data: JsonObject = {"event": heard.told, CHAIN_FIELD: chain}
        occurrence = Occurrence(trigger, data, now_ms, dedup=f"event:{trigger.id}:{event_id}")
        if chain > CHAIN_MAX:
            logger.warning("An event starts no run: runs start each other in a circle.", trigger=trigger.id, event=event_id)
            self._firing.remember(occurrence, status=409, error=_LOOP)
            return
        try:
            await self._firing.fire(occurrence)
        except RequestError as fault:
            logger.warning("An event was refused by its workflow.", trigger=trigger.id, event=event_id, cause=fault.message)

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


def _is_meant(trigger: Trigger, heard: Heard) -> bool:
    is_its = heard.workspace_id == trigger.workspace_id and heard.at_ms >= trigger.created_at_ms
    return is_its and means(str(trigger.config.get("type")), heard.type)


async def measure_chain(session: AsyncSession, heard: Heard) -> int:
    """How many runs before the one that the event tells of were started by events; runs that were called count as their callers."""
    data = heard.told["data"]
    run_id: JsonValue = data.get("run_id") if isinstance(data, dict) else None
    for _ in range(_CALLS_MAX + 1):
        if not isinstance(run_id, str):
            return 0
        query = select(journal.c.body).join(runs, runs.c.no == journal.c.run_no)
        query = query.where(runs.c.workspace_id == heard.workspace_id, runs.c.id == run_id, journal.c.seq == 1)
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
