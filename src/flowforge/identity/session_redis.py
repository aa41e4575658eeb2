"""What browsers' sessions hold, in the Redis of a cluster: sealed, and gone by itself once a session was idle for too long."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from flowforge.identity.models_accounts import SessionRow
from flowforge.identity.session_contents import ELSEWHERE, DatabaseContents, Kept, is_in_row
from flowforge.kit.bus.redis_connection import RedisClients
from flowforge.kit.errors import StorageError
from flowforge.kit.keyring import Sealed

_PREFIX: Final = "flowforge:session:"
_TOUCH: Final = """
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HSET', KEYS[1], 'used_at', ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
"""
"""A session that is gone must not come back by being used."""


class SessionStoreError(StorageError):
    """Redis, where sessions are kept, does not answer (503)."""

    def __init__(self, place: str, cause: str) -> None:
        super().__init__(
            f"The Redis at {place}, where sessions are kept, does not answer: {cause}; nobody can sign in until it does."
        )


class RedisContents:
    """`inner`: for sessions whose rows hold their content."""

    def __init__(self, clients: RedisClients, inner: DatabaseContents, *, idle_ms: int) -> None:
        self._clients = clients
        self._inner = inner
        self._idle_ms = idle_ms

    async def keep(self, digest: str, sealed: Sealed, now_ms: int) -> Sealed:
        held: dict[str, str | bytes | int] = {"key_id": sealed.key_id, "sealed": sealed.data, "used_at": now_ms}

        async def store(client: Any) -> None:
            async with client.pipeline(transaction=True) as pipe:
                pipe.hset(_PREFIX + digest, mapping=held)
                pipe.pexpire(_PREFIX + digest, self._idle_ms)
                await pipe.execute()

        await self._ask(store)
        return ELSEWHERE

    async def drop(self, digest: str) -> None:
        await self._ask(lambda client: client.delete(_PREFIX + digest))

    async def find(self, rows: Sequence[SessionRow]) -> Mapping[str, Kept]:
        found = dict(await self._inner.find(rows))
        asked = [row.digest for row in rows if not is_in_row(row)]
        if not asked:
            return found

        async def read(client: Any) -> list[dict[bytes, bytes]]:
            async with client.pipeline(transaction=False) as pipe:
                for digest in asked:
                    pipe.hgetall(_PREFIX + digest)
                return await pipe.execute()

        for digest, held in zip(asked, await self._ask(read), strict=True):
            if held:
                found[digest] = Kept(Sealed(held[b"key_id"].decode(), held[b"sealed"]), int(held[b"used_at"]))
        return found

    async def touch(self, row: SessionRow, now_ms: int) -> None:
        if is_in_row(row):
            await self._inner.touch(row, now_ms)
        else:
            await self._ask(lambda client: client.eval(_TOUCH, 1, _PREFIX + row.digest, now_ms, self._idle_ms))

    async def _ask(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        """Once more where the connection was lost: that it was is seen at its next use only, also when Redis has long been back."""
        try:
            try:
                return await work(self._clients.current)
            except RedisConnectionError:
                return await work(self._clients.current)
        except RedisError as fault:
            raise SessionStoreError(self._clients.place, (str(fault).splitlines() or [type(fault).__name__])[0]) from fault
