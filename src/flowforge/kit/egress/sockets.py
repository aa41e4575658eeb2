"""A socket, bounded, as the HTTP machines read and write it."""

import asyncio
import ssl
from typing import Any, Final

import httpcore2

from flowforge.kit.egress.errors import EgressError, EgressFault
from flowforge.kit.tls import describe_tls_failure

HEAD_MAX_BYTES: Final = 128 * 1024
"""What a server may send before its headers are complete, interim answers (1xx) included."""
_LOOK_AHEAD_BYTES: Final = 64 * 1024


class SocketStream(httpcore2.AsyncNetworkStream):
    """A socket, as the HTTP machines read and write it. The caller's deadline bounds every wait; `timeout` is not looked at."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._head_left_bytes: int | None = None
        self._ahead = b""
        self.has_ended = False

    def expect_head(self) -> None:
        """From here on at most HEAD_MAX_BYTES are taken, until `expect_body`."""
        self._head_left_bytes = HEAD_MAX_BYTES

    def expect_body(self) -> None:
        self._head_left_bytes = None

    async def look_ahead(self) -> bytes:
        """What the other side has said and nobody has read yet; does not wait for more. Raises EgressError as `read`."""
        if self._ahead or self.has_ended:
            return self._ahead
        try:
            async with asyncio.timeout(0):
                self._ahead = await self._receive(_LOOK_AHEAD_BYTES)
        except TimeoutError:
            return b""
        return self._ahead

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - the library's signature
        del timeout
        data, self._ahead = self._ahead or await self._receive(max_bytes), b""
        if self._head_left_bytes is not None:
            self._head_left_bytes -= len(data)
            if self._head_left_bytes < 0:
                raise EgressError(EgressFault.RESPONSE_INVALID, "The server sent too much before the headers were complete.")
        return data

    async def _receive(self, max_bytes: int) -> bytes:
        try:
            data = await self._reader.read(max_bytes)
        except ssl.SSLError as error:
            raise EgressError(EgressFault.TLS, f"The trusted connection broke: {describe_tls_failure(error)}.") from error
        except OSError as error:
            raise EgressError(
                EgressFault.CONNECTION_FAILED, f"The connection broke before the answer was complete ({error})."
            ) from error
        self.has_ended = not data
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the library's signature
        del timeout
        try:
            self._writer.write(buffer)
            await self._writer.drain()
        except OSError as error:
            # The HTTP machine then reads what the server had said before it closed.
            raise httpcore2.WriteError(str(error)) from error

    @property
    def chose_http2(self) -> bool:
        """Whether the server chose HTTP/2 when TLS was agreed on."""
        tls = self._writer.get_extra_info("ssl_object")
        return tls is not None and tls.selected_alpn_protocol() == "h2"

    async def aclose(self) -> None:
        self._writer.transport.abort()

    def get_extra_info(self, info: str) -> Any:
        return self.has_ended or self._reader.at_eof() if info == "is_readable" else None
