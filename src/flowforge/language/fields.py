"""The fields of a document and of a step, as one table: the checks, the JSON Schema and the reference come from it."""

from typing import Final

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.faults import At, Sink
from flowforge.language.kinds import STEP_ID, STEP_ID_HINT, WORKFLOW_NAME, WORKFLOW_NAME_HINT
from flowforge.language.positions import Path
from flowforge.language.shapes import (
    Choice,
    Condition,
    Constant,
    Duration,
    Either,
    Field,
    Flag,
    Group,
    ListOf,
    MapOf,
    Number,
    Rate,
    Shape,
    Templated,
    TemplatedScalar,
    Text,
    Whole,
)

LANGUAGE_VERSION: Final = 1
QUEUE_NAME: Final = r"(?!default$)[a-z0-9_-]{1,40}"
LABEL_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}"


class StepList(Shape):
    """A graph: a list of at least one step. The steps themselves are checked by the compiler, which knows their kinds."""

    def check(self, value: JsonValue, path: Path, sink: Sink) -> None:
        if not isinstance(value, list):
            sink.add("type", path, "A list of steps is expected here.")
        elif not value:
            sink.add("required", path, "There is no step here; at least one is needed.")

    def schema(self) -> JsonObject:
        return {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/step"}}


class InputSchema(Shape):
    """A JSON Schema; what it says is checked by `language.inputs`."""

    def check(self, value: JsonValue, path: Path, sink: Sink) -> None:
        if not isinstance(value, dict):
            sink.add("type", path, "A JSON Schema (an object) is expected here.")

    def schema(self) -> JsonObject:
        return {"type": "object", "$ref": "https://json-schema.org/draft/2020-12/schema"}


class TriggerParameters(Shape):
    """Parameters of a trigger, checked by `language.triggers`, which knows its kind."""

    def check(self, value: JsonValue, path: Path, sink: Sink) -> None:
        if not isinstance(value, dict):
            sink.add("type", path, "An object is expected here.")

    def schema(self) -> JsonObject:
        return {"type": "object"}


def _check_mock(value: JsonObject, path: Path, sink: Sink) -> None:
    if ("output" in value) == ("error" in value):
        sink.add("one_of", path, "A mock has either `output` or `error`.", at=At.KEY)


def _check_limit(value: JsonObject, path: Path, sink: Sink) -> None:
    if "concurrency" not in value and "rate" not in value:
        sink.add("one_of", path, "A limit needs `concurrency`, `rate` or both.", at=At.KEY)


RETRY: Final = Group(
    (
        Field("attempts", Whole(1, 1_000), "How many attempts, the first one included.", default=1),
        Field(
            "backoff",
            Choice(("fixed", "linear", "exponential", "fibonacci")),
            "How the delay grows from attempt to attempt.",
            default="exponential",
        ),
        Field("initial", Duration(), "The first delay.", default="1s"),
        Field("multiplier", Number(1, 100), "Growth of an exponential delay.", default=2),
        Field("max", Duration(), "The longest delay.", default="5m"),
        Field("jitter", Flag(), "Takes 0.5 to 1 times the delay, so that runs do not retry in step.", default=True),
        Field(
            "on",
            ListOf(Text(r"[A-Za-z][A-Za-z0-9_.]*\*?|\*", 100, hint="an error code, or its beginning and a star"), 1),
            "Error codes that may be retried (`http_*` allowed); overrides the operation's own view.",
        ),
    )
)
TIMEOUT: Final = Duration()
COMPENSATE: Final = Group(
    (
        Field("uses", Text(), "The operation that undoes the step.", is_required=True),
        Field("with", Templated(object_only=True), "Its parameters; may read the step itself."),
        Field("retry", RETRY, "When it is tried again."),
        Field("timeout", TIMEOUT, "The longest time of one attempt.", default="5m"),
    )
)
LIMIT: Final = Group(
    (
        Field(
            "key",
            Templated(text_only=True),
            "Steps of all runs of the workspace with this key share the limit.",
            is_required=True,
        ),
        Field("concurrency", Whole(1, 1_000_000), "How many of them run at once."),
        Field("rate", Rate(), "How many of them start in a time, evenly spaced."),
    ),
    (_check_limit,),
)
MOCK: Final = Group(
    (
        Field("output", Constant(), "What the step gives in a mocked run."),
        Field(
            "error",
            Group(
                (
                    Field("code", Text(), "The error's code.", is_required=True),
                    Field("message", Text(), "The sentence for people."),
                    Field("details", Constant(), "More about it."),
                )
            ),
            "The error that the step gives in a mocked run.",
        ),
    ),
    (_check_mock,),
)
AFTER: Final = Either((((str,), Text()), ((list,), ListOf(Text()))), "the name of a step or of a step's port, or a list of them")
STEP: Final = Group(
    (
        Field(
            "id", Text(STEP_ID, 63, "id_invalid", STEP_ID_HINT), "How expressions and `after` call the step.", is_required=True
        ),
        Field("uses", Text(), "What it does: a flow kind or an operation.", is_required=True),
        Field("title", Text(max_characters=200), "Shown to people instead of the id."),
        Field("description", Text(max_characters=10_000), "What people should know about it."),
        Field("after", AFTER, "Steps or ports that it follows; without it, the step above. `[]`: starts with the run."),
        Field("join", Choice(("merge", "all", "first")), "When a step with several edges starts.", default="merge"),
        Field("when", Condition(), "False: the step is bypassed; its output is null and its ordinary exit is taken."),
        Field("with", Templated(object_only=True), "Parameters."),
        Field("retry", RETRY, "When a failed attempt is followed by another."),
        Field(
            "timeout", TIMEOUT, "Of one attempt of an operation (5m by default); of the whole step on waits, calls, containers."
        ),
        Field("on_error", Choice(("fail", "continue", "ask")), "What happens after the last attempt.", default="fail"),
        Field(
            "on_interrupt",
            Choice(("repeat", "fail", "ask")),
            "What happens when a worker died and nobody knows whether the effect took place.",
            default="repeat",
        ),
        Field(
            "queue",
            Text(
                QUEUE_NAME,
                40,
                "name_invalid",
                "a queue is called by small letters, digits, hyphens and underscores, and not `default`, the queue of runs",
            ),
            "Where its attempts wait for a worker that serves this queue; without it they are made where the run is.",
        ),
        Field("limit", LIMIT, "A limit over all runs of the workspace."),
        Field("mock", MOCK, "What the step gives in a mocked run instead of running."),
        Field("compensate", COMPENSATE, "The operation that undoes the step when the run fails later."),
        Field("steps", StepList(), "The steps inside a loop, a graph of their own."),
        Field("output", Templated(), "The value of one iteration; without it, the output of the last step."),
        Field("break", Condition(), "Evaluated after each iteration; true ends the loop with what there is."),
    )
)
TRIGGER: Final = Group(
    (
        Field("id", Text(STEP_ID, 63, "id_invalid", STEP_ID_HINT), "Its name in this document.", is_required=True),
        Field("uses", Text(), "Its kind: webhook, schedule, file, event, email or form.", is_required=True),
        Field("with", TriggerParameters(), "Its parameters."),
        Field("input", Templated(), "The run's input, made from `trigger`."),
    )
)
CONCURRENCY: Final = Group(
    (
        Field("key", Templated(text_only=True), "Runs with an equal key share the limit; without it, all runs of the workflow."),
        Field("limit", Whole(1, 1_000_000), "How many runs are open at once.", default=1),
        Field(
            "when_full",
            Choice(("queue", "reject", "cancel_oldest")),
            "What happens to a start beyond the limit.",
            default="queue",
        ),
    )
)
DOCUMENT: Final = Group(
    (
        Field("flowforge", Whole(LANGUAGE_VERSION, LANGUAGE_VERSION), "The version of the language.", is_required=True),
        Field("name", Text(WORKFLOW_NAME, 63, "name_invalid", WORKFLOW_NAME_HINT), "The workflow's name.", is_required=True),
        Field("title", Text(max_characters=200), "Shown to people instead of the name."),
        Field("description", Text(max_characters=10_000), "What the workflow is for."),
        Field(
            "labels",
            MapOf(TemplatedScalar(), LABEL_NAME, "it has letters, digits, dots, hyphens and slashes, at most 63"),
            "Labels that every run carries; their values may be expressions.",
        ),
        Field("subject", Templated(text_only=True), "What a run is about, to find it by."),
        Field("input", InputSchema(), "JSON Schema (2020-12) of the run's input; without it any JSON, `{}` by default."),
        Field(
            "defaults",
            Group(
                (
                    Field("retry", RETRY, "For operations and calls that say nothing."),
                    Field("timeout", TIMEOUT, "For operations that say nothing.", default="5m"),
                )
            ),
            "What holds for steps that say nothing.",
        ),
        Field("triggers", ListOf(TRIGGER), "What starts runs."),
        Field("concurrency", CONCURRENCY, "How many runs may be open at once."),
        Field("timeout", TIMEOUT, "The longest time of a run."),
        Field("steps", StepList(), "The graph, as a list.", is_required=True),
        Field("on_failure", StepList(), "A graph that runs when the run fails."),
        Field("finally", StepList(), "A graph that runs at the end, however the run ended."),
        Field("output", Templated(), "The run's output."),
    )
)
