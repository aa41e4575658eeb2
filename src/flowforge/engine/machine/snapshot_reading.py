"""Makes the state of a run from a snapshot's JSON."""

import heapq
from array import array
from collections.abc import Sequence
from typing import cast

from flowforge.engine.events import BlobRef
from flowforge.engine.machine.packing import unpack_parameters
from flowforge.engine.machine.snapshot_shape import BLOB, PARTS, AttemptData, LoopData, Place, ScopeData, StateData
from flowforge.engine.machine.state import (
    FINALLY,
    ON_FAILURE,
    UNDO,
    Blob,
    Loop,
    OpenAttempt,
    Parts,
    Plan,
    Program,
    RunState,
    Scope,
    Signal,
    Stored,
    Undo,
    Wait,
)
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.graph import Foreach, Graph, Repeat, Step, Workflow


def read_state(program: Program, written: StateData) -> RunState:
    """Raises ValueError, LookupError, TypeError or AttributeError where it is not what `write_state` gives for the program."""
    return _Reader(program, written).read()


class _Reader:
    """Makes the scopes in the order of their numbers: what a scope lies in was always opened before it."""

    def __init__(self, program: Program, written: StateData) -> None:
        self._program = program
        self._written = written
        self._scopes: dict[int, Scope] = {}
        self._loops: dict[int, Loop] = {}

    def read(self) -> RunState:
        written = self._written
        state = RunState(self._program, written["started"], written["started_at"])
        for data in written["all_scopes"]:
            self._scopes[data["number"]] = self._read_scope(data)
        for place in range(len(written["all_loops"])):
            self._get_loop(place)
        for place, loop in self._loops.items():
            inner = [self._scopes[number] for number in written["all_loops"][place]["scopes"]]
            loop.scopes = {scope.item_index: scope for scope in inner}
        self._read_facts(state)
        self._read_progress(state)
        self._read_waits(state)
        self._read_undo(state)
        return state

    def _read_scope(self, data: ScopeData) -> Scope:
        loop = None if data["loop"] is None else self._get_loop(data["loop"])
        parent = loop.scope if loop is not None else self._scopes.get(1)
        plan = loop.plan if loop is not None else self._find_plan(data)
        scope = Scope(plan, data["path"], parent, data["number"])
        scope.loop, scope.item_index, scope.open = loop, data["item_index"], data["open"]
        scope.status = bytearray.fromhex(data["status"])
        scope.left = array("H", data["left"])
        scope.taken = bytearray.fromhex(data["taken"])
        if not len(scope.status) == len(scope.left) == len(scope.taken) == plan.size:
            raise ValueError(f"the graph of {data['path']!r} has {plan.size} steps")
        scope.ports = dict(data["ports"])
        scope.outputs = _restore_all(data["outputs"])
        scope.errors = dict(data["errors"])
        scope.attempts = dict(data["attempts"])
        scope.failures = dict(data["failures"])
        scope.losses = dict(data["losses"])
        scope.preset = None if data["preset"] is None else unpack_parameters(data["preset"])
        return scope

    def _find_plan(self, data: ScopeData) -> Plan:
        program, path = self._program, data["path"]
        if data["undo"] is not None:
            step = _find_step(program.workflow, path.removeprefix(UNDO) + data["undo"])
            if step.compensate is None:
                raise ValueError(f"{step.id} has no compensation")
            return program.undo_plan(step, step.compensate)
        return program.plan(_find_graph(program.workflow, path))

    def _get_loop(self, place: int) -> Loop:
        loop = self._loops.get(place)
        if loop is None:
            loop = self._loops[place] = self._read_loop(self._written["all_loops"][place])
        return loop

    def _read_loop(self, data: LoopData) -> Loop:
        number, index = data["place"]
        scope = self._scopes[number]
        action = scope.graph.steps[index].action
        if not isinstance(action, Foreach | Repeat):
            raise TypeError(f"{scope.key(index)} is no loop")
        loop = Loop(scope, index, self._program.plan(action.body), data["window"])
        loop.count = data["count"]
        loop.items = cast("list[JsonValue] | Blob | None", _restore(data["items"]))
        loop.next, loop.running = data["next"], data["running"]
        loop.values = _restore_all(data["values"])
        loop.failures = data["failures"]
        loop.previous = _restore(data["previous"])
        loop.is_over, loop.error = data["is_over"], data["error"]
        return loop

    def _read_facts(self, state: RunState) -> None:
        written = self._written
        if written["input"] is not None:
            (state.input,) = cast("list[JsonValue]", written["input"])
        state.at = written["at"]
        state.epoch = written["epoch"]
        state.mail_seen = written["mail_seen"]
        state.is_poison = written["is_poison"]
        state.phase = written["phase"]
        state.status = written["status"]
        state.output = cast("JsonValue | Blob", _restore(written["output"]))
        state.error = written["error"]
        state.uncompensated = written["uncompensated"]
        state.is_paused = written["is_paused"]
        state.cancel_by = written["cancel_by"]
        state.discarded = written["discarded"]

    def _read_progress(self, state: RunState) -> None:
        written = self._written
        state.scope_count = written["scope_count"]
        state.scopes = {scope.path: scope for scope in self._find_scopes(written["scopes"])}
        state.root = state.scopes[""]
        state.loops = {loop.key: loop for loop in self._find_loops(written["loops"])}
        state.ready = {(number << 16) | index: (self._scopes[number], index) for number, index in written["ready"]}
        state.closing = {scope.path: scope for scope in self._find_scopes(written["closing"])}
        state.closing_loops = {loop.key: loop for loop in self._find_loops(written["closing_loops"])}
        state.failing = {key: (self._scopes[number], error) for key, number, error in written["failing"]}
        state.open = self._read_attempts(written["open"])
        state.unknown = self._read_attempts(written["unknown"])
        state.aborting = self._read_attempts(written["aborting"])
        state.started_steps = written["started_steps"]
        state.parameters = {key: unpack_parameters(packed) for key, packed in written["parameters"].items()}

    def _read_waits(self, state: RunState) -> None:
        written = self._written
        state.waits = {key: Wait(kind, since, until, ref) for key, kind, since, until, ref in written["waits"]}
        state.slot_waits = self._read_places(written["slot_waits"])
        state.signal_waits = self._read_places(written["signal_waits"])
        state.parked = self._read_places(written["parked"])
        state.signals = [Signal(*signal) for signal in written["signals"]]
        state.fired = written["fired"]
        state.child_results = written["child_results"]
        state.job_results = written["job_results"]
        state.skips = {key: (output, by) for key, (output, by) in written["skips"].items()}
        state.resolved_as_done = written["resolved_as_done"]
        state.timers = written["timers"]
        state.timer_heap = [(due, which) for which, due in state.timers.items()]
        heapq.heapify(state.timer_heap)

    def _read_undo(self, state: RunState) -> None:
        written, number = self._written, self._written["undo_scope"]
        state.undo = [self._restore_undo(undo) for undo in written["undo"]]
        state.undo_now = None if written["undo_now"] is None else self._restore_undo(written["undo_now"])
        state.undo_scope = None if number is None else self._scopes[number]

    def _restore_undo(self, data: JsonObject) -> Undo:
        key, packed = str(data["key"]), cast("JsonObject | None", data["packed"])
        parameters = None if packed is None else unpack_parameters(packed)
        return Undo(key, _find_step(self._program.workflow, key), parameters, cast("JsonObject | None", data["error"]))

    def _find_scopes(self, numbers: Sequence[int]) -> list[Scope]:
        return [self._scopes[number] for number in numbers]

    def _find_loops(self, places: Sequence[int]) -> list[Loop]:
        return [self._loops[place] for place in places]

    def _read_places(self, places: Sequence[Place]) -> dict[str, tuple[Scope, int]]:
        found = [(self._scopes[number], index) for number, index in places]
        return {scope.key(index): (scope, index) for scope, index in found}

    def _read_attempts(self, attempts: Sequence[AttemptData]) -> dict[str, OpenAttempt]:
        found = [
            OpenAttempt(self._scopes[number], index, attempt, planned_at, child, job)
            for (number, index), attempt, planned_at, child, job in attempts
        ]
        return {attempt.scope.key(attempt.index): attempt for attempt in found}


