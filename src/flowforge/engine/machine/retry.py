"""When a failed attempt is tried again: the policy of the step, the view of the operation, and a server's Retry-After."""

import hashlib
from fnmatch import fnmatchcase
from typing import Final

from flowforge.language.graph import Backoff, Retry

RETRY_AFTER_MAX_MS: Final = 3_600_000


def retry_delay_ms(policy: Retry, failures: int, code: str, *, is_fatal: bool, is_retryable: bool) -> int | None:
    """The delay before the next attempt without jitter, or None if there is none. `failures` counts this one."""
    if is_fatal or failures >= policy.attempts:
        return None
    if policy.on is None:
        may = is_retryable
    else:
        may = any(fnmatchcase(code, pattern) for pattern in policy.on)
    return backoff_ms(policy, failures) if may else None


def backoff_ms(policy: Retry, failures: int) -> int:
    """The delay after the n-th failure, at most `max`: fixed d, linear d·n, exponential d·m^(n-1), Fibonacci d·F(n)."""
    match policy.backoff:
        case Backoff.FIXED:
            factor = 1.0
        case Backoff.LINEAR:
            factor = float(failures)
        case Backoff.EXPONENTIAL:
            factor = policy.multiplier ** min(failures - 1, 64)
        case Backoff.FIBONACCI:
            factor = float(_fibonacci(min(failures, 64)))
    return min(int(policy.initial_ms * factor), policy.max_ms)


def _fibonacci(place: int) -> int:
    earlier, present = 0, 1
    for _ in range(place - 1):
        earlier, present = present, earlier + present
    return present


def with_jitter(delay_ms: int, seed: str) -> int:
    """Half to the whole of the delay, by a hash of run, key and attempt, so that a replay finds the same."""
    share = int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=4).digest()) / 2**32
    return int(delay_ms * (0.5 + share / 2))
