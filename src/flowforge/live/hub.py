"""What all live streams of one process share."""

import asyncio
from dataclasses import dataclass, field

from flowforge.cluster.outbox import MissedEvents
from flowforge.kit.bus import Bus
from flowforge.live.admission import Admissions
from flowforge.live.feeds import RunFeeds
from flowforge.web.calls import Parts


@dataclass(frozen=True, slots=True)
class LiveHub:
    """Wired under this class. `closing` is set when the process ends: then all streams end."""

    feeds: RunFeeds
    bus: Bus
    missed: MissedEvents
    admissions: Admissions
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    async def close(self) -> None:
        self.closing.set()
        await self.feeds.close()


def find_hub(parts: Parts) -> LiveHub:
    return parts.port(LiveHub)
