"""Bodies of requests and answers about runs."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field, WithJsonSchema

from flowforge.runs.start_request import LABELS_MAX, PRIORITY_MAX, LabelText
from flowforge.web.bodies import Answer, Body, JsonField, Title, show

RUN_ID: Final = "run_01k3v6m5w8e9q2r4t6y8a0c2d4"
_TIME: Final = "2026-03-01T08:00:00Z"

Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time", "description": "RFC 3339, in UTC."})]
Status = Literal["queued", "running", "waiting", "paused", "completed", "failed", "cancelled", "timed_out"]
StepStatus = Literal["pending", "ready", "running", "waiting", "completed", "failed", "skipped", "bypassed", "cancelled"]
Action = Literal["cancel", "pause", "resume", "retry", "delete"]
JsonMap = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "additionalProperties": True})]


class RunRow(Answer):
    """A run as a row of a list."""

    id: str = Field(examples=[RUN_ID])
    workflow_id: str
    workflow: str = Field(description="The workflow's name when the run began.")
    version: int | None = Field(description="Null: an ad hoc document.")
    status: Status
    error_code: str | None
    labels: dict[str, str]
    subject: str | None
    priority: int
    triggered_by: str = Field(description="Who or what started it.", examples=["user:usr_01k3v6m5w8e9q2r4t6y8a0c2d4"])
    started_at: Time
    finished_at: Time | None
    duration_ms: int | None


class WaitAnswer(Answer):
    """Something that a run waits for. `kind`: timer, signal, slot, retry, child or attention (a person)."""

    kind: str
    ref: JsonMap = Field(
        description="What belongs to the kind: the step, a signal's name and key, the called run. Of a signal, for whoever may "
        "operate runs, also `resume_url`: a link by which anybody can send it."
    )
    until: Time | None


class ProgressAnswer(Answer):
    """Steps of the main graph, a loop counted as one."""

    completed: int
    total: int
    percentage: int
    current: list[str]
    failed: list[str]
    estimated_end_at: Time | None = Field(default=None, description="By earlier runs of the same version.")


class RunErrorAnswer(Answer):
    code: str
    message: str
    step: str | None = None


class RunAnswer(RunRow):
    """A whole run."""

    waiting_for: list[WaitAnswer]
    progress: ProgressAnswer
    input: JsonField
    output: JsonField
    error: RunErrorAnswer | None
    last_seq: int = Field(description="Number of the journal's last row.")
    uncompensated: list[JsonMap] = Field(default_factory=list[dict[str, Any]], description="Effects that could not be undone.")


class GroupAnswer(Answer):
    """Runs that have something in common."""

    key: str = Field(examples=["charge:http_status"])
    count: int
    last_started_at: Time


class AttemptAnswer(Answer):
    """One try at a step. In lists values are summaries of at most 1 KiB."""

    number: int
    status: str
    started_at: Time
    duration_ms: int | None
    output_summary: str | None = None
    input: JsonField = None
    output: JsonField = None
    error: JsonMap | None


class StepAnswer(Answer):
    """A step as a row of a list."""

    id: str
    iteration: str = Field(description="Where the step stands in loops and phases.", examples=["items.3/pages.0"])
    phase: str = Field(description="undoing, on_failure or finally; empty: the main graph.")
    kind: str = Field(examples=["http.request"])
    status: str
    port: str | None
    started_at: Time | None
    finished_at: Time | None
    duration_ms: int | None
    waiting_for: WaitAnswer | None
    output_summary: str | None = None
    error: JsonMap | None
    attempts: list[AttemptAnswer]


class WholeStepAnswer(StepAnswer):
    """A step with its values as they are."""

    output: JsonField
    run: str | None = Field(description="The run that the step called.")


class StepsPage(Answer):
    """Some steps of a run. `counts` and `buckets` are those of all steps that the filters let through."""

    data: list[StepAnswer]
    next_cursor: str | None
    counts: dict[str, int] | None = Field(default=None, description="How many steps are in each state (with `counts=true`).")
    buckets: list[str] | None = Field(
        default=None, description="The steps in their order, in so many equal parts: the worst state in each (with `buckets`)."
    )


class LogAnswer(Answer):
    """A line that a step wrote."""

    time: Time
    level: str
    step: str
    iteration: str
    attempt: int
    message: str
    fields: JsonMap


class EffectAnswer(Answer):
    """An attempt to touch the world. `key` is the Idempotency-Key that it carried."""

    step: str
    iteration: str
    attempt: int
    operation: str
    target: str | None
    key: str
    state: Literal["planned", "confirmed", "failed", "unknown"]
    planned_at: Time
    settled_at: Time | None


class RelativeAnswer(RunRow):
    """A run that another one called. `step`: which step did."""

    depth: int = Field(description="0: the run itself; below 0: those that called it; above: those that it called.")
    parent: str | None = Field(description="The run that called it.")


class WhyAnswer(Answer):
    """Why a run is where it is."""

    sentence: str = Field(examples=["The step approve waits for the signal approved."])
    causes: list[JsonMap]


class SuggestionAnswer(Answer):
    """Something to do. `request`: how it is asked for here."""

    text: str
    request: str | None = Field(default=None, examples=["POST /api/v1/runs/" + RUN_ID + "/steps/charge/retry"])


class DiagnosisAnswer(Answer):
    """What went wrong, and what helps."""

    sentence: str
    failing_step: str | None
    error: RunErrorAnswer | None
    same_error: int = Field(description="How many runs of the last 7 days failed at the same step with the same code.")
    suggestions: list[SuggestionAnswer]


class ChangeRunBody(Body):
    """What people find the run by, and when its turn comes. What is not named stays."""

    model_config = show({"labels": {"region": "south", "old": None}, "subject": "order-4712", "priority": 1})

    labels: dict[LabelText, LabelText | None] | None = Field(
        default=None, max_length=LABELS_MAX, description="A null takes the label away; null for all of it takes away all."
    )
    subject: LabelText | None = Field(default=None, description="Null takes it away.")
    priority: int = Field(
        default=5,
        ge=0,
        le=PRIORITY_MAX,
        description="0 is first. Of a run that has not ended; what it has begun keeps its place.",
    )


class CancelBody(Body):
    """Why, for the record."""

    reason: Title | None = None


class SignalBody(Body):
    """A signal. It is kept until a step waits for it."""

    name: Annotated[Title, Field(max_length=200, examples=["approved"])]
    key: Annotated[Title, Field(max_length=200)] | None = Field(
        default=None, description="For waits with this key; without one for those that name none."
    )
    payload: JsonField = None


class OutputBody(Body):
    """What the step gives instead."""

    output: JsonField = None


class ResolveBody(Body):
    """Whether the effect took place of which nobody knows."""

    happened: bool
    output: JsonField = Field(default=None, description="If it did: what the step gives.")


class SentAnswer(Answer):
    """The message is stored; the run reads it within a second, or when it goes on."""

    run_id: str = Field(examples=[RUN_ID])
    sent: str = Field(examples=["pause"])
    steps: list[str] = Field(default_factory=list, description="Steps that it is about.")
    duplicate: bool = False


class SignalledAnswer(Answer):
    """The signal is stored; a run that begins to wait within 24 hours gets it too."""

    name: str
    reached: int = Field(description="How many runs waited for it.")


class ResumeBody(Body):
    """What the waiting step gives."""

    payload: JsonField = None


class ResumedAnswer(Answer):
    """The signal is stored. `duplicate`: the link was used before."""

    run_id: str = Field(examples=[RUN_ID])
    status: Status
    duplicate: bool


class BulkBody(Body):
    """What is to be done with which runs: `ids`, or all that `where` finds."""

    model_config = show({"action": "cancel", "where": ["status:eq:waiting"], "dry_run": True})

    action: Action
    ids: list[str] | None = Field(default=None, min_length=1, description="At most 1,000.", examples=[[RUN_ID]])
    where: list[str] | None = Field(default=None, min_length=1, max_length=20, examples=[["status:eq:waiting"]])
    reason: Title | None = None
    dry_run: bool = Field(default=False, description="Only count.")


class BulkFault(Answer):
    """A run with which it could not be done."""

    id: str
    code: str
    message: str


class BulkAnswer(Answer):
    """What was done; in a dry run: what would be."""

    action: Action
    matched: int
    changed: int
    failed: list[BulkFault] = Field(description="The first hundred.")
