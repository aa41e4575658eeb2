"""Who asks for too many paths that are not there, or sends too many signatures that are wrong, is heard no more for a while.

Also not at a path that is there: else the difference would tell it.
"""

from collections import OrderedDict
from typing import Final

from flowforge.kit.clock import Clock
from flowforge.web.errors import RateLimitedError
from flowforge.web.rates import Rates

_BLOCKED_MAX: Final = 10_000


class Guesses:
    """Counts misses by address, with the limit of requests without a credential."""

    def __init__(self, rates: Rates, clock: Clock) -> None:
        self._rates = rates
        self._clock = clock
        self._until_s: OrderedDict[str, float] = OrderedDict()

    def refuse_blocked(self, address: str) -> None:
        """Raises RateLimitedError while the address is not heard."""
        until_s = self._until_s.get(address)
        if until_s is None:
            return
        left_s = until_s - self._clock.monotonic_s()
        if left_s > 0:
            raise RateLimitedError(max(1, round(left_s)))
        del self._until_s[address]

    async def count(self, address: str) -> None:
        """Counts a miss. Raises RateLimitedError where it is one too many."""
        try:
            await self._rates.count_stranger(address)
        except RateLimitedError as fault:
            self._until_s[address] = self._clock.monotonic_s() + fault.retry_after_s
            if len(self._until_s) > _BLOCKED_MAX:
                self._until_s.popitem(last=False)
            raise
