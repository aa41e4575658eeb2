"""Streams stay open for hours: whether their reader may still read is asked again and again, once for all streams of one credential."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from starlette.requests import HTTPConnection

from flowforge.kit.clock import Clock
from flowforge.web.callers import Caller
from flowforge.web.calls import Gate

RENEW_S: Final = 5.0
"""How often a stream asks. What was revoked ends within twice this time."""
_SHARED_S: Final = 4.0
_KEPT_MAX: Final = 10_000
_CREDENTIALS: Final = frozenset({b"authorization", b"cookie", b"x-api-key", b"x-workspace", b"origin"})

_Mark = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class _Answer:
    caller: Caller
    at_s: float


class Admissions:
    """Asks the gate on behalf of open streams."""

    def __init__(self, gate: Gate, clock: Clock) -> None:
        self._gate = gate
        self._clock = clock
        self._known: OrderedDict[_Mark, _Answer] = OrderedDict()

    async def admit(self, connection: HTTPConnection, guard: str) -> Caller:
        """Who reads. What is known of the same credential counts for 4 seconds.

        Raises:
            FlowForgeError: the gate refuses: the stream ends.
        """
        mark, now_s = _mark(connection, guard), self._clock.monotonic_s()
        known = self._known.get(mark)
        if known is not None and now_s - known.at_s < _SHARED_S:
            return known.caller
        self._known.pop(mark, None)
        caller = await self._gate.admit(connection, guard)
        self._known[mark] = _Answer(caller, now_s)
        if len(self._known) > _KEPT_MAX:
            self._known.popitem(last=False)
        return caller


def _mark(connection: HTTPConnection, guard: str) -> _Mark:
    scope = connection.scope
    headers = tuple((name, value) for name, value in scope["headers"] if name in _CREDENTIALS)
    client = scope.get("client")
    return (headers, scope["query_string"], scope["type"], client[0] if client else None, guard)


def with_token(connection: HTTPConnection, token: str) -> HTTPConnection:
    """The connection as if it had come with this token alone."""
    headers = [pair for pair in connection.scope["headers"] if pair[0] not in {b"authorization", b"cookie", b"x-api-key"}]
    headers.append((b"authorization", b"Bearer " + token.encode()))
    return HTTPConnection({**connection.scope, "headers": headers})
