"""The triggers of a document."""

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.compiling.settings import as_object, as_text
from flowforge.language.compiling.templates import Rules, TemplateCompiler
from flowforge.language.compiling.views import IN_TRIGGER
from flowforge.language.faults import Sink, suggest_name
from flowforge.language.graph import Trigger
from flowforge.language.positions import Path
from flowforge.language.shapes import show
from flowforge.language.triggers import TRIGGER_KINDS, TriggerKind


def compile_triggers(value: JsonValue, templates: TemplateCompiler, sink: Sink) -> tuple[Trigger, ...]:
    """The triggers, in their order; what is wrong is in the sink."""
    if not isinstance(value, list):
        return ()
    _refuse_twins(value, sink)
    return tuple(
        _compile_trigger(item, ("triggers", index), templates, sink) for index, item in enumerate(value) if isinstance(item, dict)
    )


def _refuse_twins(items: list[JsonValue], sink: Sink) -> None:
    seen: set[str] = set()
    for index, item in enumerate(items):
        name = as_text(as_object(item).get("id"))
        if name and name.lower() in seen:
            sink.add("id_duplicate", ("triggers", index, "id"), f"Another trigger is called {show(name)} already.")
        seen.add(name.lower())


def _compile_trigger(value: JsonObject, path: Path, templates: TemplateCompiler, sink: Sink) -> Trigger:
    uses = as_text(value.get("uses"))
    parameters = as_object(value.get("with"))
    kind = TRIGGER_KINDS.get(uses)
    if kind is not None:
        kind.parameters.check(parameters, (*path, "with"), sink)
        _compile_parameters(kind, parameters, (*path, "with"), templates)
        _warn_about_secrets(kind, parameters, (*path, "with"), sink)
    elif "uses" in value:
        message = f"There is no kind of trigger {show(value['uses'])}; known are {', '.join(TRIGGER_KINDS)}."
        sink.add("kind_unknown", (*path, "uses"), message, suggestion=suggest_name(uses, TRIGGER_KINDS))
    made = templates.compile(value["input"], (*path, "input"), IN_TRIGGER) if "input" in value else None
    return Trigger(as_text(value.get("id")), uses, parameters, made)


def _compile_parameters(kind: TriggerKind, parameters: JsonObject, path: Path, templates: TemplateCompiler) -> None:
    """Checks the expressions; a trigger's parameters are evaluated by the server, which compiles them again."""
    for name, item in parameters.items():
        if name in kind.expression_fields:
            templates.compile_condition(item, (*path, name), IN_TRIGGER)
        elif name in kind.secret_fields:
            templates.compile({name: item}, path, IN_TRIGGER, Rules(frozenset({name})))


def _warn_about_secrets(kind: TriggerKind, parameters: JsonObject, path: Path, sink: Sink) -> None:
    for name in kind.secret_fields & parameters.keys():
        _warn_below(parameters[name], (*path, name), sink)


def _warn_below(value: JsonValue, path: Path, sink: Sink) -> None:
    if isinstance(value, dict):
        for name, item in value.items():
            if name not in ("user", "header"):
                _warn_below(item, (*path, name), sink)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _warn_below(item, (*path, index), sink)
    elif isinstance(value, str) and value not in ("", "none") and "${{" not in value:
        message = "This is a secret in plain text; store it with `flowforge secrets set NAME` and write ${{ secrets.NAME }}."
        sink.warn("secret_in_definition", path, message)
