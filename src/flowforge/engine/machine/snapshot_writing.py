"""Writes the state of a run as a snapshot's JSON."""

from collections.abc import Iterable
from typing import cast

from flowforge.engine.machine.packing import pack_parameters
from flowforge.engine.machine.snapshot_shape import BLOB, PARTS, PLAIN, AttemptData, LoopData, Place, ScopeData, StateData
from flowforge.engine.machine.state import UNDO, Blob, Loop, OpenAttempt, Parts, RunState, Scope, Stored, Undo
from flowforge.kit.values import JsonObject, JsonValue


def write_state(state: RunState) -> StateData:
    """Everything that the journal says, and nothing else."""
    return _Writer(state).write()


class _Writer:
    """Gathers the scopes and loops that anything refers to, those of the state first."""

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._scopes: dict[int, Scope] = {}
        self._loops: dict[int, int] = {}
        self._gathered: list[Loop] = []
        for scope in state.scopes.values():
            self._gather(scope)
        for attempt in state.aborting.values():
            self._gather(attempt.scope)

    def _gather(self, scope: Scope) -> None:
        """An aborted attempt keeps its scope, and what that lies in, beyond their end."""
        if scope.number in self._scopes:
            return
        self._scopes[scope.number] = scope
        if scope.parent is not None:
            self._gather(scope.parent)
        if scope.loop is not None and id(scope.loop) not in self._loops:
            self._gather_loop(scope.loop)

    def _gather_loop(self, loop: Loop) -> None:
        self._loops[id(loop)] = len(self._gathered)
        self._gathered.append(loop)
        for inner in loop.scopes.values():
            self._gather(inner)

    def write(self) -> StateData:
        state = self._state
        for loop in state.loops.values():
            if id(loop) not in self._loops:
                self._gather_loop(loop)
        return {
            "started": state.started,
            "input": None if state.input is state.started["input"] else [state.input],
            "started_at": state.started_at,
            "at": state.at,
            "epoch": state.epoch,
            "mail_seen": state.mail_seen,
            "is_poison": state.is_poison,
            "phase": state.phase,
            "status": state.status,
            "output": _keep(state.output),
            "error": state.error,
            "uncompensated": state.uncompensated,
            "is_paused": state.is_paused,
            "cancel_by": state.cancel_by,
            "discarded": state.discarded,
            "scope_count": state.scope_count,
            "all_scopes": [self._write_scope(self._scopes[number]) for number in sorted(self._scopes)],
            "all_loops": [_write_loop(loop) for loop in self._gathered],
            "scopes": [scope.number for scope in state.scopes.values()],
            "loops": [self._loops[id(loop)] for loop in state.loops.values()],
            "ready": _write_places(state.ready.values()),
            "closing": [scope.number for scope in state.closing.values()],
            "closing_loops": [self._loops[id(loop)] for loop in state.closing_loops.values()],
            "failing": [(key, scope.number, error) for key, (scope, error) in state.failing.items()],
            "open": _write_attempts(state.open),
            "unknown": _write_attempts(state.unknown),
            "aborting": _write_attempts(state.aborting),
            "waits": [(key, wait.kind, wait.since, wait.until, wait.ref) for key, wait in state.waits.items()],
            "slot_waits": _write_places(state.slot_waits.values()),
            "signal_waits": _write_places(state.signal_waits.values()),
            "parked": _write_places(state.parked.values()),
            "signals": [(signal.no, signal.name, signal.key, signal.payload) for signal in state.signals],
            "fired": state.fired,
            "child_results": state.child_results,
            "job_results": state.job_results,
            "skips": state.skips,
            "resolved_as_done": state.resolved_as_done,
            "started_steps": state.started_steps,
            "timers": state.timers,
            "undo": [_write_undo(undo) for undo in state.undo],
            "undo_scope": None if state.undo_scope is None else state.undo_scope.number,
            "undo_now": None if state.undo_now is None else _write_undo(state.undo_now),
            "parameters": _write_parameters(state),
        }

    def _write_scope(self, scope: Scope) -> ScopeData:
        is_undo = scope.loop is None and scope.path.startswith(UNDO)
        return {
            "number": scope.number,
            "path": scope.path,
            "loop": None if scope.loop is None else self._loops[id(scope.loop)],
            "item_index": scope.item_index,
            "undo": scope.graph.steps[0].id if is_undo else None,
            "open": scope.open,
            "status": scope.status.hex(),
            "left": scope.left.tolist(),
            "taken": scope.taken.hex(),
            "ports": list(scope.ports.items()),
            "outputs": _keep_all(scope.outputs),
            "errors": list(scope.errors.items()),
            "attempts": list(scope.attempts.items()),
            "failures": list(scope.failures.items()),
            "losses": list(scope.losses.items()),
            "preset": None if scope.preset is None else pack_parameters(scope.preset),
        }


def _write_loop(loop: Loop) -> LoopData:
    return {
        "place": (loop.scope.number, loop.index),
        "window": loop.window,
        "count": loop.count,
        "items": _keep(loop.items),
        "next": loop.next,
        "running": loop.running,
        "values": _keep_all(loop.values),
        "failures": loop.failures,
        "previous": _keep(loop.previous),
        "scopes": [scope.number for scope in loop.scopes.values()],
        "is_over": loop.is_over,
        "error": loop.error,
    }


def _write_places(places: Iterable[tuple[Scope, int]]) -> list[Place]:
    return [(scope.number, index) for scope, index in places]


def _write_attempts(attempts: dict[str, OpenAttempt]) -> list[AttemptData]:
    return [
        ((found.scope.number, found.index), found.attempt, found.planned_at, found.child, found.job)
        for found in attempts.values()
    ]


def _write_undo(undo: Undo) -> JsonObject:
    packed = None if undo.parameters is None else pack_parameters(undo.parameters)
    return {"key": undo.key, "packed": packed, "error": undo.error}


def _write_parameters(state: RunState) -> dict[str, JsonObject]:
    """Those that the journal holds because they could not be evaluated again; all others are a cache."""
    kept: dict[str, JsonObject] = {}
    for key, parameters in state.parameters.items():
        scope = state.scopes.get(key[: key.rfind("/") + 1])
        if scope is not None and scope.graph.races and scope.preset is None:
            kept[key] = pack_parameters(parameters)
    return kept


def _keep(value: Stored) -> JsonValue:
    if isinstance(value, Blob):
        return [BLOB, cast("JsonObject", value.ref)]
    if isinstance(value, Parts):
        return [PARTS, [_keep(part) for part in value.values]]
    return [PLAIN, value]


def _keep_all(values: dict[int, Stored]) -> list[tuple[int, JsonValue]]:
    return [(index, _keep(value)) for index, value in values.items()]
