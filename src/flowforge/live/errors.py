"""Why a live connection ends."""

from enum import IntEnum


class CloseCode(IntEnum):
    """The WebSocket's close codes."""

    GOING_AWAY = 1001
    FAULT = 1011
    BAD_FRAME = 4400
    NOT_SIGNED_IN = 4401
    NOT_ALLOWED = 4403
    TOO_SLOW = 4408
    TOO_MANY = 4429


class LiveClosedError(Exception):
    """The connection is to be closed with this code. Never leaves this package."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
