"""Slots and rates of steps (`limit`). Plan: runs by key; slots by (scope, n) and by run; rates by key."""

from collections.abc import Sequence

from flowforge.engine.database_server.dialect import Session
from flowforge.engine.database_server.rows import for_keys
from flowforge.engine.database_server.run_slots import find_held, lock_scopes, take_slot
from flowforge.engine.queueing import take_place
from flowforge.engine.store import SlotAnswer, SlotRequest

# Locked, as a slot that a finished run took would never come back.
_LIVE = "SELECT no FROM runs WHERE finished_at IS NULL AND no IN"
_IN_ORDER = "ORDER BY no FOR UPDATE"
_IS_HELD = 'SELECT 1 FROM slots WHERE run_no=%s AND scope=%s AND "key"=%s'
_RATE = "SELECT tat FROM rates WHERE scope=%s"
_SET_RATE = "UPDATE rates SET tat=%s WHERE scope=%s"


def acquire_slots(session: Session, requests: Sequence[SlotRequest], now: int) -> list[SlotAnswer]:
    """See `Store.acquire`."""
    if not requests:
        return []
    with session.transaction():
        live = {no for (no,) in for_keys(session, _LIVE, {request.run_no for request in requests}, _IN_ORDER)}
        lock_scopes(session, (request.scope for request in requests if request.run_no in live))
        return [_answer(session, request, now) if request.run_no in live else SlotAnswer(granted=False) for request in requests]


def _answer(session: Session, request: SlotRequest, now: int) -> SlotAnswer:
    if request.concurrency is not None:
        if session.fetch(_IS_HELD, (request.run_no, request.scope, request.key)):
            return SlotAnswer(granted=True)
        if len(find_held(session, request.scope)) >= request.concurrency:
            return SlotAnswer(granted=False)
    retry_at = _pass_rate(session, request, now)
    if retry_at is not None:
        return SlotAnswer(granted=False, retry_at=retry_at)
    if request.concurrency is not None:
        take_slot(session, request.scope, request.concurrency, request.run_no, request.key, now)
    return SlotAnswer(granted=True)


def _pass_rate(session: Session, request: SlotRequest, now: int) -> int | None:
    """Takes a place in the rate; else when to ask again. The scope's row is there, locked."""
    if request.rate_count is None or request.rate_per_ms is None:
        return None
    place = take_place(session.fetch(_RATE, (request.scope,))[0][0], now, request.rate_count, request.rate_per_ms)
    if place.retry_at is None:
        session.send(_SET_RATE, (place.tat_us, request.scope))
    return place.retry_at
