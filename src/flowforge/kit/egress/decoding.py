"""Takes compressed bodies apart, a bounded piece at a time."""

import zlib
from collections.abc import Iterator
from typing import Final, Protocol

from flowforge.kit.egress.errors import EgressError, EgressFault

ENCODINGS_MAX: Final = 2
MEMBERS_MAX: Final = 1_000
_PIECE_BYTES: Final = 64 * 1024

ACCEPTED_ENCODINGS: Final = "gzip, deflate"


class _Inflater(Protocol):
    @property
    def unconsumed_tail(self) -> bytes: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def eof(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Layer:
    """One Content-Encoding. Yields at most `limit_bytes`, however much the compressed bytes would unfold to."""

    def __init__(self, encoding: str, limit_bytes: int) -> None:
        self._window = zlib.MAX_WBITS | 16 if encoding == "gzip" else zlib.MAX_WBITS
        self._inflater: _Inflater = zlib.decompressobj(self._window)
        self._left_bytes = limit_bytes
        self._members = 0
        self._seen_bytes = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._seen_bytes == 0 and data:
            self._choose_raw_deflate(data)
        self._seen_bytes += len(data)
        has_more = bool(data)
        while has_more:
            piece = self._inflater.decompress(data, _PIECE_BYTES)
            if piece:
                self._take(len(piece))
                yield piece
            data = self._begin_next_member() if self._inflater.eof else self._inflater.unconsumed_tail
            # A full piece may have left output behind in the inflater although it took all the input.
            has_more = bool(data) or (len(piece) == _PIECE_BYTES and not self._inflater.eof)

    def finish(self) -> None:
        if self._seen_bytes and not self._inflater.eof:
            raise EgressError(EgressFault.RESPONSE_INVALID, "The compressed body of the response ends too early.")

    def _choose_raw_deflate(self, data: bytes) -> None:
        # "deflate" should be a zlib stream (RFC 9110 8.4.1.2), but some servers send the bare one, which begins in another way.
        if self._window == zlib.MAX_WBITS and data[0] & 0x0F != zlib.DEFLATED:
            self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)

    def _take(self, size_bytes: int) -> None:
        self._left_bytes -= size_bytes
        if self._left_bytes < 0:
            raise too_large()

    def _begin_next_member(self) -> bytes:
        rest = self._inflater.unused_data.lstrip(b"\0")
        if not rest or not self._window & 16:
            return b""
        self._members += 1
        if self._members > MEMBERS_MAX:
            raise EgressError(EgressFault.RESPONSE_INVALID, "The compressed body of the response has too many parts.")
        self._inflater = zlib.decompressobj(self._window)
        return rest


class BodyDecoder:
    """Decodes a body piece by piece. Neither what comes, nor what an encoding gives, nor the end result grows beyond `limit_bytes`."""

    def __init__(self, content_encoding: str, limit_bytes: int) -> None:
        names = [name.strip().lower().removeprefix("x-") for name in content_encoding.split(",")]
        encodings = [name for name in names if name not in {"", "identity"}]
        if len(encodings) > ENCODINGS_MAX:
            raise EgressError(
                EgressFault.RESPONSE_TOO_LARGE, f"The response is encoded {len(encodings)} times over; at most 2 are undone."
            )
        unknown = [name for name in encodings if name not in {"gzip", "deflate"}]
        if unknown:
            raise EgressError(
                EgressFault.RESPONSE_INVALID, f"The response is encoded as {unknown[0][:40]!r}, which was not asked for."
            )
        self._layers = [_Layer(name, limit_bytes) for name in reversed(encodings)]
        self._left_bytes = limit_bytes

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What the piece decodes to. Raises EgressError: `response_too_large`, `response_invalid`."""
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            raise too_large()
        try:
            yield from self._unfold(data, 0)
        except zlib.error as error:
            raise EgressError(EgressFault.RESPONSE_INVALID, "The compressed body of the response is broken.") from error

    def finish(self) -> None:
        """To be called at the end. Raises EgressError `response_invalid` if the body ended too early."""
        for layer in self._layers:
            layer.finish()

    def _unfold(self, data: bytes, depth: int) -> Iterator[bytes]:
        if depth == len(self._layers):
            yield data
            return
        for piece in self._layers[depth].feed(data):
            yield from self._unfold(piece, depth + 1)


def too_large() -> EgressError:
    return EgressError(
        EgressFault.RESPONSE_TOO_LARGE, "The response is larger than allowed and was cut; ask the server for less at once."
    )
