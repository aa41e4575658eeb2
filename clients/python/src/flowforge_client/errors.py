"""What can go wrong."""

from collections.abc import Sequence
from typing import Any, cast

from flowforge_client.values import JsonObject


class FlowForgeError(Exception):
    """Root of the errors of this package."""


class ApiError(FlowForgeError):
    """The server has refused a request, or failed.

    `status` is the HTTP status, `code` the stable name of the error, `details` say what was wrong where, and `request_id` is what to
    tell those who run the server.
    """

    def __init__(self, status: int, code: str, message: str, details: Sequence[JsonObject] = (), request_id: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = tuple(details)
        self.request_id = request_id

    def __str__(self) -> str:
        faults = "".join(f"\n  {fault.get('field') or '-'}: {fault.get('message')}" for fault in self.details)
        return f"{self.message} ({self.status} {self.code}, {self.request_id}){faults}"


class ConnectionLostError(FlowForgeError):
    """The server could not be reached, also not when it was tried again."""


def read_error(status: int, told: Any, request_id: str) -> ApiError:
    """The error of an answer; `told` is its body as JSON, or None where it is none."""
    error = cast("JsonObject", told).get("error") if isinstance(told, dict) else None
    if not isinstance(error, dict):
        return ApiError(status, f"HTTP_{status}", f"The server answered {status}, but not as a FlowForge server.", (), request_id)
    details = error.get("details")
    faults = [fault for fault in details if isinstance(fault, dict)] if isinstance(details, list) else []
    known = error.get("requestId")
    request_id = known if isinstance(known, str) else request_id
    return ApiError(status, str(error.get("code", "")), str(error.get("message", "")), faults, request_id)
