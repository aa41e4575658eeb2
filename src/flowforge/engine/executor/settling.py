"""Waiting for a run: until it ends, or stands still for something that this process cannot bring about."""

from typing import TYPE_CHECKING, Final, cast

import orjson

from flowforge.engine.events import Event
from flowforge.engine.why import explain_state
from flowforge.kit.values import JsonObject

if TYPE_CHECKING:
    from flowforge.engine.executor.engine import Engine

_LOOK_S: Final = 1.0
"""Ends and releases wake the waiter at once; what other processes and called runs do is looked at this often."""


async def settle(engine: "Engine", run_no: int, patience_ms: int | None) -> str:
    """The status with which the run ended, or `waiting` or `paused`: for a person, a signal, or a time beyond the patience (None: any).

    Raises:
        StorageError: the database could not be used for longer than the engine's storage patience.
    """
    while True:
        status = engine.watch.ended.get(run_no)
        if status is not None:
            return status
        engine.raise_if_stalled()
        causes = _find_causes(engine, run_no)
        if causes and all(_stands_still(engine, cause, patience_ms) for cause in causes):
            return "paused" if causes[0]["kind"] == "paused" else "waiting"
        if causes is None:
            status = await _read_end(engine, run_no)
            if status is not None:
                return status
        await engine.watch.wait(run_no, _LOOK_S)


def _find_causes(engine: "Engine", run_no: int) -> list[JsonObject] | None:
    """Why the run waits; empty if it goes on; None if it is not ours now."""
    live = engine.lives.get(run_no)
    if live is None:
        standing = engine.watch.standing.get(run_no)
        return None if standing is None else cast("list[JsonObject]", standing["causes"])
    if live.outcomes or live.pending or live.is_blocked or live.state.ready:
        return []
    return cast("list[JsonObject]", explain_state(live.state)["causes"])


def _stands_still(engine: "Engine", cause: JsonObject, patience_ms: int | None) -> bool:
    kind = cause["kind"]
    if kind in {"person", "paused"}:
        return True
    if kind == "signal" and "until" not in cause:
        return True
    if kind in {"timer", "retry", "every", "signal"}:
        return patience_ms is not None and cast("int", cause["until"]) - engine.parts.clock.now_ms() > patience_ms
    if kind == "child":
        run_no = cast("int", cast("JsonObject", cause["ref"])["no"])
        causes = _find_causes(engine, run_no)
        return bool(causes) and all(_stands_still(engine, inner, patience_ms) for inner in causes)
    return False


async def _read_end(engine: "Engine", run_no: int) -> str | None:
    """The end of a run that another process carried out, from its journal."""
    rows = await engine.committer.call(engine.store.load, run_no)
    if not rows:
        return None
    events: list[Event] = orjson.loads(rows[-1].body)
    last = events[-1]
    return last["status"] if last["type"] == "run.finished" else None
