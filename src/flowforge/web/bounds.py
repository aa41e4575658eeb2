"""How much of a body is read, and for how long it may take to come."""

import asyncio
from typing import Any, Final

from starlette.responses import Response

from flowforge.web.answers import answer_error, make_error
from flowforge.web.errors import BadRequestError, PayloadTooLargeError
from flowforge.web.frame import App, Message, Receive, Scope, Send

BODY_WAIT_S: Final = 30.0
"""A body must have come whole within this time."""
_FILES: Final = ("/api/v1/uploads/", "/api/v1/files", "/api/v1/operations/")
"""Where bodies are or hold files, which may be larger."""
_FORM_BYTES: Final = 64 * 2**10
"""What a form may take beside the file in it."""
_CLOSE: Final = (b"connection", b"close")
"""Whoever sends a body drop by drop would keep the connection for ever."""


class BodyBounds:
    """Refuses bodies above `most_bytes` (of files: `file_bytes`): by their Content-Length before anything is read, else on the way."""

    def __init__(self, app: App, most_bytes: int, file_bytes: int) -> None:
        self._app = app
        self._most_bytes = most_bytes
        self._file_bytes = max(most_bytes, file_bytes + _FORM_BYTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most_bytes = self._file_bytes if scope["path"].startswith(_FILES) else self._most_bytes
        refusal = _look_at_length(scope, most_bytes)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        await self._app(scope, _Bounded(receive, most_bytes, scope["state"]), send)


def _look_at_length(scope: Scope, most_bytes: int) -> Response | None:
    request_id: str = scope["state"]["request_id"]
    lengths = [value for name, value in scope["headers"] if name == b"content-length"]
    if not lengths:
        return None
    if not lengths[0].isdigit() or len(lengths[0]) > 19:
        return make_error(400, "BAD_REQUEST", "Content-Length is no number.", [], request_id)
    if int(lengths[0]) > most_bytes:
        return answer_error(PayloadTooLargeError(most_bytes), request_id)
    return None


class _Bounded:
    def __init__(self, receive: Receive, most_bytes: int, state: dict[str, Any]) -> None:
        self._receive = receive
        self._most_bytes = most_bytes
        self._state = state
        self._seen_bytes = 0
        self._is_whole = False
        self._deadline_s = asyncio.get_running_loop().time() + BODY_WAIT_S

    async def __call__(self) -> Message:
        if self._is_whole:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline_s):
                message = await self._receive()
        except TimeoutError:
            message = None
        if message is None or message["type"] != "http.request":
            self._state["answer_headers"] = [*self._state.get("answer_headers", ()), _CLOSE]
            raise BadRequestError("The body broke off, or did not come in time.", reason="body_incomplete")
        self._seen_bytes += len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        if self._seen_bytes > self._most_bytes:
            raise PayloadTooLargeError(self._most_bytes)
        return message
