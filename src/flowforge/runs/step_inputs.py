"""What the attempts of a step were given: evaluated again from the journal, since only its digest is kept there."""

from typing import Final, cast

from flowforge.engine.machine import Program, RunState, fold
from flowforge.engine.machine.contexts import BlobNeeded, context_of
from flowforge.engine.machine.packing import reveal, secret_names
from flowforge.engine.machine.state import locate
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.expressions import ExpressionError
from flowforge.language.graph import Call
from flowforge.runs.service import LoadedRun

_HIDDEN: Final = "•••"


def find_inputs(run: LoadedRun, key: str) -> dict[int, JsonValue]:
    """The parameters of each planned attempt by its number; a secret's place shows `•••`.

    None: what cannot be evaluated here any more, or needs a value that lies in the object store.
    """
    inputs: dict[int, JsonValue] = {}
    if run.workflow is None:
        return inputs
    state = RunState(Program(run.workflow), run.history.get_started(), run.header.started_at_ms)
    for event, at_ms in ((event, turn.at_ms) for turn in run.turns for event in turn.events):
        if event["type"] == "step.planned" and event["step"] == key:
            inputs[event["attempt"]] = _evaluate(state, key, at_ms)
        fold(state, event, at_ms)
    return inputs


def _evaluate(state: RunState, key: str, at_ms: int) -> JsonValue:
    try:
        scope, index = locate(state, key)
        parameters = scope.preset or state.parameters.get(key)
        action = scope.graph.steps[index].action
        if parameters is None and isinstance(action, Call):
            context = context_of(state, scope, key, state.started_steps.get(key, at_ms))
            parameters = cast("JsonObject", action.parameters.evaluate(context))
    except (KeyError, ExpressionError, BlobNeeded):
        return None
    return None if parameters is None else reveal(parameters, dict.fromkeys(secret_names(parameters), _HIDDEN))
