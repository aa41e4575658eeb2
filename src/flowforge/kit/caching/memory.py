"""The cache of one process."""

import hashlib
from collections import OrderedDict
from typing import Final

from flowforge.kit.clock import Clock

SIZE_MAX_BYTES: Final = 16 * 2**20


class MemoryCache:
    """For one event loop. Beyond `most_bytes` the values that were not asked for the longest go first."""

    def __init__(self, clock: Clock, *, most_bytes: int = SIZE_MAX_BYTES) -> None:
        self._clock = clock
        self._most_bytes = most_bytes
        self._size_bytes = 0
        self._kept: OrderedDict[bytes, tuple[int, bytes]] = OrderedDict()

    async def find(self, key: bytes) -> bytes | None:
        """The value that was kept under this key, as long as its time lasts."""
        name = _digest(key)
        found = self._kept.get(name)
        if found is None:
            return None
        until_ms, value = found
        if until_ms <= self._clock.now_ms():
            self._drop(name)
            return None
        self._kept.move_to_end(name)
        return value

    async def keep(self, key: bytes, value: bytes, keep_ms: int) -> None:
        """Keeps the value for that long, in place of an earlier one."""
        name = _digest(key)
        self._drop(name)
        self._kept[name] = (self._clock.now_ms() + keep_ms, value)
        self._size_bytes += len(value)
        while self._size_bytes > self._most_bytes:
            self._drop(next(iter(self._kept)))

    def _drop(self, name: bytes) -> None:
        found = self._kept.pop(name, None)
        if found is not None:
            self._size_bytes -= len(found[1])


def _digest(key: bytes) -> bytes:
    """Keys may hold secrets, and are long."""
    return hashlib.blake2b(key, digest_size=32).digest()
