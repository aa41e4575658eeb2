"""Waiting for a run: until it ends, or stands still for something that this process cannot bring about."""

from typing import TYPE_CHECKING, Final, cast

from flowforge.engine.store import Glance
from flowforge.engine.why import explain_state
from flowforge.kit.border import decode
from flowforge.kit.errors import NotFoundError
from flowforge.kit.values import JsonObject

if TYPE_CHECKING:
    from flowforge.engine.executor.engine import Engine

_LOOK_S: Final = 1.0
"""Ends and releases wake the waiter at once; what other processes and called runs do is looked at this often."""


async def settle(engine: "Engine", run_no: int, patience_ms: int | None) -> str:
    """The status with which the run ended, or `waiting` or `paused`: for a person, a signal, or a time beyond the patience (None: any).

    Raises:
        NotFoundError: there is no such run.
        StorageError: the database could not be used for longer than the engine's storage patience.
    """
    while True:
        status = engine.watch.ended.get(run_no)
        if status is not None:
            return status
        engine.raise_if_stalled()
        causes = _find_live_causes(engine, run_no)
        if causes is None:
            glance = await _glance(engine, run_no)
            if glance.is_finished:
                return glance.status
            causes = _read_causes(engine, glance)
        if causes and causes[0]["kind"] == "paused":
            # What was in flight is waited for; times go on, but nothing comes of them until somebody resumes the run.
            if all(cause["kind"] != "running" for cause in causes):
                return "paused"
        elif causes and await _all_stand_still(engine, causes, patience_ms):
            return "waiting"
        await engine.watch.wait(run_no, _LOOK_S)


async def _glance(engine: "Engine", run_no: int) -> Glance:
    glance = await engine.committer.call(engine.store.glance, run_no)
    if glance is None:
        raise NotFoundError(f"There is no run with the number {run_no} any more.")
    return glance


def _find_live_causes(engine: "Engine", run_no: int) -> list[JsonObject] | None:
    """Why a run in memory waits; empty if it goes on; None if it is not in memory here."""
    live = engine.lives.get(run_no)
    if live is None:
        return None
    if live.outcomes or live.pending or live.looking or live.is_blocked or live.state.ready:
        return []
    return cast("list[JsonObject]", explain_state(live.state)["causes"])


def _read_causes(engine: "Engine", glance: Glance) -> list[JsonObject]:
    """Why a run in the queue waits; empty if it is due or somebody has it."""
    if glance.why is None or glance.due_at is None:
        return []
    causes = cast("list[JsonObject]", cast("JsonObject", decode(glance.why.encode()))["causes"])
    is_left = bool(causes) and causes[0]["kind"] == "newer"
    return causes if is_left or glance.due_at > engine.parts.clock.now_ms() else []


async def _all_stand_still(engine: "Engine", causes: list[JsonObject], patience_ms: int | None) -> bool:
    for cause in causes:
        if not await _stands_still(engine, cause, patience_ms):
            return False
    return True


async def _stands_still(engine: "Engine", cause: JsonObject, patience_ms: int | None) -> bool:
    kind = cause["kind"]
    if kind in {"person", "paused", "fault", "newer"}:
        return True
    if kind == "signal" and "until" not in cause:
        return True
    if kind in {"timer", "retry", "breaker", "every", "signal"}:
        return patience_ms is not None and cast("int", cause["until"]) - engine.parts.clock.now_ms() > patience_ms
    if kind == "child":
        run_no = cast("int", cast("JsonObject", cause["ref"])["no"])
        causes = _find_live_causes(engine, run_no)
        if causes is None:
            causes = _read_causes(engine, await _glance(engine, run_no))
        return bool(causes) and await _all_stand_still(engine, causes, patience_ms)
    return False
