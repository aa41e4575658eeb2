"""Guarded HTTP to the outside: the only way out."""

from flowforge.kit.egress.client import EgressClient
from flowforge.kit.egress.errors import EgressError, EgressFault
from flowforge.kit.egress.messages import EgressRequest, EgressResponse, find_header_fault
from flowforge.kit.egress.policy import EgressPolicy

__all__ = ["EgressClient", "EgressError", "EgressFault", "EgressPolicy", "EgressRequest", "EgressResponse", "find_header_fault"]
