"""The asynchronous MySQL driver, mended in two places. It is pinned to one minor version, because its inside is used.

aiomysql 0.3 escapes bytes with a function that PyMySQL has taken away since, and leaves a dead peer unnoticed for hours.
"""

import socket
from typing import Any, Final, cast

from aiomysql.connection import Connection
from pymysql.converters import escape_string

_KEEPALIVE: Final = (
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000),
)


class MendedConnection(Connection):
    """As aiomysql's, with bytes, and with a dead peer noticed within 30 seconds."""

    def escape(self, value: Any) -> str:  # pyright: ignore[reportIncompatibleMethodOverride] (it is called by position)
        if isinstance(value, bytes | bytearray):
            return f"_binary'{escape_string(value.decode('ascii', 'surrogateescape'))}'"
        return super().escape(value)  # pyright: ignore[reportUnknownMemberType]

    def _set_keep_alive(self) -> None:
        super()._set_keep_alive()
        transport: Any = cast("Any", self._writer).transport
        for level, option, value in _KEEPALIVE:
            transport.get_extra_info("socket").setsockopt(level, option, value)

    async def open(self) -> "MendedConnection":
        """Itself, connected."""
        await self._connect()
        return self


async def connect_async(**arguments: Any) -> MendedConnection:
    """A connection; `arguments` as of `aiomysql.connect`."""
    return await MendedConnection(**arguments).open()
