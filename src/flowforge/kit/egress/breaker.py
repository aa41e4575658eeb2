"""Leaves a host alone that fails again and again, and finds out when it is back.

A circuit per host and port, in this process: closed it lets every call through and counts outcomes over a sliding window; too many
failures open it, and calls are refused for a while; then one call at a time is let through, and its outcome closes or opens it again.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flowforge.kit.clock import Clock
from flowforge.kit.egress.errors import CircuitOpenError, EgressError, EgressFault

if TYPE_CHECKING:
    from flowforge.kit.egress.urls import Target

FAILED_STATUSES: Final = frozenset({500, 502, 503, 504})
_FAILURES: Final = frozenset({EgressFault.CONNECTION_FAILED, EgressFault.TIMEOUT})
_ANSWERS: Final = frozenset({EgressFault.RESPONSE_INVALID, EgressFault.RESPONSE_TOO_LARGE})
"""The server did answer: whatever is wrong, leaving it alone will not mend it. What is in neither set counts neither way: our own
refusals, a certificate that is not trusted, a call that was cancelled."""


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """When a circuit opens: at `calls_min` outcomes within `window_s`, of which `failed_share` failed; for `open_s`.

    Three of four of at least twenty: a host that answers every second time is served better by retries than by a pause, and one that
    fails by chance now and then must not meet it.
    """

    window_s: float = 60.0
    failed_share: float = 0.75
    calls_min: int = 20
    open_s: float = 30.0
    probe_wait_s: float = 5.0
    """When those who come while a probe is under way are told to come again."""
    circuits_max: int = 4_096


class _Circuit:
    def __init__(self, rules: BreakerRules) -> None:
        self._rules = rules
        self._seconds: deque[list[int]] = deque()
        """Second, outcomes, failures."""
        self.opened_at_s: float | None = None
        self.is_probing = False
        self.generation = 0
        """Outcomes of calls that began before the circuit last opened or closed say nothing about now."""

    def find_wait_s(self, now_s: float) -> float | None:
        """Seconds until the next call may be tried; None for now."""
        if self.opened_at_s is None:
            return None
        left_s = self.opened_at_s + self._rules.open_s - now_s
        if left_s > 0:
            return left_s
        return self._rules.probe_wait_s if self.is_probing else None

    def count(self, now_s: float, *, has_failed: bool) -> None:
        if self.opened_at_s is not None:
            self._turn(now_s if has_failed else None)
            return
        self.forget_old(now_s)
        if not self._seconds or self._seconds[-1][0] != int(now_s):
            self._seconds.append([int(now_s), 0, 0])
        self._seconds[-1][1] += 1
        self._seconds[-1][2] += has_failed
        outcomes = sum(second[1] for second in self._seconds)
        failures = sum(second[2] for second in self._seconds)
        if has_failed and outcomes >= self._rules.calls_min and failures >= outcomes * self._rules.failed_share:
            self._turn(now_s)

    def forget_old(self, now_s: float) -> None:
        while self._seconds and self._seconds[0][0] <= now_s - self._rules.window_s:
            self._seconds.popleft()

    def _turn(self, opened_at_s: float | None) -> None:
        self.opened_at_s = opened_at_s
        self.is_probing = False
        self.generation += 1
        self._seconds.clear()

    @property
    def is_blank(self) -> bool:
        return self.opened_at_s is None and not self._seconds


class Call:
    """A call that was let through, and will tell its outcome."""

    def __init__(self, circuit: _Circuit, clock: Clock) -> None:
        self._circuit = circuit
        self._clock = clock
        self._generation = circuit.generation
        self._is_probe = circuit.opened_at_s is not None
        if self._is_probe:
            circuit.is_probing = True

    def end(self, status: int | None, error: BaseException | None) -> None:
        """Tells how it went: an answer's status, or what came instead of one."""
        if error is None:
            self._count(has_failed=status in FAILED_STATUSES)
        elif isinstance(error, EgressError) and error.fault in _FAILURES:
            self._count(has_failed=True)
        elif isinstance(error, EgressError) and error.fault in _ANSWERS:
            self._count(has_failed=False)
        elif self._is_probe and self._is_current:
            self._circuit.is_probing = False

    def begin_answer(self, status: int) -> None:
        """Tells that the headers are there and the body may take long. A probe ends with that; another call at its own end."""
        if self._is_probe:
            self.end(status, None)

    def _count(self, *, has_failed: bool) -> None:
        if self._is_current:
            self._circuit.count(self._clock.monotonic_s(), has_failed=has_failed)

    @property
    def _is_current(self) -> bool:
        return self._generation == self._circuit.generation


class Breakers:
    """The circuits of all origins that were called of late."""

    def __init__(self, rules: BreakerRules, clock: Clock) -> None:
        self._rules = rules
        self._clock = clock
        self._circuits: OrderedDict[tuple[str, int], _Circuit] = OrderedDict()

    def check(self, target: "Target") -> None:
        """Raises CircuitOpenError if a call would not be let through now."""
        circuit = self._circuits.get((target.host, target.port))
        wait_s = None if circuit is None else circuit.find_wait_s(self._clock.monotonic_s())
        if wait_s is not None:
            after_ms = max(1, round(wait_s * 1000))
            raise CircuitOpenError(target.host, after_ms, self._clock.now_ms() + after_ms)

    def begin(self, target: "Target") -> Call:
        """Lets a call through. Raises CircuitOpenError."""
        self.check(target)
        key = (target.host, target.port)
        circuit = self._circuits.get(key)
        if circuit is None:
            self._make_room()
            circuit = self._circuits[key] = _Circuit(self._rules)
        self._circuits.move_to_end(key)
        return Call(circuit, self._clock)

    def _make_room(self) -> None:
        if len(self._circuits) < self._rules.circuits_max:
            return
        now_s = self._clock.monotonic_s()
        for key, circuit in list(self._circuits.items()):
            circuit.forget_old(now_s)
            if circuit.is_blank:
                del self._circuits[key]
        while len(self._circuits) >= self._rules.circuits_max:
            self._circuits.popitem(last=False)
