"""Bodies of requests and answers about triggers."""

from typing import Annotated, Any, Literal

from pydantic import Field

from flowforge.web.bodies import Answer, Body, JsonField, show

Parameters = Annotated[
    dict[str, JsonField],
    Field(description="The parameters of the kind; secrets by name only.", examples=[{"path": "orders", "auth": "none"}]),
]
_INPUT = "The run's input, made by expressions over `trigger`; without it the kind's default."


class NewTrigger(Body):
    """A trigger beside a document."""

    workflow_id: str = Field(description="The workflow, by id or name.", examples=["order-intake"], max_length=200)
    uses: str = Field(description="The kind.", examples=["webhook"], max_length=40)
    with_: Parameters = Field(alias="with")
    input: JsonField = Field(default=None, description=_INPUT, examples=["${{ trigger.body }}"])


class TriggerPatch(Body):
    """What changes of an attached trigger (JSON Merge Patch)."""

    with_: Parameters | None = Field(default=None, alias="with", description="Merged into the parameters; null takes one away.")
    input: JsonField = Field(default=None, description=_INPUT + " null: none.")


class TriggerTest(Body):
    """Parameters that are to be looked at, and nothing stored."""

    uses: str = Field(description="The kind.", examples=["webhook"], max_length=40)
    with_: Parameters = Field(alias="with")
    input: JsonField = None


class PauseBody(Body):
    """What becomes of what comes meanwhile."""

    events: Literal["keep", "refuse"] = Field(
        default="keep", description="keep: held until somebody runs them or throws them away; refuse: nothing is taken."
    )


class FireBody(Body):
    """What `trigger` holds besides kind, id and fired_at; for a webhook, the body."""

    payload: JsonField = Field(default=None, examples=[{"order": 4711}])


class ChosenEvents(Body):
    """Which held events; exactly one of the two."""

    model_config = show({"all": True})

    ids: list[str] | None = Field(default=None, min_length=1, max_length=1_000, examples=[["evt_01jz5c2q8hm7k3v9x4e6t0w1yb"]])
    all: Literal[True] | None = None


class FiguresAnswer(Answer):
    """How often it was called, and what came of it."""

    total: int
    successful: int
    failed: int
    success_rate: float | None = Field(description="0 to 1; null before the first request.")
    last_fired_at: str | None


class TriggerAnswer(Answer):
    """A trigger."""

    id: str = Field(examples=["trg_01jz5c2q8hm7k3v9x4e6t0w1yb"])
    workflow_id: str
    workflow: str = Field(description="The workflow's name.")
    key: str = Field(description="Its id in the document; of an attached one, its id.")
    uses: str
    with_: dict[str, Any] = Field(alias="with", description="Secrets by name; what was written in plain text is masked.")
    input: JsonField = None
    source: Literal["document", "attached"]
    status: Literal["live", "paused", "off"]
    paused: Literal["keep", "refuse"] | None = Field(description="What becomes of what comes while it is paused.")
    url: str | None = Field(description="Where a webhook takes deliveries.")
    figures: FiguresAnswer
    created_at: str
    created_by: str
    updated_at: str
    updated_by: str


class KindAnswer(Answer):
    """A kind of trigger."""

    name: str
    title: str
    description: str
    parameters: JsonField = Field(alias="schema", description="JSON Schema of `with`.")
    trigger: list[str] = Field(description="What `trigger` holds in expressions.")
    secret_fields: list[str]
    examples: list[JsonField]


class WarningAnswer(Answer):
    field: str
    message: str
    code: str


class ConnectionAnswer(Answer):
    successful: bool | None = Field(description="null: there is nothing to connect to.")
    message: str


class TestAnswer(Answer):
    """What was found out."""

    __test__ = False

    configuration_valid: bool
    errors: list[WarningAnswer]
    connection_test: ConnectionAnswer | None = Field(description="null where the configuration is not valid.")
    warnings: list[WarningAnswer]


class FiredAnswer(Answer):
    """A run that is stored, and will happen; or an event that is held."""

    run_id: str | None = None
    status: str | None = None
    duplicate: bool = False
    event_id: str | None = None


class RequestAnswer(Answer):
    at: str
    remote_address: str | None
    user_agent: str | None
    status: int
    run_id: str | None
    event_id: str | None
    error: str | None


class HeldAnswer(Answer):
    id: str
    at: str
    delivery_id: str | None
    data: dict[str, Any] = Field(description="What `trigger` will hold.")


class EventRefusal(Answer):
    id: str
    code: str
    message: str


class EventsRunAnswer(Answer):
    """What became of held events. `left`: how many are held still."""

    run: int
    failed: list[EventRefusal]
    left: int


class EventsDiscardedAnswer(Answer):
    discarded: int
