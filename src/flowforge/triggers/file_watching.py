"""The duty that watches folders. What it has seen of a file is stored before anything is started, so that a kill loses and doubles nothing.

The operating system only says that something has changed; what it was is found by looking. So nothing that came while nobody watched is
missed, and folders on disks that tell nothing are watched too.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import watchfiles
from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.border import digest_value
from flowforge.kit.clock import Clock
from flowforge.kit.database.session import Database
from flowforge.kit.errors import DependencyError, RequestError, StorageError
from flowforge.kit.paths import Entry, FileRoots, PathError
from flowforge.kit.telemetry.logs import get_logger
from flowforge.kit.values import JsonObject
from flowforge.language.times import format_timestamp_ms
from flowforge.triggers.file_watch import FileWish, list_files, read_wish
from flowforge.triggers.firing import Firing, Occurrence
from flowforge.triggers.reading import read_trigger
from flowforge.triggers.repository import list_live_triggers
from flowforge.triggers.source_models import WatchedFileRow, WatchedFolderRow
from flowforge.triggers.types import Trigger

RESCAN_MS: Final = 60_000
"""A folder is looked through this often, whatever the operating system says."""
_BLIND_MS: Final = 5_000
"""The same for a folder that the operating system says nothing about."""
_WATCH_STEP_MS: Final = 100

logger = get_logger("triggers.files")


@dataclass(slots=True)
class _Watch:
    """One trigger's folder. `is_pending`: a file waits to stand still."""

    digest: str
    is_dirty: bool = True
    is_pending: bool = False
    looked_ms: int = 0
    is_heard: bool = False
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class FileDuty:
    """Starts a run for each file that comes, changes or goes. `folders`: the roots by name, as FILE_ROOTS has them."""

    def __init__(self, database: Database, firing: Firing, folders: Mapping[str, Path], clock: Clock) -> None:
        self._database = database
        self._firing = firing
        self._folders = dict(folders)
        self._roots = FileRoots(folders.items())
        self._clock = clock
        self._watches: dict[str, _Watch] = {}

    async def run_once(self) -> None:
        """One pass. Raises StorageError where the database cannot be used."""
        async with self._database.read() as session:
            triggers = [read_trigger(row) for row in await list_live_triggers(session, "file")]
        await self._drop({trigger.id for trigger in triggers})
        now_ms = self._clock.now_ms()
        for trigger in triggers:
            watch = await self._find_watch(trigger)
            waited_ms = now_ms - watch.looked_ms
            is_due = waited_ms >= (RESCAN_MS if watch.is_heard else _BLIND_MS) or waited_ms < 0
            if watch.is_dirty or watch.is_pending or is_due:
                await self._look(trigger, watch, now_ms)

    async def close(self) -> None:
        """Ends the watching."""
        await self._drop(set())

    async def _drop(self, kept: set[str]) -> None:
        for trigger_id in [found for found in self._watches if found not in kept]:
            watch = self._watches.pop(trigger_id)
            watch.stop.set()
            if watch.task is not None:
                await watch.task

    async def _find_watch(self, trigger: Trigger) -> _Watch:
        digest = digest_value(trigger.config)
        watch = self._watches.get(trigger.id)
        if watch is not None and watch.digest != digest:
            await self._drop({*self._watches} - {trigger.id})
            watch = None
        if watch is None:
            watch = self._watches[trigger.id] = _Watch(digest)
        if watch.task is None or watch.task.done():
            watch.task = asyncio.get_running_loop().create_task(self._listen(read_wish(trigger.config), watch))
        return watch

    async def _listen(self, wish: FileWish, watch: _Watch) -> None:
        """Marks the folder as soon as the operating system says that something in it has changed."""
        root = self._folders.get(wish.root)
        folder = None if root is None else root / wish.folder
        if folder is None or not await asyncio.to_thread(folder.is_dir):
            return
        options = {"step": _WATCH_STEP_MS, "debounce": 2 * _WATCH_STEP_MS, "recursive": wish.is_recursive}
        # What kinds of events the library's stop may be is not told by its types.
        awatch = cast("Any", watchfiles).awatch
        changes: AsyncGenerator[object] = awatch(
            folder, watch_filter=None, stop_event=watch.stop, ignore_permission_denied=True, **options
        )
        try:
            watch.is_heard = True
            async for _ in changes:
                watch.is_dirty = True
        except (OSError, RuntimeError) as error:
            logger.warning("A folder cannot be listened to; it is looked through instead.", folder=wish.folder, cause=str(error))
        watch.is_heard = False

    async def _look(self, trigger: Trigger, watch: _Watch, now_ms: int) -> None:
        wish = read_wish(trigger.config)
        # Until all is told, it is looked again: also after a fault that ends this pass.
        watch.is_dirty, watch.looked_ms, watch.is_pending = False, now_ms, True
        try:
            entries = {entry.path: entry for entry in await asyncio.to_thread(list_files, self._roots, wish)}
        except (PathError, OSError) as fault:
            # A folder that is away for a while has lost no file.
            logger.warning("A folder cannot be watched.", trigger=trigger.id, folder=wish.folder, cause=str(fault))
            watch.is_pending = False
            return
        try:
            async with self._database.write.begin() as session:
                rows = await self._follow(session, trigger, entries, watch.digest, now_ms)
        except IntegrityError:
            # Another process saw the same file at the same moment.
            return
        watch.is_pending = await self._tell(trigger, wish, rows, now_ms)

    async def _follow(
        self, session: AsyncSession, trigger: Trigger, entries: Mapping[str, Entry], digest: str, now_ms: int
    ) -> list[WatchedFileRow]:
        """Writes down what has changed since the last look. Those of whom something is to be told."""
        folder = await session.get(WatchedFolderRow, trigger.id, with_for_update=True)
        if folder is None or folder.digest != digest:
            await self._begin(session, trigger, folder, entries, digest)
        found = await session.scalars(select(WatchedFileRow).where(WatchedFileRow.trigger_id == trigger.id))
        rows = {row.path: row for row in found}
        for path, entry in entries.items():
            row = rows.get(path)
            if row is None:
                row = rows[path] = make_row(trigger.id, entry, "created", now_ms)
                session.add(row)
            elif (row.size, row.modified_at) != (entry.size_bytes, entry.modified_at_ms) or row.event == "deleted":
                # One that was away for a moment is a new one.
                row.event = "created" if row.event in {"created", "deleted"} else "changed"
                row.size, row.modified_at, row.changed_at = entry.size_bytes, entry.modified_at_ms, now_ms
        for path in [path for path, row in rows.items() if path not in entries and row.event != "deleted"]:
            row = rows[path]
            if row.event == "created":
                # It went before anybody was told that it came.
                await session.delete(rows.pop(path))
            else:
                row.event, row.changed_at = "deleted", now_ms
        await session.flush()
        return [row for row in rows.values() if row.event]

    async def _begin(
        self, session: AsyncSession, trigger: Trigger, folder: WatchedFolderRow | None, entries: Mapping[str, Entry], digest: str
    ) -> None:
        """What lay in the folder before it was watched starts no run; what came since the trigger is there does."""
        await session.execute(delete(WatchedFileRow).where(WatchedFileRow.trigger_id == trigger.id))
        for entry in entries.values():
            if entry.modified_at_ms < trigger.updated_at_ms:
                session.add(make_row(trigger.id, entry, "", trigger.updated_at_ms))
        if folder is None:
            session.add(WatchedFolderRow(trigger_id=trigger.id, digest=digest))
        else:
            folder.digest = digest
        await session.flush()

    async def _tell(self, trigger: Trigger, wish: FileWish, rows: Sequence[WatchedFileRow], now_ms: int) -> bool:
        """Starts the runs of files that stand still. Whether any is left for later."""
        is_pending = False
        for row in sorted(rows, key=lambda row: (row.changed_at, row.path)):
            is_quiet = not 0 <= now_ms - row.changed_at < wish.quiet_ms
            if is_quiet and (row.event not in wish.events or await self._start(trigger, wish, row)):
                await self._settle(row)
            else:
                is_pending = True
        return is_pending

    async def _start(self, trigger: Trigger, wish: FileWish, row: WatchedFileRow) -> bool:
        """Whether the file is done with; False: it is tried again."""
        name = row.path.rpartition("/")[2]
        file: JsonObject = {"root": wish.root, "path": row.path, "name": name}
        if row.event != "deleted":
            file |= {"size": row.size, "modified_at": format_timestamp_ms(row.modified_at)}
        data: JsonObject = {"path": row.path, "event": row.event, "file": file}
        dedup = f"file:{trigger.id}:{row.path_digest}:{row.event}:{row.changed_at}"
        try:
            await self._firing.fire(Occurrence(trigger, data, self._clock.now_ms(), dedup=dedup))
        except StorageError:
            raise
        except DependencyError as fault:
            logger.warning("A file started no run yet; it is tried again.", trigger=trigger.id, cause=fault.message)
            return False
        except RequestError as fault:
            logger.warning("A file was refused by its workflow.", trigger=trigger.id, path=row.path, cause=fault.message)
        return True

    async def _settle(self, row: WatchedFileRow) -> None:
        """Nothing more is to be told of the file, unless it has changed meanwhile."""
        same = (
            WatchedFileRow.trigger_id == row.trigger_id,
            WatchedFileRow.path_digest == row.path_digest,
            WatchedFileRow.changed_at == row.changed_at,
            WatchedFileRow.event == row.event,
        )
        async with self._database.write.begin() as session:
            if row.event == "deleted":
                await session.execute(delete(WatchedFileRow).where(*same))
            else:
                await session.execute(update(WatchedFileRow).where(*same).values(event=""))


def make_row(trigger_id: str, entry: Entry, event: str, at_ms: int) -> WatchedFileRow:
    """A file that is seen for the first time."""
    return WatchedFileRow(
        trigger_id=trigger_id,
        path_digest=hashlib.sha256(entry.path.encode(errors="surrogateescape")).hexdigest(),
        path=entry.path,
        size=entry.size_bytes,
        modified_at=entry.modified_at_ms,
        changed_at=at_ms,
        event=event,
    )
