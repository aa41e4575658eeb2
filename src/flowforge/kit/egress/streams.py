"""An answer that is read piece by piece."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from flowforge.kit.egress.decoding import BodyDecoder
from flowforge.kit.egress.errors import EgressError, EgressFault


class Body:
    """A body as it comes and is decoded. With `idle_ms`, each piece must come within that time of being asked for."""

    def __init__(self, pieces: AsyncGenerator[bytes] | None, decoder: BodyDecoder, idle_ms: int | None = None) -> None:
        self._pieces = pieces
        self._decoder = decoder
        self._idle_s = None if idle_ms is None else idle_ms / 1000
        self.error: EgressError | None = None
        """What ended it too early."""

    async def iterate(self) -> AsyncGenerator[bytes]:
        """Raises EgressError: `response_too_large`, `response_invalid`, `connection_failed`, `tls`, `http_timeout`."""
        try:
            while (piece := await self._read_piece()) is not None:
                for decoded in self._decoder.feed(piece):
                    yield decoded
            self._decoder.finish()
        except EgressError as error:
            self.error = error
            raise

    async def _read_piece(self) -> bytes | None:
        if self._pieces is None:
            return None
        try:
            async with asyncio.timeout(self._idle_s):
                return await anext(self._pieces, None)
        except TimeoutError:
            raise EgressError(
                EgressFault.TIMEOUT, f"The server sent nothing more for {self._idle_s} s; raise LIMIT_HTTP_IDLE if it may."
            ) from None

    async def aclose(self) -> None:
        if self._pieces is not None:
            await self._pieces.aclose()


class EgressStream:
    """An answer whose body is still to come. Header names are lower-case, repeated ones joined by `, `; `url` answered in the end.

    `retry_after_ms` is as in `EgressResponse`, `http_version` what is spoken. The body is decoded, and can be read once; what is left
    unread is never fetched.
    """

    def __init__(
        self, status: int, headers: dict[str, str], url: str, body: Body, *, retry_after_ms: int | None, http_version: str
    ) -> None:
        self.status = status
        self.headers = headers
        self.url = url
        self.retry_after_ms = retry_after_ms
        self.http_version = http_version
        self._pieces = body.iterate()
        self._read_ahead = b""

    async def read(self, max_bytes: int) -> bytes:
        """The next `max_bytes` of the body; fewer only where it ends. Raises as `iterate`."""
        collected = bytearray(self._read_ahead)
        while len(collected) < max_bytes:
            piece = await anext(self._pieces, None)
            if piece is None:
                break
            collected += piece
        self._read_ahead = bytes(collected[max_bytes:])
        return bytes(collected[:max_bytes])

    async def iterate(self) -> AsyncIterator[bytes]:
        """The rest of the body, in pieces as they come.

        Raises:
            EgressError: `response_too_large` (above the `max_bytes` of the call), `http_timeout` (nothing
                came for LIMIT_HTTP_IDLE), `connection_failed`, `tls`, `response_invalid`.
        """
        if self._read_ahead:
            piece, self._read_ahead = self._read_ahead, b""
            yield piece
        async for piece in self._pieces:
            yield piece

    async def aclose(self) -> None:
        """Called for you at the end of `async with client.stream(…)`."""
        await self._pieces.aclose()
