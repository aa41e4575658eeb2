"""Bodies that are read piece by piece: into memory, into the object store, below a file root."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from flowforge.kit.egress import EgressError, EgressFault, EgressResponse, EgressStream
from flowforge.kit.limits import Limits
from flowforge.kit.objects import FileValue, ObjectWriter
from flowforge.kit.paths import RootWriter
from flowforge.operations import OperationContext
from flowforge.steps.file.access import run_blocking
from flowforge.steps.http.answers import ERROR_BODY_BYTES
from flowforge.steps.http.header_values import find_file_name
from flowforge.steps.stored import create_stored

_BLOCK_BYTES: Final = 2**20
"""What is gathered before a thread is asked to write it."""


class FileSink:
    """A file that is being written. Leaving the block of `open_sink` without `commit` leaves nothing behind."""

    def __init__(self, writer: ObjectWriter | RootWriter) -> None:
        self._writer = writer
        self._block = bytearray()
        self._digest = hashlib.sha256()
        self.size_bytes = 0
        """What was given to `write`."""

    async def write(self, data: bytes) -> None:
        """Raises FatalError, RetryableError: as `run_blocking`."""
        self._block += data
        self.size_bytes += len(data)
        if len(self._block) >= _BLOCK_BYTES:
            await self.flush()

    async def flush(self) -> None:
        block, self._block = bytes(self._block), bytearray()

        def work() -> None:
            self._writer.write(block)
            self._digest.update(block)

        await run_blocking(work)

    async def finish(self) -> str:
        """Writes what is left; the SHA-256 of the whole, in hexadecimal."""
        await self.flush()
        return self._digest.hexdigest()

    async def commit(self) -> FileValue | None:
        """Puts the file in its place; the file value, for one of the object store."""
        return await run_blocking(self._writer.commit)


@asynccontextmanager
async def open_sink(make_writer: Callable[[], ObjectWriter | RootWriter]) -> AsyncGenerator[FileSink]:
    """Raises FatalError, RetryableError: as `run_blocking`."""
    writer = await run_blocking(lambda: make_writer().__enter__())
    try:
        yield FileSink(writer)
    finally:
        await asyncio.to_thread(lambda: writer.__exit__(None, None, None))


async def read_all(stream: EgressStream, limits: Limits) -> EgressResponse:
    """The answer with its whole body.

    Raises:
        EgressError: `http_timeout`: the body took longer than LIMIT_HTTP_TOTAL; a stream alone knows only how long it may stand still.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(limits.http_total_ms / 1000):
            async for piece in stream.iterate():
                body += piece
    except TimeoutError:
        message = f"The answer's body was not complete after {limits.http_total_ms} ms; raise LIMIT_HTTP_TOTAL if it may."
        raise EgressError(EgressFault.TIMEOUT, message) from None
    return _make_response(stream, body)


async def read_beginning(stream: EgressStream, limits: Limits) -> EgressResponse:
    """The answer with as much of its body as an error shows, and as comes within LIMIT_HTTP_TOTAL; the rest is not fetched."""
    body = bytearray()
    with suppress(TimeoutError):  # what counts is the status
        await asyncio.wait_for(_gather_beginning(stream, body), limits.http_total_ms / 1000)
    return _make_response(stream, body)


async def _gather_beginning(stream: EgressStream, body: bytearray) -> None:
    async for piece in stream.iterate():
        body += piece
        if len(body) > ERROR_BODY_BYTES:
            return


def _make_response(stream: EgressStream, body: bytearray) -> EgressResponse:
    return EgressResponse(stream.status, stream.headers, bytes(body), stream.url, stream.retry_after_ms)


async def store_body(stream: EgressStream, context: OperationContext) -> FileValue:
    """The body as a file of the object store, under the name that the server gives it."""
    name = find_file_name(stream.headers.get("content-disposition"), stream.url)
    media_type = stream.headers.get("content-type", "application/octet-stream")
    async with open_sink(lambda: create_stored(context, name=name, media_type=media_type)) as sink:
        async for piece in stream.iterate():
            await sink.write(piece)
        await sink.finish()
        stored = await sink.commit()
    assert stored is not None
    return stored
