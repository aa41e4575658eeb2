"""Ids: a prefix that names the kind, and a UUIDv7 as 26 lower-case Crockford base-32 characters (`run_01jz…`)."""

import hashlib
import os
import re
import threading
from collections.abc import Callable
from typing import Final

from flowforge.kit.clock import Clock, SystemClock
from flowforge.kit.errors import Detail, ValidationError

DEFAULT_WORKSPACE_ID: Final = "ws_" + "0" * 26
"""The workspace of a machine that has only one."""

_ENCODED: Final = re.compile(r"[0-7][0-9a-hjkmnp-tv-z]{25}")
_PREFIX: Final = re.compile(r"[a-z]{1,8}")
_CROCKFORD: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS: Final = tuple(first + second for first in _CROCKFORD for second in _CROCKFORD)
"""Two digits for each ten bits: half the steps of one digit after the other."""
_PLACES: Final = tuple(range(120, -1, -10))
_DRAWN_BYTES: Final = 1_024

_RANDOM_BITS: Final = 74
_STEP_BITS: Final = 32


class InvalidIdError(ValidationError):
    """A text that should be an id is none, or one of another kind."""

    def __init__(self, text: str, prefix: str) -> None:
        shown = text if len(text) <= 40 else text[:40] + "…"
        message = f"{shown!r} is no id of the form {prefix}_ and 26 characters; copy the id as it was printed."
        super().__init__(message, [Detail(field="", message=message, code="id_invalid")])


class _Chance:
    """Random bits of the operating system, drawn a kilobyte at a time. A forked child begins with its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool = 0
        self._left = 0

    def draw(self, bits: int) -> int:
        with self._lock:
            if self._left < bits:
                self._pool, self._left = int.from_bytes(os.urandom(_DRAWN_BYTES)), _DRAWN_BYTES * 8
            drawn = self._pool & ((1 << bits) - 1)
            self._pool >>= bits
            self._left -= bits
            return drawn

    def forget(self) -> None:
        self._lock = threading.Lock()
        self._pool = self._left = 0


_CHANCE: Final = _Chance()
os.register_at_fork(after_in_child=_CHANCE.forget)


class IdSource:
    """Makes ids that sort by the time they were made, and strictly grow within one source, also when the clock goes back.

    UUIDv7 (RFC 9562, 5.7) with the "monotonic random" method of 6.2: within one millisecond the random part grows by a random step.
    """

    def __init__(self, clock: Clock, random_bits: Callable[[int], int] = _CHANCE.draw) -> None:
        self._clock = clock
        self._random_bits = random_bits
        self._lock = threading.Lock()
        self._last_ms = -1
        self._last_random = 0

    def make_id(self, prefix: str) -> str:
        """A new id, like `run_01jz5c2q8hm7k3v9x4e6t0w1yb`. Safe to call from any thread."""
        return f"{prefix}_{_encode(self._next_uuid())}"

    def make_uuid(self) -> int:
        """The 128 bits of a new UUIDv7. Safe to call from any thread."""
        return self._next_uuid()

    def _next_uuid(self) -> int:
        with self._lock:
            now_ms = self._clock.now_ms()
            if now_ms > self._last_ms:
                self._last_ms, self._last_random = now_ms, self._random_bits(_RANDOM_BITS)
            else:
                self._last_random += 1 + self._random_bits(_STEP_BITS)
                if self._last_random >> _RANDOM_BITS:
                    self._last_ms, self._last_random = self._last_ms + 1, self._random_bits(_RANDOM_BITS)
            return _join(self._last_ms, self._last_random)


def _join(moment_ms: int, random: int) -> int:
    return (moment_ms << 80) | (0x7 << 76) | ((random >> 62) << 64) | (0b10 << 62) | (random & ((1 << 62) - 1))


def _encode(uuid: int) -> str:
    # 26 digits of five bits each, of which the first two are zero.
    return "".join([_PAIRS[(uuid >> place) & 1_023] for place in _PLACES])


def derive_id(prefix: str, at_ms: int, seed: bytes) -> str:
    """An id that sorts by `at_ms` and is the same for the same seed: the random part is its BLAKE2b."""
    random = int.from_bytes(hashlib.blake2b(seed, digest_size=10).digest()) & ((1 << _RANDOM_BITS) - 1)
    return f"{prefix}_{_encode(_join(at_ms, random))}"


_PROCESS_SOURCE: Final = IdSource(SystemClock())


def make_id(prefix: str) -> str:
    """A new id from the source of this process; see `IdSource.make_id`."""
    return _PROCESS_SOURCE.make_id(prefix)


def make_uuid() -> int:
    """The 128 bits of a new UUIDv7 from the source of this process: those made later are greater."""
    return _PROCESS_SOURCE.make_uuid()


def is_id(text: str, prefix: str) -> bool:
    """Whether the text has the form of an id of this kind; says nothing about whether it exists."""
    head, separator, tail = text.partition("_")
    return head == prefix and separator == "_" and _ENCODED.fullmatch(tail) is not None


def parse_id(text: str, prefix: str) -> str:
    """The text itself, once it is known to be an id of this kind.

    Raises:
        InvalidIdError: it is not; its detail has the code `id_invalid`.
    """
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(f"{prefix!r} is no prefix of an id")
    if not is_id(text, prefix):
        raise InvalidIdError(text, prefix)
    return text
