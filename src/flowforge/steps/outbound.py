"""What a connection to the outside can come to, said as errors of a step."""

from typing import Final

from flowforge.kit.egress import CircuitOpenError, EgressError, EgressFault
from flowforge.language.times import format_timestamp_ms
from flowforge.operations import ErrorCode, FatalError, RetryableError

ADDRESS_ERRORS: Final = (
    ErrorCode("connection_failed", "The server was not found, not reached, or closed the connection too early.", retryable=True),
    ErrorCode("http_timeout", "No complete answer came in time.", retryable=True),
    ErrorCode("egress_denied", "The host is, or leads to, an address that may not be called; EGRESS_ALLOW opens some."),
    ErrorCode("port_denied", "The port may not be called; EGRESS_ALLOW opens some."),
    ErrorCode("url_invalid", "The URL or the host cannot be read, or the URL holds a user name."),
)
"""What `EgressClient.find_addresses` can raise, for operations that then speak another protocol than HTTP."""

OUTBOUND_ERRORS: Final = (
    *ADDRESS_ERRORS,
    ErrorCode("tls", "The server's certificate is not trusted, or no common encryption was found."),
    ErrorCode("scheme", "The URL is neither http nor https."),
    ErrorCode("header_invalid", "A header, the method or the URL holds a line break or another control character."),
    ErrorCode("header_reserved", "The header is one that FlowForge sets itself."),
    ErrorCode("redirects", "The server redirects too often."),
    ErrorCode("loop", "Workflows that call each other over HTTP are nested too deeply."),
    ErrorCode("response_invalid", "The answer is no valid HTTP, or not what it promised to be."),
    ErrorCode("response_too_large", "The answer is larger than LIMIT_HTTP_BODY allows."),
    ErrorCode("certificate_invalid", "The client certificate, its key or the authority's certificate cannot be used."),
    ErrorCode(
        "circuit_open",
        "The server failed so often of late that it is left alone for a while; the step waits, and uses up no attempt.",
        retryable=True,
    ),
)
"""What `EgressClient.send` and `EgressClient.stream` can raise. What a status means is the operation's to say."""

_PASSING: Final = frozenset({408, 425, 429})
_NOT_BY_DEFAULT: Final = frozenset({EgressFault.TLS, EgressFault.RESPONSE_INVALID})
"""Another attempt is not expected to help, but `retry.on` may name them."""


def is_passing(status: int) -> bool:
    """Whether another attempt may find another status than this one."""
    return status >= 500 or status in _PASSING


def explain_egress(error: EgressError) -> FatalError | RetryableError:
    """The step's error for one of the guarded client: the same code and sentence.

    An open circuit postpones the attempt; its details are the host and `until` when (RFC 3339) nothing is sent there.
    """
    if isinstance(error, CircuitOpenError):
        return RetryableError(
            error.message,
            code=error.fault.value,
            details={"host": error.host, "until": format_timestamp_ms(error.until_ms)},
            after_ms=error.after_ms,
            postpones=True,
        )
    if error.is_retryable:
        return RetryableError(error.message, code=error.fault.value)
    if error.fault in _NOT_BY_DEFAULT:
        return RetryableError(error.message, code=error.fault.value, by_default=False)
    return FatalError(error.message, code=error.fault.value)
