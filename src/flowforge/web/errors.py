"""Errors that only requests over HTTP can cause, and which status an error has. The form: docs/api.md, Errors."""

from http import HTTPStatus
from typing import ClassVar, Final

from flowforge.kit.errors import (
    ConflictError,
    DependencyError,
    Detail,
    FlowForgeError,
    NotFoundError,
    NotPermittedError,
    RequestError,
    StorageError,
    ValidationError,
)

_STATUSES: Final = {
    "INVALID_SIGNATURE": 401,
    "CSRF_FAILED": 403,
    "STEP_UP_REQUIRED": 403,
    "ALREADY_EXISTS": 409,
    "ALREADY_DECIDED": 409,
    "IDEMPOTENCY_MISMATCH": 409,
    "NOT_INSTALLED": 409,
    "PAYLOAD_TOO_LARGE": 413,
    "VALIDATION_ERROR": 422,
    "OPERATION_FAILED": 422,
    "DEPENDENCY_FAILED": 424,
    "RATE_LIMITED": 429,
    "INTERNAL_ERROR": 500,
    "STORAGE_FULL": 503,
} | {status.name: status.value for status in HTTPStatus if status.value >= 400}

_BY_KIND: Final[tuple[tuple[type[FlowForgeError], int], ...]] = (
    (NotFoundError, 404),
    (NotPermittedError, 403),
    (ConflictError, 409),
    (ValidationError, 422),
    (RequestError, 422),
    (StorageError, 503),
    (DependencyError, 424),
)


def find_status(error: FlowForgeError) -> int:
    """The HTTP status of an error: by its code, else by its kind."""
    if error.code in _STATUSES:
        return _STATUSES[error.code]
    return next((status for kind, status in _BY_KIND if isinstance(error, kind)), 500)


def name_code(error: FlowForgeError, status: int) -> str:
    """`error.code` of the answer: the error's own where it is one of the list, else the status's name."""
    return error.code if error.code in _STATUSES else name_status(status)


def name_status(status: int) -> str:
    """`NOT_FOUND` for 404; some have other names here."""
    names = {
        413: "PAYLOAD_TOO_LARGE",
        422: "VALIDATION_ERROR",
        424: "DEPENDENCY_FAILED",
        429: "RATE_LIMITED",
        500: "INTERNAL_ERROR",
    }
    return names.get(status) or HTTPStatus(status).name


class BadRequestError(RequestError):
    """The request cannot be read (400)."""

    code: ClassVar[str] = "BAD_REQUEST"

    def __init__(self, message: str, *, reason: str, field: str = "") -> None:
        super().__init__(message, [Detail(field, message, reason)])


class NotSignedInError(RequestError):
    """No credential, or none that is valid (401). Never says which."""

    code: ClassVar[str] = "UNAUTHORIZED"

    def __init__(self, message: str = "Sign in first, or send an API key.", *, reason: str = "credentials") -> None:
        super().__init__(message, [Detail("", message, reason)])


class CsrfError(NotPermittedError):
    """A change by cookie without the token that proves that our own page sent it."""

    code: ClassVar[str] = "CSRF_FAILED"

    def __init__(self) -> None:
        message = "The request lacks the X-CSRF-Token of this session, or came from another site; reload the page and try again."
        super().__init__(message, [Detail("X-CSRF-Token", message, "csrf")])


class PermissionMissingError(NotPermittedError):
    """Signed in, but without the right."""

    def __init__(self, permission: str) -> None:
        message = f"This needs the permission {permission}; an administrator can give it."
        super().__init__(message, [Detail("", message, "permission_missing")])


class PayloadTooLargeError(RequestError):
    """A body above the limit (413)."""

    code: ClassVar[str] = "PAYLOAD_TOO_LARGE"

    def __init__(self, most_bytes: int, reason: str = "body_max") -> None:
        message = f"The body is larger than {most_bytes} bytes; send less, or use /uploads for files."
        super().__init__(message, [Detail("", message, reason)])


class MediaTypeError(RequestError):
    """A body of another type than the route takes (415)."""

    code: ClassVar[str] = "UNSUPPORTED_MEDIA_TYPE"

    def __init__(self, wanted: str = "application/json") -> None:
        message = f"Send the body as Content-Type: {wanted}, in UTF-8."
        super().__init__(message, [Detail("Content-Type", message, "content_type")])


class PreconditionRequiredError(RequestError):
    """A change without If-Match (428)."""

    code: ClassVar[str] = "PRECONDITION_REQUIRED"

    def __init__(self) -> None:
        message = "Send If-Match with the ETag that you read, so that nobody's change is lost."
        super().__init__(message, [Detail("If-Match", message, "if_match_missing")])


class PreconditionFailedError(RequestError):
    """If-Match names a state that is not the present one (412); `etag` is the present one, None where there is nothing."""

    code: ClassVar[str] = "PRECONDITION_FAILED"

    def __init__(self, etag: str | None) -> None:
        message = "Somebody changed this since you read it; read it again and repeat your change on that."
        super().__init__(message, [Detail("If-Match", message, "etag_stale")])
        self.etag = etag


class RateLimitedError(RequestError):
    """Too many requests (429)."""

    code: ClassVar[str] = "RATE_LIMITED"

    def __init__(self, retry_after_s: int) -> None:
        message = f"Too many requests; try again in {retry_after_s} s."
        super().__init__(message, [Detail("", message, "rate_limited")])
        self.retry_after_s = retry_after_s


class HeaderInvalidError(ValidationError):
    """A request header that cannot be used."""

    def __init__(self, name: str, message: str, reason: str = "header_invalid") -> None:
        super().__init__(message, [Detail(name, message, reason)])


class ParameterError(ValidationError):
    """A query parameter that is not known, repeated, or of a value that cannot be used."""

    def __init__(self, name: str, message: str, reason: str) -> None:
        super().__init__(message, [Detail(name, message, reason)])
