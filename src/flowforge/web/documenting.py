"""What the OpenAPI document says of errors."""

from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel, Field

from flowforge.kit.errors import FlowForgeError
from flowforge.web.callers import OPEN
from flowforge.web.errors import find_status


class ErrorDetail(BaseModel):
    """One fault."""

    field: str = Field(description="A dotted path in the body, or the name of a parameter or header; empty: the whole.")
    message: str
    code: str
    line: int | None = None
    column: int | None = None
    suggestion: str | None = None


class ErrorBody(BaseModel):
    """What happened, where, and what to do."""

    code: str
    message: str
    details: list[ErrorDetail]
    request_id: str = Field(alias="requestId")


class ErrorAnswer(BaseModel):
    """The form of every error."""

    error: ErrorBody


_EVERYWHERE: Final = (400, 404, 405, 413, 415, 422, 429, 431, 500, 503)
_SIGNED_IN: Final = (401, 403)


def list_statuses(guard: str, errors: Sequence[type[FlowForgeError]]) -> list[int]:
    """The statuses of a route's errors. `errors` are asked without being made, so their status must come from class and code alone."""
    return sorted({*_EVERYWHERE, *(() if guard == OPEN else _SIGNED_IN), *(find_status(kind.__new__(kind)) for kind in errors)})
