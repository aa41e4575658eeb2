"""The time that a call may take."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from flowforge.kit.egress.errors import EgressError, EgressFault


class TimeAllowance:
    """So much time, of which only what passes while it is `running` is used up: waiting for a place with a host is not."""

    def __init__(self, total_ms: int) -> None:
        self._total_ms = total_ms
        self._left_s = total_ms / 1000
        self._timer: asyncio.Timeout | None = None

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Raises EgressError `http_timeout` when the time is used up."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._left_s) as self._timer:
                yield
        except TimeoutError:
            raise EgressError(
                EgressFault.TIMEOUT,
                f"No complete answer came within {self._total_ms} ms; ask for less, or raise LIMIT_HTTP_TOTAL.",
            ) from None
        finally:
            ends_s = self._timer.when() if self._timer is not None else None
            self._left_s = 0.0 if ends_s is None else ends_s - loop.time()
            self._timer = None

    def renew(self, duration_ms: int) -> None:
        """From now on, `duration_ms` are left; for what is sent piece by piece, and takes as long as it takes."""
        if self._timer is not None and not self._timer.expired():
            self._timer.reschedule(asyncio.get_running_loop().time() + duration_ms / 1000)
