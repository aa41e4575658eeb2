"""What can go wrong with a request that leaves the house."""

from enum import StrEnum
from typing import Final

from flowforge.kit.errors import DependencyError


class EgressFault(StrEnum):
    """Error codes of the guarded client; a step's error carries the same."""

    DENIED = "egress_denied"
    SCHEME = "scheme"
    URL_INVALID = "url_invalid"
    PORT_DENIED = "port_denied"
    HEADER_INVALID = "header_invalid"
    HEADER_RESERVED = "header_reserved"
    LOOP = "loop"
    REDIRECTS = "redirects"
    TIMEOUT = "http_timeout"
    CONNECTION_FAILED = "connection_failed"
    TLS = "tls"
    RESPONSE_INVALID = "response_invalid"
    RESPONSE_TOO_LARGE = "response_too_large"
    CERTIFICATE_INVALID = "certificate_invalid"
    CIRCUIT_OPEN = "circuit_open"


RETRYABLE_FAULTS: Final = frozenset({EgressFault.TIMEOUT, EgressFault.CONNECTION_FAILED, EgressFault.CIRCUIT_OPEN})


class EgressError(DependencyError):
    """The request was refused, or no complete answer came. `fault` says which; the message never holds a header or a body."""

    def __init__(self, fault: EgressFault, message: str) -> None:
        super().__init__(message)
        self.fault = fault

    @property
    def is_retryable(self) -> bool:
        """Whether the same request may fare better later."""
        return self.fault in RETRYABLE_FAULTS


class CircuitOpenError(EgressError):
    """The host failed so often of late that it is left alone for a while; nothing was sent.

    `after_ms` from now, at `until_ms` (since 1970), the next call may be tried.
    """

    def __init__(self, host: str, after_ms: int, until_ms: int) -> None:
        super().__init__(
            EgressFault.CIRCUIT_OPEN,
            f"{host} failed too often in the last minute and is left alone; the next call is tried in {after_ms / 1000:.0f} s.",
        )
        self.host = host
        self.after_ms = after_ms
        self.until_ms = until_ms
