"""What the egress guard costs a call: all that is done beside connecting, sending and reading."""

import time
from statistics import median
from typing import Final

from flowforge.kit.clock import SystemClock
from flowforge.kit.egress import BreakerRules, EgressPolicy, HostLimits
from flowforge.kit.egress.breaker import Breakers
from flowforge.kit.egress.host_limits import Gates
from flowforge.kit.egress.messages import check_headers, check_method
from flowforge.kit.egress.network import find_addresses
from flowforge.kit.egress.urls import parse_target

_BATCH: Final = 200
_HEADERS: Final = (("Accept", "application/json"), ("Authorization", "Bearer abcdef"), ("Idempotency-Key", "0123456789abcdef"))


async def _resolve(host: str, port: int) -> list[str]:
    del host, port
    return ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"]


async def measure_guard_us(batches: int) -> float:
    """µs a call, of the median batch: checks, the URL, the breaker, the host's limit, the judgement of two addresses."""
    clock = SystemClock()
    policy, gates, breakers = EgressPolicy.parse([]), Gates(HostLimits(), clock), Breakers(BreakerRules(), clock)
    took: list[float] = []
    for batch in range(batches):
        begun = time.perf_counter()
        for number in range(_BATCH):
            check_method("GET")
            check_headers(_HEADERS)
            target = parse_target(f"https://api.example.com/orders/{batch}-{number}?page=2")
            breakers.check(target)
            async with gates.enter(target.host):
                call = breakers.begin(target)
                await find_addresses(target, policy, _resolve)
                call.end(200, None)
        took.append((time.perf_counter() - begun) / _BATCH * 1e6)
    return median(took)
