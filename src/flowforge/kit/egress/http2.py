"""One HTTP/2 exchange after another on a connection (RFC 9113).

Streams are not used side by side: a second request opens a second connection, so that one answer can neither hold up nor break another.
"""

import asyncio
import re
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Final, cast

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
import httpcore2

from flowforge.kit.egress.errors import EgressError, EgressFault
from flowforge.kit.egress.messages import Headers
from flowforge.kit.egress.sockets import SocketStream
from flowforge.kit.egress.urls import Target

WINDOW_BYTES: Final = 1024 * 1024
"""What a server may send ahead of what has been read."""
HEADERS_MAX_BYTES: Final = 64 * 1024
_READ_BYTES: Final = 64 * 1024
_FRAME_HEADER_BYTES: Final = 9
_FRAME_MAX_BYTES: Final = 16 * 1024
_GOAWAY: Final = 7
_PENDING_READS_MAX: Final = 8
_NOT_IN_HTTP2: Final = frozenset({"host", "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"})
_BREAK: Final = re.compile(rb"[\r\n\0]")


class _Answer:
    """What has come of the answer to the request under way."""

    def __init__(self, stream_id: int) -> None:
        self.stream_id = stream_id
        self.head: list[tuple[bytes, bytes]] | None = None
        self.pieces: deque[tuple[bytes, int]] = deque()
        """Data, and what it counts in the flow control window, which is opened again when the piece is handed on."""
        self.has_ended = False
        self.reset_code: int | None = None
        self.was_sent_whole = False


