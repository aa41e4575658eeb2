"""Which version a start takes, remembered for a second: publishing in this process is seen at once, elsewhere within that second."""

import asyncio
from dataclasses import dataclass
from typing import Final

from flowforge.engine.events import PinnedVersion
from flowforge.engine.ports import Versions
from flowforge.kit.clock import Clock
from flowforge.kit.errors import FlowForgeError
from flowforge.web.frame import App, Message, Receive, Scope, Send

FRESH_S: Final = 1.0
_REFRESH_S: Final = 0.5
"""What is asked for often is looked up anew before it is too old, so that nobody waits for it."""
_KEPT_MAX: Final = 10_000
_CHANGING: Final = ("/api/v1/workflows", "/api/v1/workflow-sets", "/api/v1/projects", "/api/v1/import")

_Key = tuple[str, str, int | None]


@dataclass(slots=True)
class _Known:
    pinned: PinnedVersion
    at_s: float
    is_refreshing: bool = False


class PinnedVersions:
    """`engine.ports.Versions` with a memory."""

    def __init__(self, versions: Versions, clock: Clock) -> None:
        self._versions = versions
        self._clock = clock
        self._known: dict[_Key, _Known] = {}
        self._looking: dict[_Key, asyncio.Task[PinnedVersion]] = {}
        self._generation = 0

    async def resolve(self, workspace_id: str, name: str, version: int | None) -> PinnedVersion:
        key = (workspace_id, name, version)
        known, now_s = self._known.get(key), self._clock.monotonic_s()
        if known is None or now_s - known.at_s >= FRESH_S:
            return await self._look_once(key)
        if now_s - known.at_s >= _REFRESH_S and not known.is_refreshing:
            known.is_refreshing = True
            self._begin(key)
        return known.pinned

    def forget(self) -> None:
        """Something was published or taken back here: all is looked up anew."""
        self._generation += 1
        self._known.clear()
        self._looking.clear()

    async def _look_once(self, key: _Key) -> PinnedVersion:
        return await asyncio.shield(self._looking.get(key) or self._begin(key))

    def _begin(self, key: _Key) -> "asyncio.Task[PinnedVersion]":
        task = asyncio.get_running_loop().create_task(self._look(key))
        self._looking[key] = task
        task.add_done_callback(lambda done: self._end(key, done))
        return task

    def _end(self, key: _Key, done: "asyncio.Task[PinnedVersion]") -> None:
        if self._looking.get(key) is done:
            del self._looking[key]
        if not done.cancelled():
            done.exception()  # read here: nobody may be waiting for it, and who asks next is told

    async def _look(self, key: _Key) -> PinnedVersion:
        generation, at_s = self._generation, self._clock.monotonic_s()
        try:
            pinned = await self._versions.resolve(*key)
        except FlowForgeError:
            if generation == self._generation:
                self._known.pop(key, None)
            raise
        if generation == self._generation:
            if len(self._known) >= _KEPT_MAX:
                self._known.clear()
            self._known[key] = _Known(pinned, at_s)
        return pinned


class NoticeChanges:
    """A layer: after a request that may have changed which version is taken, what is remembered is forgotten before the answer is sent."""

    def __init__(self, app: App, versions: PinnedVersions) -> None:
        self._app = app
        self._versions = versions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD"} or not scope["path"].startswith(_CHANGING):
            await self._app(scope, receive, send)
            return

        async def send_after(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._versions.forget()
            await send(message)

        await self._app(scope, receive, send_after)