def _find_graph(workflow: Workflow, path: str) -> Graph:
    """The graph of a scope by its path: `~finally/items.3/`."""
    graph = workflow.graph
    for prefix, other in ((ON_FAILURE, workflow.on_failure), (FINALLY, workflow.finally_)):
        if path.startswith(prefix):
            if other is None:
                raise ValueError(f"the workflow has no {prefix}")
            graph, path = other, path.removeprefix(prefix)
    for part in path.split("/")[:-1]:
        action = graph.steps[graph.index[part[: part.rindex(".")]]].action
        if not isinstance(action, Foreach | Repeat):
            raise TypeError(f"{part} is no iteration")
        graph = action.body
    return graph


def _find_step(workflow: Workflow, key: str) -> Step:
    cut = key.rfind("/") + 1
    graph = _find_graph(workflow, key[:cut])
    return graph.steps[graph.index[key[cut:]]]


def _restore(kept: JsonValue) -> Stored:
    tag, value = cast("list[JsonValue]", kept)
    if tag == BLOB:
        return Blob(cast("BlobRef", value))
    if tag == PARTS:
        return Parts([_restore(part) for part in cast("list[JsonValue]", value)])
    return value


def _restore_all(pairs: list[tuple[int, JsonValue]]) -> dict[int, Stored]:
    return {index: _restore(kept) for index, kept in pairs}
