"""Values that are kept for a while: in this process (`memory`), or in a Redis for many (`in_redis`). Losing one costs time only."""

from flowforge.kit.caching.memory import MemoryCache

__all__ = ["MemoryCache"]
