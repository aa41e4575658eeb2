"""How many calls a host gets at once, and how often."""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from flowforge.kit.clock import Clock
from flowforge.kit.egress.addresses import parse_address
from flowforge.kit.egress.policy import HOST_NAME
from flowforge.kit.errors import Detail, ValidationError

CONCURRENCY_DEFAULT: Final = 32
_LIMIT: Final = re.compile(r"([1-9][0-9]{0,4})(?:@([1-9][0-9]{0,5})/(s|m|h))?")
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3_600}
_GATES_SWEPT_AT: Final = 1_024


@dataclass(frozen=True, slots=True)
class HostLimit:
    """For each host by itself: calls at once, and calls a second (None: as many as come)."""

    concurrency: int = CONCURRENCY_DEFAULT
    rate_per_s: float | None = None

    @property
    def burst(self) -> int:
        """Calls that may come at once after a pause: those of one second, at least one."""
        return max(1, int(self.rate_per_s or 1))


@dataclass(frozen=True, slots=True)
class HostLimits:
    """EGRESS_LIMITS. The most exact entry counts: the host, the longest `*.domain` above it, `*`."""

    hosts: tuple[tuple[str, HostLimit], ...] = ()
    domains: tuple[tuple[str, HostLimit], ...] = ()
    others: HostLimit = HostLimit()

    @classmethod
    def parse(cls, text: str) -> "HostLimits":
        """Reads a comma list of `host=concurrency` or `host=concurrency@rate`, the rate as in `10/s`, `100/m`, `1000/h`.

        A host is a name, an address, `*.domain` for every host below one, or `*` for every other host (32 without an entry). A limit
        is each host's own, also where one entry speaks of many; and each process's own.

        Raises:
            ValidationError: an entry is not of that form, or a host has two; all are named at once.
        """
        limits: dict[str, HostLimit] = {}
        faults: list[Detail] = []
        for written in filter(None, (part.strip() for part in text.split(","))):
            try:
                subject, limit = _parse_entry(written.lower())
                if subject in limits:
                    raise ValueError("names a host that has a limit already")
                limits[subject] = limit
            except ValueError as error:
                faults.append(Detail(field="EGRESS_LIMITS", message=f"{written!r} {error}.", code="egress_limits_invalid"))
        if faults:
            raise ValidationError(f"EGRESS_LIMITS: {' '.join(fault.message for fault in faults)}", faults)
        others = limits.pop("*", HostLimit())
        domains = [(subject[1:], limit) for subject, limit in limits.items() if subject.startswith("*.")]
        domains.sort(key=lambda domain: -len(domain[0]))
        hosts = tuple((subject, limit) for subject, limit in limits.items() if not subject.startswith("*."))
        return cls(hosts, tuple(domains), others)

    def find(self, host: str) -> HostLimit:
        """The limit of a host (lower-case, without a final dot)."""
        for name, limit in self.hosts:
            if name == host:
                return limit
        for suffix, limit in self.domains:
            if host.endswith(suffix):
                return limit
        return self.others


def _parse_entry(text: str) -> tuple[str, HostLimit]:
    subject, _, written = text.partition("=")
    is_default = subject.strip() == "*"
    host = "*" if is_default else subject.strip().removesuffix(".")
    address = parse_address(host.strip("[]"))
    if address is not None:
        host = str(address)
    elif not is_default and not HOST_NAME.fullmatch(host.removeprefix("*.")):
        raise ValueError("has no host, *.domain or * before the =")
    limit = _LIMIT.fullmatch(written.strip())
    if limit is None:
        raise ValueError("has no limit such as 4 or 4@10/s after the =")
    concurrency, rate, unit = limit.groups()
    return host, HostLimit(int(concurrency), None if rate is None else int(rate) / _UNITS_S[unit])


class _Gate:
    """One host's places. Who waits is let in by turns, in the order of coming."""

    def __init__(self, limit: HostLimit, clock: Clock) -> None:
        self._limit = limit
        self._clock = clock
        self._places = asyncio.Semaphore(limit.concurrency)
        self._turn = asyncio.Lock()
        self._paid_until_s = 0.0
        self.users = 0

    @asynccontextmanager
    async def enter(self) -> AsyncGenerator[None]:
        async with self._places:
            if self._limit.rate_per_s is not None:
                async with self._turn:
                    await self._pay(self._limit.rate_per_s)
            yield

    async def _pay(self, rate_per_s: float) -> None:
        # A token bucket, kept as the time up to which its calls are paid for (the generic cell rate algorithm, ITU-T I.371).
        now_s = self._clock.monotonic_s()
        wait_s = self._paid_until_s - (self._limit.burst - 1) / rate_per_s - now_s
        if wait_s > 0:
            await asyncio.sleep(wait_s)
            now_s += wait_s
        self._paid_until_s = max(self._paid_until_s, now_s) + 1 / rate_per_s

    @property
    def is_blank(self) -> bool:
        return not self.users and self._paid_until_s <= self._clock.monotonic_s()


class Gates:
    """The places of all hosts that are called now, or were so of late and have a rate."""

    def __init__(self, limits: HostLimits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._gates: dict[str, _Gate] = {}

    @asynccontextmanager
    async def enter(self, host: str) -> AsyncGenerator[None]:
        """Waits for a place with the host, as long as it takes, and holds it."""
        gate = self._gates.get(host)
        if gate is None:
            self._sweep()
            gate = self._gates[host] = _Gate(self._limits.find(host), self._clock)
        gate.users += 1
        try:
            async with gate.enter():
                yield
        finally:
            gate.users -= 1
            if gate.is_blank:
                self._gates.pop(host, None)

    def _sweep(self) -> None:
        if len(self._gates) >= _GATES_SWEPT_AT:
            self._gates = {host: gate for host, gate in self._gates.items() if not gate.is_blank}