class Http2Connection:
    """See `Connection`."""

    def __init__(self, stream: SocketStream, idle_max_s: float) -> None:
        self.http_version = "HTTP/2"
        self._stream = stream
        self._idle_max_s = idle_max_s
        self._machine = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, validate_inbound_headers=False))
        self._is_begun = False
        self._is_broken = False
        self._goes_away = False
        self._answer: _Answer | None = None
        self._unread = bytearray()
        self._idle_since_s = 0.0

    async def send(
        self, method: str, target: Target, headers: Headers, body: AsyncIterator[bytes] | bytes | None
    ) -> tuple[int, list[tuple[bytes, bytes]]]:
        self._stream.expect_head()
        try:
            answer = self._begin(method, target, headers, has_body=bool(body))
            await self._flush()
            if body:
                await self._send_body(answer, body)
            while answer.head is None:
                await self._receive(answer)
        except h2.exceptions.ProtocolError as error:
            raise self._blame(error) from error
        self._stream.expect_body()
        return _read_head(answer.head)

    def _begin(self, method: str, target: Target, headers: Headers, *, has_body: bool) -> _Answer:
        if not self._is_begun:
            self._is_begun = True
            self._machine.local_settings = h2.settings.Settings(
                client=True,
                initial_values={
                    h2.settings.SettingCodes.ENABLE_PUSH: 0,
                    h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: WINDOW_BYTES,
                    h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: HEADERS_MAX_BYTES,
                },
            )
            self._machine.initiate_connection()
            self._machine.increment_flow_control_window(WINDOW_BYTES)
        answer = self._answer = _Answer(self._machine.get_next_available_stream_id())
        pseudo = [(":method", method), (":authority", target.authority), (":scheme", target.scheme)]
        written = [(name.encode(), value.encode()) for name, value in pseudo]
        written.append((b":path", target.path))
        written.extend((name.lower().encode(), value.encode()) for name, value in headers if name.lower() not in _NOT_IN_HTTP2)
        self._machine.send_headers(answer.stream_id, written, end_stream=not has_body)
        answer.was_sent_whole = not has_body
        return answer

    async def _send_body(self, answer: _Answer, body: AsyncIterator[bytes] | bytes) -> None:
        pieces = _give(body) if isinstance(body, bytes) else cast("AsyncGenerator[bytes]", body)
        async with aclosing(pieces):
            async for piece in pieces:
                await self._send_piece(answer, piece)
                if answer.has_ended:
                    return  # the server has said all that it will, without having listened to the end
        self._machine.end_stream(answer.stream_id)
        await self._flush()
        answer.was_sent_whole = True

    async def _send_piece(self, answer: _Answer, piece: bytes) -> None:
        left = memoryview(piece)
        while left and not answer.has_ended:
            window = self._machine.local_flow_control_window(answer.stream_id)
            if window <= 0 or await self._stream.look_ahead():
                await self._receive(answer)
                continue
            part = left[: min(window, self._machine.max_outbound_frame_size)]
            self._machine.send_data(answer.stream_id, bytes(part))
            await self._flush()
            left = left[len(part) :]
            # The server may send a window update for each frame: those are no part of its answer's head.
            self._stream.expect_head()

    async def iterate(self) -> AsyncGenerator[bytes]:
        answer = self._answer
        if answer is None:
            return
        try:
            while not answer.has_ended or answer.pieces:
                if not answer.pieces:
                    await self._receive(answer)
                    continue
                piece, window_bytes = answer.pieces.popleft()
                if window_bytes:
                    self._machine.acknowledge_received_data(window_bytes, answer.stream_id)
                    await self._flush()
                if piece:
                    yield piece
        except h2.exceptions.ProtocolError as error:
            raise self._blame(error) from error
        self._idle_since_s = asyncio.get_running_loop().time()

    async def _receive(self, answer: _Answer) -> None:
        """Takes in what the server says next; on its reset or its end before the answer is complete, raises EgressError."""
        if answer.reset_code is not None:
            raise EgressError(
                EgressFault.CONNECTION_FAILED, f"The server gave up before the answer was complete (code {answer.reset_code})."
            )
        data = await self._stream.read(_READ_BYTES)
        if not data:
            self._is_broken = True
            raise EgressError(EgressFault.CONNECTION_FAILED, "The server closed the connection before the answer was complete.")
        self._take_in(data, answer)
        await self._flush()

    def _take_in(self, data: bytes, answer: _Answer | None) -> None:
        self._unread += data
        frames = bytearray()
        while len(self._unread) >= _FRAME_HEADER_BYTES:
            size_bytes = int.from_bytes(self._unread[:3], "big")
            if size_bytes > _FRAME_MAX_BYTES:
                raise self._blame("a frame is too large")
            if len(self._unread) < _FRAME_HEADER_BYTES + size_bytes:
                break
            frame = bytes(self._unread[: _FRAME_HEADER_BYTES + size_bytes])
            del self._unread[: len(frame)]
            if frame[3] == _GOAWAY:
                self._go_away(frame[_FRAME_HEADER_BYTES:], answer)
            else:
                frames += frame
        for event in self._machine.receive_data(bytes(frames)):
            self._note(event, answer)

    def _go_away(self, payload: bytes, answer: _Answer | None) -> None:
        # The machine would refuse all that follows, but what was begun before may still be answered (RFC 9113 6.8).
        self._goes_away = True
        last_stream_id = int.from_bytes(payload[:4], "big") & 0x7FFFFFFF
        if answer is not None and answer.stream_id > last_stream_id:
            answer.reset_code = int.from_bytes(payload[4:8], "big")

    def _note(self, event: h2.events.Event, answer: _Answer | None) -> None:
        if isinstance(event, h2.events.ConnectionTerminated):
            self._goes_away = True
        if answer is None or getattr(event, "stream_id", None) != answer.stream_id:
            return
        if isinstance(event, h2.events.InformationalResponseReceived) and (b":status", b"101") in (event.headers or ()):
            raise self._blame("it switches protocols")
        if isinstance(event, h2.events.ResponseReceived):
            answer.head = [(bytes(name), bytes(value)) for name, value in event.headers or ()]
        elif isinstance(event, h2.events.DataReceived):
            answer.pieces.append((event.data or b"", event.flow_controlled_length or 0))
        elif isinstance(event, h2.events.StreamEnded):
            answer.has_ended = True
        elif isinstance(event, h2.events.StreamReset) and not answer.has_ended:
            answer.reset_code = int(event.error_code or 0)

    async def _flush(self) -> None:
        data = self._machine.data_to_send()
        if not data:
            return
        try:
            await self._stream.write(data)
        except httpcore2.WriteError:
            self._is_broken = True  # what the server had said before is still read

    def _blame(self, error: h2.exceptions.ProtocolError | str) -> EgressError:
        self._is_broken = True
        return EgressError(
            EgressFault.RESPONSE_INVALID, f"The server's answer is no valid HTTP/2: {error or 'it broke the rules'}."
        )

    def has_expired(self) -> bool:
        answer = self._answer
        if self._is_broken or self._goes_away or answer is None or answer.pieces:
            return True
        if not (answer.has_ended and answer.was_sent_whole):
            return True
        return asyncio.get_running_loop().time() - self._idle_since_s > self._idle_max_s

    async def can_be_used_again(self) -> bool:
        if self.has_expired():
            return False
        try:
            await self._take_in_pending()
        except (EgressError, h2.exceptions.ProtocolError):
            return False
        return not (self._is_broken or self._goes_away)

    async def _take_in_pending(self) -> None:
        """What the server has said since the last answer: settings, pings, farewells."""
        self._stream.expect_head()
        for _ in range(_PENDING_READS_MAX):
            data = await self._stream.look_ahead()
            if not data:
                self._is_broken = self._is_broken or self._stream.has_ended
                return
            self._take_in(await self._stream.read(len(data)), None)
            await self._flush()
        self._is_broken = True

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _give(body: bytes) -> AsyncGenerator[bytes]:
    yield body


def _read_head(head: list[tuple[bytes, bytes]]) -> tuple[int, list[tuple[bytes, bytes]]]:
    statuses = [value for name, value in head if name == b":status"]
    headers = [(name, value) for name, value in head if not name.startswith(b":")]
    if len(statuses) != 1 or not re.fullmatch(rb"[2-9]\d\d", statuses[0]):
        raise EgressError(EgressFault.RESPONSE_INVALID, "The server's answer has no valid status.")
    if any(_BREAK.search(part) for header in headers for part in header):
        raise EgressError(EgressFault.RESPONSE_INVALID, "A header of the server's answer holds a line break.")
    return int(statuses[0]), headers
