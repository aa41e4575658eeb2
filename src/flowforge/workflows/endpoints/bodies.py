"""Bodies of requests and answers about workflows, their drafts and versions."""

from typing import Annotated, Any, Final, cast

from pydantic import Field, StringConstraints, WithJsonSchema, model_validator

from flowforge.web.bodies import Answer, Body, JsonField, Prose, Title, show
from flowforge.web.documenting import ErrorDetail
from flowforge.workflows.errors import ReadOnlyFieldError

_EXAMPLE: Final = "flowforge: 1\nname: greet\nsteps:\n  - id: greeting\n    uses: flow.set\n    with: {values: {text: Hello}}\n"
_READ_ONLY: Final = frozenset(
    {
        "id",
        "workspace_id",
        "name",
        "status",
        "version",
        "role",
        "created_at",
        "created_by",
        "updated_at",
        "updated_by",
        "deleted_at",
        "deprecated_at",
        "has_draft",
    }
)

Document = Annotated[
    dict[str, Any],
    WithJsonSchema({"type": "object", "additionalProperties": True, "description": "A workflow document (docs/language.md)."}),
]
Yaml = Annotated[str, Field(description="A workflow document as text; kept byte for byte.", examples=[_EXAMPLE])]
Category = Annotated[Title, StringConstraints(max_length=100)]
LabelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,62}$")]
LabelText = Annotated[Title, StringConstraints(max_length=200)]
ProjectId = Annotated[
    str, Field(description="The project that it belongs to.", examples=["prj_01k3v6m5w8e9q2r4t6y8a0c2d4"], max_length=64)
]


def refuse_read_only(value: Any, names: frozenset[str]) -> Any:
    """Raises ReadOnlyFieldError where a body has fields that nobody sets; a validator of a body's class calls it first."""
    given = sorted(names & {str(name) for name in cast("dict[object, object]", value)}) if isinstance(value, dict) else []
    if given:
        raise ReadOnlyFieldError(given)
    return cast("Any", value)


class DocumentBody(Body):
    """A workflow document: `document` or `yaml`, exactly one of both."""

    model_config = show({"yaml": _EXAMPLE})

    document: Document | None = None
    yaml: Yaml | None = None


class CreateWorkflowBody(DocumentBody):
    project_id: ProjectId | None = None
    category: Category | None = None
    labels: Annotated[dict[LabelName, LabelText], Field(max_length=50)] = Field(
        default_factory=dict, description="Beside those of the document; they win over them."
    )
    active: bool = Field(default=True, description="Whether it takes runs.")
    public: bool = Field(default=False, description="Whether everybody who is signed in may read it.")


class ChangeWorkflowBody(Body):
    """A JSON Merge Patch: what is left out stays."""

    model_config = show({"active": True, "category": "Orders", "labels": {"team": "sales"}})

    title: Title = Field(default="", description="Wins over that of the document, now and later.")
    category: Category | None = None
    project_id: ProjectId | None = Field(default=None, description="Null: of no project.")
    active: bool = True
    public: bool = False
    labels: Annotated[dict[LabelName, LabelText | None], Field(max_length=50)] = Field(
        default_factory=dict, description="Labels to set; null takes one away."
    )

    @model_validator(mode="before")
    @classmethod
    def _refuse(cls, value: Any) -> Any:
        return refuse_read_only(value, _READ_ONLY)


class ValidateBody(DocumentBody):
    strict: bool = Field(default=False, description="Warnings count as errors, as for who publishes with care.")


class NoteBody(Body):
    note: Prose = Field(default="", description="What changed.", examples=["Orders above 1,000 need an approval."])


class RevertBody(Body):
    version: int = Field(ge=1, lt=2**31, description="The version whose document becomes the draft.")


class RecentRunAnswer(Answer):
    id: str
    status: str
    started_at: str


class WorkflowAnswer(Answer):
    id: str = Field(examples=["wf_01k3v6m5w8e9q2r4t6y8a0c2d4"])
    name: str = Field(examples=["order-intake"])
    title: str
    description: str
    status: str = Field(description="draft, published, inactive, deprecated or deleted.", examples=["published"])
    version: int | None = Field(description="The published version that new runs take.")
    has_draft: bool
    category: str
    project_id: str | None
    active: bool
    public: bool
    labels: dict[str, str]
    created_at: str = Field(examples=["2026-03-01T09:30:00.120Z"])
    created_by: str = Field(examples=["user:usr_01k3v6m5w8e9q2r4t6y8a0c2d4"])
    updated_at: str
    updated_by: str
    deprecated_at: str | None
    deleted_at: str | None


class WorkflowRowAnswer(WorkflowAnswer):
    recent_runs: list[RecentRunAnswer] = Field(description="The last 20, the newest first.")


class DraftAnswer(Answer):
    document: JsonField = Field(description="The document as a value; null where its text cannot be read.")
    yaml: str
    etag: str = Field(description="For If-Match, there in quotes.")
    faults: list[ErrorDetail] = Field(description="What keeps it from being published.")
    layout: JsonField = Field(default=None, description="Where its steps stand on the canvas.")
    based_on: int | None = Field(description="The version that was current when it was begun.")
    updated_at: str
    updated_by: str


class SavedDraftAnswer(DraftAnswer):
    warnings: list[ErrorDetail]


class CreatedAnswer(WorkflowAnswer):
    draft: SavedDraftAnswer


class ValidatedAnswer(Answer):
    valid: bool
    errors: list[ErrorDetail]
    warnings: list[ErrorDetail]
    metadata: dict[str, Any] | None = Field(
        description="How large and tangled it is: steps, depth, branches, loops, expressions, triggers, kinds.",
        examples=[{"steps": 3, "depth": 1, "branches": 1, "loops": 0, "expressions": 4, "triggers": 0, "kinds": {"flow.if": 1}}],
    )


class VersionAnswer(Answer):
    workflow_id: str
    version: int
    digest: str = Field(description="Of the document's meaning: equal documents have equal digests.")
    note: str
    published_at: str
    published_by: str
    is_current: bool


class VersionWithSourceAnswer(VersionAnswer):
    document: JsonField
    yaml: str


class PublishedAnswer(VersionAnswer):
    warnings: list[ErrorDetail]


class DifferenceAnswer(Answer):
    from_: str = Field(alias="from", examples=["order-intake (version 3)"])
    to: str = Field(examples=["order-intake (draft)"])
    text: str = Field(description="The two texts compared, as a unified diff; empty where they are the same.")
    changes: list[dict[str, Any]] = Field(
        description="The two compared by meaning: steps by their id.",
        examples=[[{"change": "changed", "field": "steps.fetch.with.url", "before": "https://a", "after": "https://b"}]],
    )
