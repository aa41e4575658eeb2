"""What is remembered of requests: counted at once, written down once a second for all of them together."""

from collections import deque
from dataclasses import dataclass, field
from itertools import count
from typing import Final, Protocol

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.engine.tables import outbox
from flowforge.kit.border import encode
from flowforge.kit.database.session import Sessions
from flowforge.kit.errors import StorageError
from flowforge.kit.values import JsonObject
from flowforge.triggers import event_rows, repository
from flowforge.triggers.types import RequestRecord

REQUESTS_KEPT: Final = 100
_EVENTS_MAX: Final = 50_000
"""Events for the outside that wait to be written; beyond it, while the database is away, they are dropped."""


class OnFired(Protocol):
    """Told of each request to a trigger, by the trigger's kind."""

    def __call__(self, kind: str, *, is_successful: bool) -> None: ...


def _ignore(kind: str, *, is_successful: bool) -> None:
    """Nobody counts."""
    del kind, is_successful


@dataclass(slots=True)
class _Heap:
    """What came for one trigger since the last writing."""

    workspace_id: str
    successful: int = 0
    failed: int = 0
    last_fired_at: int | None = None
    last: deque[RequestRecord] = field(default_factory=lambda: deque[RequestRecord](maxlen=REQUESTS_KEPT))

    def add(self, record: RequestRecord) -> None:
        if record.is_successful:
            self.successful += 1
            self.last_fired_at = record.at_ms
        else:
            self.failed += 1
        self.last.append(record)

    def put_back(self, earlier: "_Heap") -> None:
        self.successful += earlier.successful
        self.failed += earlier.failed
        self.last_fired_at = self.last_fired_at or earlier.last_fired_at
        self.last = deque([*earlier.last, *self.last], maxlen=REQUESTS_KEPT)


class Recorder:
    """Keeps figures and the last requests of triggers. `run_once` writes them; its process runs that every second, and at its end.

    What a process that dies has not written is missing from figures and lists; the runs themselves are not. `tells_outside`: whether
    `trigger.fired` and `trigger.failed` go into the outbox. `on_fired`: counts for the metrics.
    """

    def __init__(self, sessions: Sessions, *, tells_outside: bool = False, on_fired: OnFired = _ignore) -> None:
        self.on_fired = on_fired
        self._sessions = sessions
        self._tells_outside = tells_outside
        self._heaps: dict[str, _Heap] = {}
        self._events: list[RequestRecord] = []
        self._numbers = count(1)

    def add(self, record: RequestRecord) -> None:
        """Remembers a request."""
        heap = self._heaps.get(record.trigger_id)
        if heap is None:
            heap = self._heaps[record.trigger_id] = _Heap(record.workspace_id)
        heap.add(record)
        if self._tells_outside and len(self._events) < _EVENTS_MAX:
            self._events.append(record)

    async def run_once(self) -> None:
        """Writes down what came since the last time.

        Raises:
            StorageError: the database cannot be used now; nothing is lost, the next time writes it.
        """
        heaps, events = self._heaps, self._events
        if not heaps:
            return
        self._heaps, self._events = {}, []
        try:
            async with self._sessions.begin() as session:
                # In one order everywhere: two processes that write at once then never wait for each other in a circle.
                for trigger_id, heap in sorted(heaps.items()):
                    await _write(session, trigger_id, heap)
                await self._tell(session, events)
        except StorageError:
            self._put_back(heaps, events)
            raise

    def _put_back(self, heaps: dict[str, _Heap], events: list[RequestRecord]) -> None:
        for trigger_id, heap in heaps.items():
            self._heaps.setdefault(trigger_id, _Heap(heap.workspace_id)).put_back(heap)
        self._events = [*events, *self._events][:_EVENTS_MAX]

    async def _tell(self, session: AsyncSession, records: list[RequestRecord]) -> None:
        if records:
            await session.execute(insert(outbox), [self._describe(record) for record in records])

    def _describe(self, record: RequestRecord) -> dict[str, object]:
        data: JsonObject = {"trigger_id": record.trigger_id, "run_id": record.run_id}
        if record.error is not None:
            data["error"] = record.error
        seq = record.at_ms * 1_000 + next(self._numbers) % 1_000
        payload: JsonObject = {"seq": seq, "actor": f"trigger:{record.trigger_id}", "data": data}
        return {
            "workspace_id": record.workspace_id,
            "aggregate_type": "trigger",
            "aggregate_id": record.trigger_id,
            "event_type": "trigger.fired" if record.is_successful else "trigger.failed",
            "payload": encode(payload).decode(),
            "created_at": record.at_ms,
            "due_at": record.at_ms,
            "attempts": 0,
        }


async def _write(session: AsyncSession, trigger_id: str, heap: _Heap) -> None:
    await repository.add_to_figures(
        session,
        heap.workspace_id,
        trigger_id,
        successful=heap.successful,
        failed=heap.failed,
        last_fired_at=heap.last_fired_at,
    )
    await event_rows.add_requests(session, list(heap.last))
    await event_rows.drop_old_requests(session, heap.workspace_id, trigger_id, REQUESTS_KEPT)
