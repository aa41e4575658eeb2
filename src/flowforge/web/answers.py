"""Every error as one form: `{"error": {"code", "message", "details", "requestId"}}`."""

from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from flowforge.kit.border import encode
from flowforge.kit.errors import Detail, FlowForgeError, InvariantError, StorageError
from flowforge.kit.telemetry.logs import get_logger
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.web.errors import NotSignedInError, PreconditionFailedError, RateLimitedError, find_status, name_code, name_status
from flowforge.web.faults import read_faults

CHALLENGE: Final = 'Bearer realm="flowforge"'
RETRY_AFTER_S: Final = 5

_WORDS: Final = {
    404: "There is nothing here.",
    405: "This address does not take that method.",
}

logger = get_logger("web")


def make_json(value: JsonValue, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer of JSON."""
    return Response(encode(value), status, headers, media_type="application/json")


def make_error(status: int, code: str, message: str, details: list[Detail], request_id: str) -> Response:
    """The one form of errors."""
    error: JsonObject = {
        "code": code,
        "message": message,
        "details": [describe_detail(detail) for detail in details],
        "requestId": request_id,
    }
    return make_json({"error": error}, status)


def describe_detail(detail: Detail) -> JsonObject:
    """One fault as it stands in an answer."""
    told: JsonObject = {"field": detail.field, "message": detail.message, "code": detail.code}
    extras = {"line": detail.line, "column": detail.column, "suggestion": detail.suggestion}
    return told | {name: value for name, value in extras.items() if value is not None}


def answer_error(error: FlowForgeError, request_id: str) -> Response:
    """The answer to a request that failed on purpose."""
    status = find_status(error)
    message, details = error.message, list(error.details)
    if isinstance(error, InvariantError):
        logger.error("A promise of our own code is broken.", cause=error.message, request_id=request_id)
        message, details = _name_bug(request_id), []
    answer = make_error(status, name_code(error, status), message, details, request_id)
    if isinstance(error, NotSignedInError):
        answer.headers["www-authenticate"] = CHALLENGE
    elif isinstance(error, PreconditionFailedError) and error.etag is not None:
        answer.headers["etag"] = error.etag
    elif isinstance(error, RateLimitedError):
        answer.headers["retry-after"] = str(error.retry_after_s)
    elif isinstance(error, StorageError):
        answer.headers["retry-after"] = str(RETRY_AFTER_S)
    return answer


def answer_bug(request_id: str) -> Response:
    """The answer to a request that met a fault of ours: the log has the trace, the answer has the id by which it is found."""
    return make_error(500, "INTERNAL_ERROR", _name_bug(request_id), [], request_id)


def _name_bug(request_id: str) -> str:
    return f"This is our fault. The log tells more under the request id {request_id}."


def find_request_id(scope: Any) -> str:
    """The id that the request's frame has given it."""
    return str(scope.get("state", {}).get("request_id", ""))


async def on_flowforge_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, FlowForgeError)
    return answer_error(error, find_request_id(request.scope))


async def on_bug(request: Request, _error: Exception) -> Response:
    """The frame logs it: the framework raises it again after the answer."""
    return answer_bug(find_request_id(request.scope))


async def on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    details = read_faults(error.errors())
    places = ", ".join(dict.fromkeys(detail.field or "the body" for detail in details))
    return make_error(
        422, "VALIDATION_ERROR", f"The request cannot be used as it is: {places}.", details, find_request_id(request.scope)
    )


async def on_http_exception(request: Request, error: Exception) -> Response:
    """What the framework itself refuses: an unknown address, another method."""
    assert isinstance(error, HTTPException)
    message = _WORDS.get(error.status_code) or str(error.detail)
    answer = make_error(error.status_code, name_status(error.status_code), message, [], find_request_id(request.scope))
    for name, value in (error.headers or {}).items():
        answer.headers[name] = value
    return answer
