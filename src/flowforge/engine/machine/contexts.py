"""What expressions of a run can read: lazy views on its state. Nothing is copied until an expression hands it on."""

from typing import cast

from flowforge.engine.events import BlobRef
from flowforge.engine.machine.state import PENDING, READY, STATUS_NAMES, Blob, Parts, RunState, Scope, Stored
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.expressions import MISSING, Context, Lazy
from flowforge.language.expressions.context import Missing
from flowforge.language.times import format_timestamp_ms


class BlobNeeded(Exception):
    """An expression reads a value that is not in memory: the shell loads it, and the step is decided again."""

    def __init__(self, blob: BlobRef) -> None:
        super().__init__(blob["id"])
        self.blob = blob


def read_value(state: RunState, value: Stored) -> JsonValue:
    """A value, or what its reference stands for. Raises BlobNeeded if that is not in memory."""
    if isinstance(value, Parts):
        return [read_value(state, part) for part in value.values]
    if not isinstance(value, Blob):
        return value
    if value.ref["id"] not in state.blobs:
        raise BlobNeeded(value.ref)
    return state.blobs[value.ref["id"]]


class StepView(Lazy):
    """One step: `output`, `error`, `status`, `port`, `attempts`."""

    __slots__ = ("_index", "_scope", "_state")

    def __init__(self, state: RunState, scope: Scope, index: int) -> None:
        self._state = state
        self._scope = scope
        self._index = index

    def find(self, name: str) -> JsonValue | Lazy | Missing:
        scope, index = self._scope, self._index
        if name == "output":
            value = scope.outputs.get(index)
            return read_value(self._state, value) if isinstance(value, Blob | Parts) else value
        if name == "status":
            return self._status()
        if name == "port":
            return scope.ports.get(index)
        if name == "error":
            return cast("JsonValue", scope.errors.get(index))
        if name == "attempts":
            return scope.attempts.get(index, 0)
        return MISSING

    def _status(self) -> str:
        code = self._scope.status[self._index]
        is_over = self._state.phase != "" and self._scope is self._state.root
        return "skipped" if is_over and code in {PENDING, READY} else STATUS_NAMES[code]

    def plain(self) -> JsonValue:
        return {name: cast("JsonValue", self.find(name)) for name in ("output", "error", "status", "port", "attempts")}


class StepsView(Lazy):
    """`steps`: looks in its own graph first and then outwards."""

    __slots__ = ("_scope", "_state")

    def __init__(self, state: RunState, scope: Scope) -> None:
        self._state = state
        self._scope = scope

    def find(self, name: str) -> JsonValue | Lazy | Missing:
        scope: Scope | None = self._scope
        while scope is not None:
            index = scope.graph.index.get(name)
            if index is not None:
                return StepView(self._state, scope, index)
            scope = scope.parent
        return MISSING

    def plain(self) -> JsonValue:
        found: JsonObject = {}
        scope: Scope | None = self._scope
        while scope is not None:
            for step in scope.graph.steps:
                if step.id not in found:
                    found[step.id] = StepView(self._state, scope, step.index).plain()
            scope = scope.parent
        return found


class RunView(Lazy):
    """`run`: `id`, `started_at`, `workflow`, `version`, and `resume_url` where the definition reads it.

    In `on_failure` and `finally` also `status` and `error`.
    """

    __slots__ = ("_state",)

    def __init__(self, state: RunState) -> None:
        self._state = state

    def find(self, name: str) -> JsonValue | Lazy | Missing:
        return self._fields().get(name, MISSING)

    def plain(self) -> JsonValue:
        return self._fields()

    def _fields(self) -> JsonObject:
        state = self._state
        fields: JsonObject = {
            "id": state.run_id,
            "started_at": format_timestamp_ms(state.started_at),
            "workflow": state.pinned["name"],
            "version": state.pinned["version"],
        }
        if "resume_url" in state.started:
            fields["resume_url"] = state.started["resume_url"]
        if state.phase:
            fields["status"] = state.status
            fields["error"] = None if state.error is None else {"step": None, **cast("JsonObject", state.error)}
        return fields


def roots_of(state: RunState, scope: Scope) -> dict[str, JsonValue | Lazy]:
    """The roots that expressions in a scope see; made once per scope."""
    if scope.roots is None:
        roots: dict[str, JsonValue | Lazy] = {
            "input": state.input,
            "steps": StepsView(state, scope),
            "run": RunView(state),
            "vars": cast("JsonObject", state.vars),
            "trigger": state.started["trigger"],
        }
        _add_iteration(state, scope, roots)
        scope.roots = roots
    return scope.roots


def _add_iteration(state: RunState, scope: Scope, roots: dict[str, JsonValue | Lazy]) -> None:
    """`index` and `previous` are those of the nearest loop, `item` that of the nearest foreach."""
    inner: Scope | None = scope
    while inner is not None:
        loop = inner.loop
        if loop is not None and "index" not in roots:
            roots["index"] = inner.item_index
            roots["previous"] = read_value(state, loop.values.get(inner.item_index - 1))
        if loop is not None and loop.items is not None:
            items = loop.items
            values = cast("list[JsonValue]", read_value(state, items)) if isinstance(items, Blob) else items
            roots["item"] = values[inner.item_index]
            return
        inner = inner.parent


def context_of(state: RunState, scope: Scope, key: str, now_ms: int) -> Context:
    """An evaluation for a step: `now()` is when it started, `uuid()` derives from the run and its key."""
    return Context(roots_of(state, scope), now_ms, f"{state.run_id}/{key}".encode())
