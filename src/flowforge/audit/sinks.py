"""Places outside to which the log goes by itself: files in an object store, messages of syslog.

Each sink remembers how far it has got, so that nothing is left out; after a crash, or from two processes at once, something may go twice.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit import chain
from flowforge.audit.checkpoints import list_checkpoint_keys, list_checkpoints, read_checkpoint
from flowforge.audit.exporting import Selection, list_batches, write_beginning, write_row
from flowforge.audit.models import AuditCheckpoint, AuditSink
from flowforge.audit.rows import FIRST_HASH, describe_entry, read_entry
from flowforge.audit.syslog import SyslogPlace, send_messages
from flowforge.kit.clock import Clock
from flowforge.kit.database.session import Database
from flowforge.kit.ids import derive_id
from flowforge.kit.objects.shelf import Shelf
from flowforge.kit.values import JsonObject

OBJECT_PREFIX: Final = "audit"
"""Of the ids that files of the log have in an object store."""
_CHECKPOINTS_AT_ONCE: Final = 100


class Sink(Protocol):
    """One place outside."""

    @property
    def name(self) -> str: ...

    async def run_once(self) -> None:
        """Sends what is new. Raises StorageError, DependencyError."""
        ...


async def list_progress(session: AsyncSession) -> Sequence[AuditSink]:
    """How far each sink has got."""
    return (await session.scalars(select(AuditSink))).all()


async def advance_sink(session: AsyncSession, name: str, row_no: int, checkpoint_no: int, at_ms: int) -> None:
    """Remembers how far a sink has got; never goes back."""
    sink = await session.get(AuditSink, name, with_for_update=True)
    if sink is None:
        session.add(AuditSink(name=name, row_no=row_no, checkpoint_no=checkpoint_no, at=at_ms))
        return
    sink.row_no, sink.checkpoint_no = max(sink.row_no, row_no), max(sink.checkpoint_no, checkpoint_no)
    sink.at = at_ms


async def find_progress(session: AsyncSession, name: str) -> tuple[int, int]:
    """The last row and the last checkpoint that a sink has sent."""
    sink = await session.get(AuditSink, name)
    return (0, 0) if sink is None else (sink.row_no, sink.checkpoint_no)


@dataclass(frozen=True, slots=True)
class ObjectSink:
    """A file for each checkpoint: the rows since the one before, both checkpoints and the keys; `audit verify` takes each by itself."""

    database: Database
    clock: Clock
    shelf: Shelf
    name: str = "objects"

    async def run_once(self) -> None:
        async with self.database.read() as session:
            _, done = await find_progress(session, self.name)
            head = await chain.find_head(session)
            start = max(done, 0 if head is None else head.retired_up_to)
            before = await session.get(AuditCheckpoint, start)
            following = await list_checkpoints(session, after=start, limit=_CHECKPOINTS_AT_ONCE)
        for checkpoint in following:
            await self._store(before, checkpoint)
            async with self.database.write.begin() as session:
                now_ms = self.clock.now_ms()
                await advance_sink(session, self.name, checkpoint.no, checkpoint.no, now_ms)
            before = checkpoint

    async def _store(self, before: AuditCheckpoint | None, checkpoint: AuditCheckpoint) -> None:
        start, start_hash = (0, FIRST_HASH) if before is None else (before.no, before.hash)
        around = [found for found in (before, checkpoint) if found is not None]
        file_id = derive_id(OBJECT_PREFIX, checkpoint.at, f"{start}-{checkpoint.no}-{checkpoint.hash}".encode())
        draft = await asyncio.to_thread(self.shelf.begin, file_id)
        try:
            beginning = write_beginning(start, start_hash, list_checkpoint_keys(around), around)
            await asyncio.to_thread(draft.write, beginning)
            async for rows in list_batches(self.database.read, Selection(), start, checkpoint.no):
                await asyncio.to_thread(draft.write, b"".join(write_row(row) for row in rows))
            await asyncio.to_thread(draft.commit)
        finally:
            draft.discard()


@dataclass(frozen=True, slots=True)
class SyslogSink:
    """A message for each row and each checkpoint, as soon as they are there."""

    database: Database
    clock: Clock
    place: SyslogPlace
    name: str = "syslog"

    async def run_once(self) -> None:
        async with self.database.read() as session:
            row_no, checkpoint_no = await find_progress(session, self.name)
            head = await chain.find_head(session)
            checkpoints = await list_checkpoints(session, after=checkpoint_no, limit=_CHECKPOINTS_AT_ONCE)
        async for rows in list_batches(self.database.read, Selection(), row_no, 0 if head is None else head.no):
            await self._send([describe_entry(read_entry(row)) for row in rows], rows[-1].no, checkpoint_no)
            row_no = rows[-1].no
        if checkpoints:
            await self._send([read_checkpoint(found).describe() for found in checkpoints], row_no, checkpoints[-1].no)

    async def _send(self, lines: Sequence[JsonObject], row_no: int, checkpoint_no: int) -> None:
        await asyncio.to_thread(send_messages, self.place, lines)
        async with self.database.write.begin() as session:
            await advance_sink(session, self.name, row_no, checkpoint_no, self.clock.now_ms())
