"""Slots and rates of steps (`limit`). Plan: slots by (scope, n) and by run; rates by key."""

import sqlite3
from collections.abc import Sequence

from flowforge.engine.queueing import take_place
from flowforge.engine.sqlite.rows import transaction
from flowforge.engine.sqlite.run_slots import find_held, take_slot
from flowforge.engine.store import SlotAnswer, SlotRequest

_IS_LIVE = "SELECT 1 FROM runs WHERE no=? AND finished_at IS NULL"
_IS_HELD = "SELECT 1 FROM slots WHERE run_no=? AND scope=? AND key=?"
_RATE = "SELECT tat FROM rates WHERE scope=?"
_SET_RATE = "INSERT INTO rates(scope, tat) VALUES (?, ?) ON CONFLICT(scope) DO UPDATE SET tat=excluded.tat"


def acquire_slots(connection: sqlite3.Connection, requests: Sequence[SlotRequest], now: int) -> list[SlotAnswer]:
    """See `Store.acquire`."""
    with transaction(connection):
        return [_answer(connection, request, now) for request in requests]


def _answer(connection: sqlite3.Connection, request: SlotRequest, now: int) -> SlotAnswer:
    # A slot that a finished run took would never come back.
    if connection.execute(_IS_LIVE, (request.run_no,)).fetchone() is None:
        return SlotAnswer(granted=False)
    if request.concurrency is not None:
        if connection.execute(_IS_HELD, (request.run_no, request.scope, request.key)).fetchone() is not None:
            return SlotAnswer(granted=True)
        if len(find_held(connection, request.scope)) >= request.concurrency:
            return SlotAnswer(granted=False)
    retry_at = _pass_rate(connection, request, now)
    if retry_at is not None:
        return SlotAnswer(granted=False, retry_at=retry_at)
    if request.concurrency is not None:
        take_slot(connection, request.scope, request.concurrency, request.run_no, request.key, now)
    return SlotAnswer(granted=True)


def _pass_rate(connection: sqlite3.Connection, request: SlotRequest, now: int) -> int | None:
    """Takes a place in the rate; else when to ask again."""
    if request.rate_count is None or request.rate_per_ms is None:
        return None
    row = connection.execute(_RATE, (request.scope,)).fetchone()
    place = take_place(0 if row is None else row[0], now, request.rate_count, request.rate_per_ms)
    if place.retry_at is None:
        connection.execute(_SET_RATE, (request.scope, place.tat_us))
    return place.retry_at
