"""The kinds of steps that the language itself has: their parameters, ports and rules. Checks, JSON Schema and reference come from here."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from flowforge.kit.values import JsonObject
from flowforge.language.faults import At, Sink
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
    OrExpression,
    Templated,
    Text,
    Time,
    Whole,
)

WORKFLOW_NAME: Final = r"[a-z][a-z0-9-]{0,62}"
WORKFLOW_NAME_HINT: Final = "a name begins with a small letter and has small letters, digits and hyphens, at most 63"
STEP_ID: Final = r"[a-z][a-z0-9_]{0,62}"
STEP_ID_HINT: Final = "it begins with a small letter and has small letters, digits and underscores, at most 63"
ERROR_PORT: Final = "error"
DONE_PORT: Final = "done"


class May(StrEnum):
    """Fields that not every kind of step can have."""

    RETRY = "retry"
    TIMEOUT = "timeout"
    LIMIT = "limit"
    ON_INTERRUPT = "on_interrupt"
    QUEUE = "queue"
    MOCK = "mock"
    COMPENSATE = "compensate"
    STEPS = "steps"
    OUTPUT = "output"
    BREAK = "break"
    WHEN = "when"


OPERATION_MAY: Final = frozenset(
    {May.RETRY, May.TIMEOUT, May.LIMIT, May.ON_INTERRUPT, May.QUEUE, May.MOCK, May.COMPENSATE, May.WHEN}
)
"""Of operations with effects; a pure one has no queue."""
_SIMPLE: Final = frozenset({May.COMPENSATE, May.WHEN})
_CONTAINER: Final = frozenset({May.TIMEOUT, May.COMPENSATE, May.WHEN, May.STEPS, May.OUTPUT, May.BREAK})


@dataclass(frozen=True, slots=True)
class FlowKind:
    """One kind. `exit` is the ordinary exit (None: none); `ports` leaves out `error`, which every step has.

    `may` lists the fields that steps of this kind can have beside those that all have. `is_installed` False: known, but not part of
    this program yet.
    """

    name: str
    title: str
    description: str
    output: str
    parameters: Group
    exit: str | None
    ports: tuple[str, ...]
    may: frozenset[May]
    is_installed: bool = True

    @property
    def is_container(self) -> bool:
        return May.STEPS in self.may


def _check_wait(value: JsonObject, path: Path, sink: Sink) -> None:
    chosen = [name for name in ("for", "until", "signal") if name in value]
    if len(chosen) != 1:
        sink.add("one_of", path, "A flow.wait has exactly one of `for`, `until` and `signal`.", at=At.KEY)
    if chosen == ["signal"]:
        return
    for name in ("key", "expires"):
        if name in value and "signal" not in value:
            sink.add("not_applicable", (*path, name), f"`{name}` belongs to a wait for a `signal`.", at=At.KEY)


_DURATION_TEXT: Final = OrExpression(Duration())
_IDENTITY: Final = Group(
    (
        Field("role", Templated(text_only=True), "Everyone who has this role."),
        Field("user", Templated(text_only=True), "One person, by id or email address."),
        Field("group", Templated(text_only=True), "Everyone in this group."),
    )
)
_ASSIGNEES: Final = Either(
    (((str,), Templated(text_only=True)), ((list,), ListOf(_IDENTITY, 1))), "a list of roles, users and groups"
)
_POLICY: Final = Either(
    (
        ((str,), Choice(("any", "all", "sequential"))),
        ((dict,), Group((Field("quorum", Whole(1, 1_000), "How many have to approve.", is_required=True),))),
    ),
    "any, all, sequential or {quorum: N}",
)


def _approval() -> FlowKind:
    return FlowKind(
        name="human.approval",
        title="Approval",
        description="Asks people to approve or reject, reminds them, escalates, and waits without holding memory.",
        output="The decision, who decided, when, the comment and the form.",
        parameters=Group(
            (
                Field("title", Templated(text_only=True), "What is asked, in one line."),
                Field("description", Templated(text_only=True), "What the people who decide should know."),
                Field("assignees", _ASSIGNEES, "Who may decide.", is_required=True),
                Field("policy", _POLICY, "Whose decision counts.", default="any"),
                Field(
                    "remind",
                    Group(
                        (
                            Field("every", Duration(), "Pause between reminders.", is_required=True),
                            Field("times", Whole(1, 100), "How many reminders.", default=3),
                        )
                    ),
                    "Reminders to those who have not decided.",
                ),
                Field(
                    "escalate",
                    Group(
                        (
                            Field("after", Duration(), "When to escalate, from the start on.", is_required=True),
                            Field("to", _ASSIGNEES, "Who may decide from then on.", is_required=True),
                        )
                    ),
                    "Others who may decide when nobody has.",
                ),
                Field("expires", _DURATION_TEXT, "Leaves by `expired` when nobody has decided by then."),
                Field("form", Constant(object_only=True), "A form that is filled in with the decision."),
            )
        ),
        exit="approved",
        ports=("approved", "rejected", "expired"),
        may=frozenset({May.TIMEOUT, May.MOCK, May.COMPENSATE, May.WHEN}),
        is_installed=False,
    )


def _branching() -> tuple[FlowKind, ...]:
    return (
        FlowKind(
            name="flow.if",
            title="If",
            description="Leaves by `true` or by `false`.",
            output="The condition's value.",
            parameters=Group((Field("condition", Condition(), "What decides.", is_required=True),)),
            exit="true",
            ports=("true", "false"),
            may=_SIMPLE,
        ),
        FlowKind(
            name="flow.switch",
            title="Switch",
            description="Leaves by the first case whose condition is true, else by `default`.",
            output="The port's name.",
            parameters=Group(
                (
                    Field(
                        "cases",
                        MapOf(Condition(), STEP_ID, STEP_ID_HINT, 1),
                        "Ports and their conditions, tried in order.",
                        is_required=True,
                    ),
                )
            ),
            exit=None,
            ports=("default",),
            may=_SIMPLE - {May.WHEN},
        ),
    )


def _loops() -> tuple[FlowKind, ...]:
    concurrency = Either((((int, float), Whole(1, 100_000)), ((str,), Choice(("unlimited",)))), "a whole number or unlimited")
    return (
        FlowKind(
            name="flow.foreach",
            title="For each",
            description="Runs its steps once for each item of a list, several items at once if wanted.",
            output="The iterations' values in the order of the items; `null` for a failed one.",
            parameters=Group(
                (
                    Field("items", Templated(), "The list.", is_required=True),
                    Field("concurrency", concurrency, "How many items at once, or `unlimited`.", default=1),
                    Field(
                        "on_item_error",
                        Choice(("fail", "continue")),
                        "`fail` ends the loop at the first failed item; `continue` runs the others and lists the failed ones.",
                        default="fail",
                    ),
                )
            ),
            exit=DONE_PORT,
            ports=(DONE_PORT,),
            may=_CONTAINER,
        ),
        FlowKind(
            name="flow.repeat",
            title="Repeat",
            description="Runs its steps again until a condition holds.",
            output="The last iteration's value.",
            parameters=Group(
                (
                    Field(
                        "until",
                        Condition(),
                        "Evaluated after each iteration; sees its steps and its `output`.",
                        is_required=True,
                    ),
                    Field(
                        "limit", Whole(1, 10_000_000, code="loop_bound"), "Reaching it is the error `repeat_limit`.", default=100
                    ),
                    Field("every", Duration(), "Pause between iterations."),
                )
            ),
            exit=DONE_PORT,
            ports=(DONE_PORT,),
            may=_CONTAINER,
        ),
    )


def _waiting() -> tuple[FlowKind, ...]:
    return (
        FlowKind(
            name="flow.wait",
            title="Wait",
            description="Waits for a time or a signal without holding memory.",
            output="The signal's payload, else `null`.",
            parameters=Group(
                (
                    Field("for", _DURATION_TEXT, "How long to wait."),
                    Field(
                        "until",
                        OrExpression(Time()),
                        "The time to wait for (RFC 3339 with a zone); a past one goes at once.",
                    ),
                    Field("signal", Templated(text_only=True), "The name of the signal to wait for."),
                    Field("key", Templated(), "Only a signal with an equal key is taken; without it, any."),
                    Field("expires", _DURATION_TEXT, "Leaves by `expired` when no signal has come by then."),
                ),
                (_check_wait,),
            ),
            exit=DONE_PORT,
            ports=(DONE_PORT,),
            may=frozenset({May.TIMEOUT, May.MOCK, May.COMPENSATE, May.WHEN}),
        ),
        FlowKind(
            name="flow.call",
            title="Call a workflow",
            description="Runs another workflow as a run of its own.",
            output="The other run's output, or its id if not waited for.",
            parameters=Group(
                (
                    Field("workflow", Text(WORKFLOW_NAME, 63, hint=WORKFLOW_NAME_HINT), "Its name.", is_required=True),
                    Field("version", Whole(1, 2**31 - 1), "Which version; else the published one when the call starts."),
                    Field("input", Templated(), "Its input; `{}` if not given."),
                    Field("wait", Flag(), "Whether the step waits for its end.", default=True),
                )
            ),
            exit=DONE_PORT,
            ports=(DONE_PORT,),
            may=frozenset({May.RETRY, May.TIMEOUT, May.LIMIT, May.MOCK, May.COMPENSATE, May.WHEN}),
        ),
    )


def _ending() -> tuple[FlowKind, ...]:
    return (
        FlowKind(
            name="flow.set",
            title="Set values",
            description="Names values for later steps.",
            output="The values.",
            parameters=Group((Field("values", Templated(object_only=True), "Names and values.", is_required=True),)),
            exit=DONE_PORT,
            ports=(DONE_PORT,),
            may=_SIMPLE,
        ),
        FlowKind(
            name="flow.stop",
            title="Stop",
            description="Ends the whole run as completed, also inside a loop. Leaves by `done` only when bypassed.",
            output="None.",
            parameters=Group((Field("output", Templated(), "The run's output."),)),
            exit=DONE_PORT,
            ports=(DONE_PORT,),
            may=frozenset({May.WHEN}),
        ),
        FlowKind(
            name="flow.fail",
            title="Fail",
            description="Fails with an error of its own. Leaves by `done` only when bypassed.",
            output="None.",
            parameters=Group(
                (
                    Field("code", Templated(text_only=True), "The error's code.", is_required=True),
                    Field("message", Templated(text_only=True), "The sentence for people."),
                    Field("details", Templated(), "More about it, any value."),
                )
            ),
            exit=DONE_PORT,
            ports=(DONE_PORT,),
            may=frozenset({May.WHEN}),
        ),
    )


FLOW_KINDS: Final[Mapping[str, FlowKind]] = {
    kind.name: kind for kind in (*_branching(), *_loops(), *_waiting(), *_ending(), _approval())
}
"""Every kind that the language knows by itself, by name; all others are operations."""
