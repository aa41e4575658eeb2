"""Starts of one process on a shared database: whatever came while the last commit was made goes into the next one."""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from flowforge.engine.errors import OverloadedError
from flowforge.engine.store import Store, Turn, TurnResult
from flowforge.kit.errors import StorageError
from flowforge.kit.telemetry.logs import get_logger

BATCH_MAX: Final = 256
BACKLOG_MAX: Final = 20_000
RETRY_AFTER_S: Final = 1
_TRIES: Final = 3
_PAUSE_S: Final = 0.2

logger = get_logger("server.starts")


@dataclass(frozen=True, slots=True)
class _Waiting:
    turn: Turn
    told: "asyncio.Future[TurnResult]"


class StartBatches:
    """For one event loop; the store is used in a thread of its own."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, "flowforge-starts")
        self._pause = threading.Event()
        self._waiting: list[_Waiting] = []
        self._is_committing = False

    async def submit(self, turn: Turn) -> TurnResult:
        """Returns when the turn is durable, or refused.

        Raises:
            StorageError: the database cannot be used; the turn may be stored all the same.
            OverloadedError: too many wait.
        """
        if len(self._waiting) >= BACKLOG_MAX:
            raise OverloadedError(len(self._waiting), RETRY_AFTER_S)
        told: asyncio.Future[TurnResult] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(turn, told))
        if not self._is_committing:
            self._is_committing = True
            asyncio.get_running_loop().call_soon(self._commit)
        return await told

    async def close(self) -> None:
        """What was handed in is stored first."""
        self._pause.set()
        await asyncio.to_thread(self._thread.shutdown)

    def _commit(self) -> None:
        batch, self._waiting = self._waiting[:BATCH_MAX], self._waiting[BATCH_MAX:]
        future = asyncio.get_running_loop().run_in_executor(self._thread, self._store_all, [item.turn for item in batch])
        future.add_done_callback(lambda done: self._finish(batch, done))

    def _finish(self, batch: list[_Waiting], done: "asyncio.Future[Sequence[TurnResult]]") -> None:
        fault = done.exception()
        for place, item in enumerate(batch):
            if item.told.done():
                continue  # whoever asked has gone
            if fault is None:
                item.told.set_result(done.result()[place])
            else:
                item.told.set_exception(fault)
        self._is_committing = bool(self._waiting)
        if self._is_committing:
            self._commit()

    def _store_all(self, turns: list[Turn]) -> Sequence[TurnResult]:
        """In the thread. The same turns may be committed again: what is stored already is not stored twice."""
        for tries_left in range(_TRIES - 1, 0, -1):
            try:
                return self._store.commit(turns)
            except StorageError as fault:
                logger.warning("Starts could not be stored; they are tried again.", cause=fault.message, tries_left=tries_left)
            self._pause.wait(_PAUSE_S)
        return self._store.commit(turns)
