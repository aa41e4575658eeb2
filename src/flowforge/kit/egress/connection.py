"""What a connection does, whichever HTTP it speaks, and the connections that wait for another exchange."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final, Protocol

from flowforge.kit.egress.http1 import IDLE_MAX_S, Http1Connection
from flowforge.kit.egress.messages import Headers
from flowforge.kit.egress.network import Dialer
from flowforge.kit.egress.tls import TlsWishes
from flowforge.kit.egress.urls import Target

IDLE_PER_ORIGIN_MAX: Final = 16

RawHeaders = list[tuple[bytes, bytes]]
_Key = tuple[str, str, int, str]


class Connection(Protocol):
    """A connection to one origin. One exchange at a time."""

    http_version: str

    async def send(
        self, method: str, target: Target, headers: Headers, body: AsyncIterator[bytes] | bytes | None
    ) -> tuple[int, RawHeaders]:
        """Sends the request and reads the answer's status and headers.

        Raises:
            EgressError: `response_invalid`, `connection_failed`, `tls`.
        """
        ...

    def iterate(self) -> AsyncGenerator[bytes]:
        """The body as it comes, not decoded. Raises as `send`."""
        ...

    def has_expired(self) -> bool:
        """Whether it is known, without asking the network, to be of no more use."""
        ...

    async def can_be_used_again(self) -> bool:
        """Whether the last exchange is complete, and the server has not taken its leave since."""
        ...

    async def aclose(self) -> None: ...


class Connections:
    """Opens connections, and keeps those that can be used again for a moment, apart by origin and by what was wished of TLS."""

    def __init__(self, dialer: Dialer) -> None:
        self._dialer = dialer
        self._idle: dict[_Key, list[Connection]] = {}

    async def take(self, target: Target, wishes: TlsWishes) -> Connection:
        """A connection to the target, whose address was judged by the policy when it was opened. Raises as `Dialer.open`."""
        idle = self._idle.get(_make_key(target, wishes), [])
        while idle:
            connection = idle.pop()
            if await connection.can_be_used_again():
                return connection
            await connection.aclose()
        await self._close_stale()
        stream = await self._dialer.open(target, wishes)
        if not stream.chose_http2:
            return Http1Connection(target, stream, self._dialer.proxy if target.scheme == "http" else None)
        # Start-up cost: the library takes 30 ms to import, and few servers are asked for HTTP/2.
        from flowforge.kit.egress.http2 import Http2Connection

        return Http2Connection(stream, IDLE_MAX_S)

    async def give_back(self, target: Target, wishes: TlsWishes, connection: Connection) -> None:
        is_usable = await connection.can_be_used_again()
        idle = self._idle.setdefault(_make_key(target, wishes), [])
        if is_usable and len(idle) < IDLE_PER_ORIGIN_MAX:
            idle.append(connection)
        else:
            await connection.aclose()

    async def aclose(self) -> None:
        waiting = [connection for idle in self._idle.values() for connection in idle]
        self._idle.clear()
        for connection in waiting:
            await connection.aclose()

    async def _close_stale(self) -> None:
        """Lets go of what no request came back for, to this host or to others."""
        stale = [connection for idle in self._idle.values() for connection in idle if connection.has_expired()]
        fresh = {key: [connection for connection in idle if not connection.has_expired()] for key, idle in self._idle.items()}
        self._idle = {key: idle for key, idle in fresh.items() if idle}
        for connection in stale:
            await connection.aclose()


def _make_key(target: Target, wishes: TlsWishes) -> _Key:
    return *target.origin, wishes.key if target.scheme == "https" else ""
