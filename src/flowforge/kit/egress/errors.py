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


RETRYABLE_FAULTS: Final = frozenset({EgressFault.TIMEOUT, EgressFault.CONNECTION_FAILED})


class EgressError(DependencyError):
    """The request was refused, or no complete answer came. `fault` says which; the message never holds a header or a body."""

    def __init__(self, fault: EgressFault, message: str) -> None:
        super().__init__(message)
        self.fault = fault

    @property
    def is_retryable(self) -> bool:
        """Whether the same request may fare better later."""
        return self.fault in RETRYABLE_FAULTS
