"""Bytes on their way out: from memory, from the object store, from a file root."""

import os
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, Final

from flowforge.kit.egress import BodySource
from flowforge.kit.objects import FileValue
from flowforge.kit.values import JsonObject
from flowforge.operations import OperationContext, RetryableError
from flowforge.steps.file.access import run_blocking
from flowforge.steps.stored import find_stored, open_stored

_READ_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class FilePiece:
    """A file as a part of a body. `size_bytes` is what lies on the disk: what a value says of its file may be anyone's word."""

    size_bytes: int
    open: Callable[[], BinaryIO]
    file: FileValue | None = None


Piece = bytes | FilePiece


def open_piece(context: OperationContext, value: JsonObject, field: str) -> FilePiece:
    """A file value as a piece. Blocks. Raises FatalError (`file_invalid`, `file_missing`), which names the field."""
    with open_stored(context, value, field) as stream:
        size_bytes = os.fstat(stream.fileno()).st_size
    return FilePiece(size_bytes, lambda: open_stored(context, value, field), find_stored(value, field))


def measure(pieces: Sequence[Piece]) -> int:
    """The bytes of all pieces."""
    return sum(len(piece) if isinstance(piece, bytes) else piece.size_bytes for piece in pieces)


def make_source(pieces: Sequence[Piece]) -> BodySource:
    """A body that is sent piece by piece, and can be sent again."""
    return BodySource(measure(pieces), lambda: _iterate(pieces))


def make_section(piece: FilePiece, start: int, size_bytes: int, tell: Callable[[int], None]) -> BodySource:
    """A part of a file as a body. `tell` gets the place in the file up to which it was read, again and again."""

    async def iterate() -> AsyncGenerator[bytes]:
        place = start
        async for data in _read_section(piece, start, size_bytes):
            yield data
            place += len(data)
            tell(place)

    return BodySource(size_bytes, iterate)


async def _iterate(pieces: Sequence[Piece]) -> AsyncGenerator[bytes]:
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
            continue
        async for data in _read_section(piece, 0, piece.size_bytes):
            yield data


async def _read_section(piece: FilePiece, start: int, size_bytes: int) -> AsyncGenerator[bytes]:
    file = await run_blocking(piece.open)
    try:
        if start:
            await run_blocking(lambda: file.seek(start))
        left_bytes = size_bytes
        while left_bytes:
            wanted_bytes = min(_READ_BYTES, left_bytes)
            data = await run_blocking(partial(file.read, wanted_bytes))
            if not data:
                raise RetryableError(
                    "The file became shorter while it was sent; write it anew, or wait until it is whole.", code="file_changed"
                )
            left_bytes -= len(data)
            yield data
    finally:
        file.close()
