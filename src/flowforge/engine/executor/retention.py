"""Retention: finished runs go when their time is over, and the values that only they named in the object store; old log lines, too."""

import asyncio
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final, ParamSpec, Protocol, TypeVar

from flowforge.engine.queueing import LOGS_PRUNED_MAX
from flowforge.engine.store import Store
from flowforge.kit.errors import StorageError
from flowforge.kit.objects import ObjectStore
from flowforge.kit.telemetry.logs import get_logger

_PRUNE_MAX: Final = 200
_PRUNE_EVERY_MS: Final = 600_000
_ORPHAN_AGE_MS: Final = 3_600_000
_ORPHANS_EVERY_MS: Final = 1_800_000
_LOOKED_UP_MAX: Final = 1_000

logger = get_logger("engine.retention")


P = ParamSpec("P")
R = TypeVar("R")


class KeeperCalls(Protocol):
    """How the store is called: in the writer thread of an engine, or in any other."""

    @property
    def is_stalled(self) -> bool: ...
    async def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R: ...


class KeeperSettings(Protocol):
    @property
    def keep_runs_ms(self) -> int | None: ...
    @property
    def keep_logs_ms(self) -> int | None: ...


class KeeperParts(Protocol):
    @property
    def objects(self) -> ObjectStore: ...


class Keeper(Protocol):
    """Who keeps house: an engine that is alone, or the scheduler of a cluster."""

    @property
    def store(self) -> Store: ...
    @property
    def committer(self) -> KeeperCalls: ...
    @property
    def settings(self) -> KeeperSettings: ...
    @property
    def parts(self) -> KeeperParts: ...


class Retention:
    """Looks now and then. Rows first, then objects: a crash in between leaves an object without a name, never a name without an object."""

    def __init__(self, engine: Keeper) -> None:
        self._engine = engine
        self._next_prune_ms = 0
        self._next_orphans_ms = 0

    async def look(self, now_ms: int) -> None:
        """Does what is due at that time, a batch of it at most.

        Raises:
            StorageError: the database or the object store cannot be used now.
        """
        if now_ms >= self._next_prune_ms:
            await self._prune(now_ms)
        # While commits wait there may be values whose names are on their way.
        if now_ms >= self._next_orphans_ms and not self._engine.committer.is_stalled:
            self._next_orphans_ms = now_ms + _ORPHANS_EVERY_MS
            await self._sweep_orphans(now_ms - _ORPHAN_AGE_MS)

    async def _prune(self, now_ms: int) -> None:
        engine, settings = self._engine, self._engine.settings
        if settings.keep_runs_ms is None and settings.keep_logs_ms is None:
            return
        before_ms, logs_before_ms = (
            0 if kept is None else now_ms - kept for kept in (settings.keep_runs_ms, settings.keep_logs_ms)
        )
        pruned = await engine.committer.call(engine.store.prune, before_ms, _PRUNE_MAX, logs_before_ms)
        if len(pruned.runs) < _PRUNE_MAX and pruned.logs < LOGS_PRUNED_MAX:
            self._next_prune_ms = now_ms + _PRUNE_EVERY_MS
        await self._delete(pruned.blobs)

    async def _sweep_orphans(self, stored_before_ms: int) -> None:
        """What a crash left behind: between storing a value and its row, or between dropping a row and its value; half-written ones."""
        engine = self._engine
        old = engine.parts.objects.list_values(stored_before_ms=stored_before_ms)
        found = 0
        while ids := await asyncio.to_thread(lambda: [each.id for each in islice(old, _LOOKED_UP_MAX)]):
            orphans = await engine.committer.call(engine.store.find_unnamed, ids)
            await self._delete(orphans)
            found += len(orphans)
        await asyncio.to_thread(engine.parts.objects.sweep_staging, stored_before_ms=stored_before_ms)
        if found:
            logger.info("Values that no run names were deleted.", values=found)

    async def _delete(self, blobs: Iterable[str]) -> None:
        try:
            await asyncio.to_thread(_delete_all, self._engine.parts.objects, [*blobs])
        except StorageError as fault:
            logger.warning("Values of pruned runs could not be deleted; a later sweep does it.", cause=fault.message)


def _delete_all(objects: ObjectStore, blobs: list[str]) -> None:
    for blob in blobs:
        objects.delete(blob)
