"""Both caches: what is kept is found for its time, and a Redis that is away costs nothing but what it would have saved."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import uuid4

from tests.support.brokers import redis_url
from tests.support.clock import ManualClock

from flowforge.kit.bus.redis_connection import RedisClients
from flowforge.kit.bus.redis_urls import parse_redis_url
from flowforge.kit.caching import MemoryCache
from flowforge.kit.caching.in_redis import RedisCache
from flowforge.kit.clock import SystemClock


@asynccontextmanager
async def open_redis_cache(url: str, secret: bytes = b"k" * 32, prefix: str = "") -> AsyncGenerator[RedisCache]:
    cache = RedisCache(RedisClients(parse_redis_url(url)), secret, SystemClock(), prefix=prefix or f"test-{uuid4().hex[:8]}:")
    yield cache
    await cache.aclose()


async def test_a_value_is_kept_for_its_time_in_this_process():
    clock = ManualClock()
    cache = MemoryCache(clock)
    await cache.keep(b"a", b"1", 1_000)
    await cache.keep(b"a", b"2", 500)
    clock.advance(499)
    assert await cache.find(b"a") == b"2"
    clock.advance(1)
    assert (await cache.find(b"a"), await cache.find(b"b")) == (None, None)


async def test_what_was_not_asked_for_the_longest_makes_room():
    cache = MemoryCache(ManualClock(), most_bytes=10)
    await cache.keep(b"a", b"4444", 1_000)
    await cache.keep(b"b", b"4444", 1_000)
    assert await cache.find(b"a") is not None
    await cache.keep(b"c", b"4444", 1_000)
    assert [await cache.find(key) is not None for key in (b"a", b"b", b"c")] == [True, False, True]
    await cache.keep(b"large", b"x" * 11, 1_000)
    assert await cache.find(b"large") is None


async def test_a_value_is_kept_in_redis_under_a_name_that_tells_nothing():
    prefix = f"test-{uuid4().hex[:8]}:"
    async with open_redis_cache(redis_url(), prefix=prefix) as cache, open_redis_cache(redis_url(), b"o" * 32, prefix) as other:
        await cache.keep(b"the token is s3cret", b"\x00value", 60_000)
        assert await cache.find(b"the token is s3cret") == b"\x00value"
        assert await other.find(b"the token is s3cret") is None
        await cache.keep(b"short", b"x", 1)
        while await cache.find(b"short") is not None:
            pass


async def test_a_redis_that_does_not_answer_is_left_alone_for_a_while():
    clock, connections = ManualClock(), 0

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        cache = RedisCache(RedisClients(parse_redis_url(f"redis://127.0.0.1:{port}/0")), b"k" * 32, clock)
        await cache.keep(b"a", b"1", 1_000)
        asked = connections
        assert (await cache.find(b"a"), connections) == (None, asked)
        clock.advance(10_000)
        assert await cache.find(b"a") is None
        assert connections > asked >= 1
        await cache.aclose()
