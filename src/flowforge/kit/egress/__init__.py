"""Guarded HTTP to the outside: the only way out."""

from flowforge.kit.egress.breaker import BreakerRules
from flowforge.kit.egress.client import EgressClient
from flowforge.kit.egress.errors import CircuitOpenError, EgressError, EgressFault
from flowforge.kit.egress.host_limits import HostLimit, HostLimits
from flowforge.kit.egress.messages import (
    BodySource,
    ClientCertificate,
    EgressRequest,
    EgressResponse,
    find_header_fault,
)
from flowforge.kit.egress.policy import EgressPolicy
from flowforge.kit.egress.streams import EgressStream

__all__ = [
    "BodySource",
    "BreakerRules",
    "CircuitOpenError",
    "ClientCertificate",
    "EgressClient",
    "EgressError",
    "EgressFault",
    "EgressPolicy",
    "EgressRequest",
    "EgressResponse",
    "EgressStream",
    "HostLimit",
    "HostLimits",
    "find_header_fault",
]
