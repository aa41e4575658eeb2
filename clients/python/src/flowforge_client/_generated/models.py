"""The types of requests and answers. A server may answer with more fields than stand here.

Made by scripts/client_models.py; do not edit.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypeAlias, TypedDict

from flowforge_client.values import JsonValue


class AcceptedAnswer(TypedDict):
    """The same for everybody, whether there is such an account or not."""

    message: str


class AccessAnswer(TypedDict):
    allowed: bool
    because: list[ReasonAnswer]


class AssignmentAnswer(TypedDict):
    id: str
    principal: str
    """A person (usr_…) or a group (grp_…)."""
    role: str
    """The role's name."""
    scope: str
    """installation, workspace:ws_… or project:prj_…"""
    created_at: str
    created_by: str


class AssignmentAnswerPage(TypedDict):
    data: list[AssignmentAnswer]
    next_cursor: NotRequired[str | None]


class AttemptAnswer(TypedDict):
    """One try at a step. In lists values are summaries of at most 1 KiB."""

    number: int
    status: str
    started_at: str
    """RFC 3339, in UTC."""
    duration_ms: int | None
    output_summary: NotRequired[str | None]
    input: NotRequired[JsonValue]
    """Any JSON value."""
    output: NotRequired[JsonValue]
    """Any JSON value."""
    error: dict[str, JsonValue] | None


class AuditRowAnswer(TypedDict):
    """One thing that was done. What told of a person who was erased reads `(erased)`."""

    no: int
    """Its number in the chain, which has no gaps."""
    workspace_id: str | None
    """Null: of the installation."""
    entity: str
    entity_id: str
    action: str
    actor: str
    """`user:usr_…`, `anonymous` or `system`."""
    credential: str
    """`session:ses_…`, `key:key_…`, `token:…`, or empty."""
    ip: str | None
    request_id: str
    before: NotRequired[JsonValue]
    """Any JSON value."""
    after: NotRequired[JsonValue]
    """Any JSON value."""
    time: str
    hash: str
    """SHA-256 of the hash of the row before and the RFC 8785 JSON of this one without `hash`."""


class AuditRowAnswerPage(TypedDict):
    data: list[AuditRowAnswer]
    next_cursor: NotRequired[str | None]


class BackfillAnswer(TypedDict):
    total: int
    """Slots in the window."""
    started: int
    existing: int
    """Slots whose run was there already."""
    failed: int
    errors: list[RefusedSlot]
    """Of the slots that failed, the first 20."""


BackfillBody = TypedDict("BackfillBody", {"from": "str", "to": "str"})
"""A window of time in the past; slots that ran already do not run again."""


class BatchAnswer(TypedDict):
    """Long work, and how far it is."""

    id: str
    kind: str
    status: Literal["queued", "running", "completed", "failed", "stopped"]
    total: int | None
    """Null: not counted yet."""
    done: int
    failed: int
    result: JsonValue
    """Any JSON value."""
    error: dict[str, JsonValue] | None
    created_at: str
    """RFC 3339, in UTC."""
    finished_at: str | None


class BodieCreatedAnswer(TypedDict):
    id: str
    name: str
    title: str
    description: str
    status: str
    """draft, published, inactive, deprecated or deleted."""
    version: int | None
    """The published version that new runs take."""
    has_draft: bool
    category: str
    project_id: str | None
    active: bool
    public: bool
    labels: dict[str, str]
    created_at: str
    created_by: str
    updated_at: str
    updated_by: str
    deprecated_at: str | None
    deleted_at: str | None
    draft: SavedDraftAnswer


class BodyPostFiles(TypedDict):
    file: str
    """The file."""


class BulkAnswer(TypedDict):
    """What was done; in a dry run: what would be."""

    action: Literal["cancel", "pause", "resume", "retry", "delete"]
    matched: int
    changed: int
    failed: list[BulkFault]
    """The first hundred."""


class BulkBody(TypedDict):
    """What is to be done with which runs: `ids`, or all that `where` finds."""

    action: Literal["cancel", "pause", "resume", "retry", "delete"]
    ids: NotRequired[list[str] | None]
    """At most 1,000."""
    where: NotRequired[list[str] | None]
    reason: NotRequired[str | None]
    dry_run: NotRequired[bool]
    """Only count."""


class BulkFault(TypedDict):
    """A run with which it could not be done."""

    id: str
    code: str
    message: str


class CalendarAnswer(TypedDict):
    id: str
    name: str
    working_days: list[str]
    countries: list[str]
    closed: list[str]
    open: list[str]
    created_at: str
    created_by: str
    updated_at: str
    updated_by: str


class CalendarAnswerPage(TypedDict):
    data: list[CalendarAnswer]
    next_cursor: NotRequired[str | None]


class CalendarPatch(TypedDict):
    """What changes (JSON Merge Patch); lists are replaced as a whole."""

    name: NotRequired[str | None]
    working_days: NotRequired[list[str] | None]
    countries: NotRequired[list[str] | None]
    closed: NotRequired[list[str] | None]
    open: NotRequired[list[str] | None]


class CancelBody(TypedDict):
    """Why, for the record."""

    reason: NotRequired[str | None]


class ChangeBody(TypedDict):
    """JSON Merge Patch: what is left out stays; null takes an attribute, or the default workspace, away."""

    name: NotRequired[str]
    default_workspace: NotRequired[str | None]
    """By id or name."""
    attributes: NotRequired[JsonValue]
    """An object of anything worth knowing of the person."""


class ChangeKeyBody(TypedDict):
    name: str


class ChangeProjectBody(TypedDict):
    """A JSON Merge Patch: what is left out stays."""

    name: NotRequired[str]
    title: NotRequired[str]
    description: NotRequired[str]


class ChangeRunBody(TypedDict):
    """What people find the run by, and when its turn comes. What is not named stays."""

    labels: NotRequired[dict[str, str | None] | None]
    """A null takes the label away; null for all of it takes away all."""
    subject: NotRequired[str | None]
    """Null takes it away."""
    priority: NotRequired[int]
    """0 is first. Of a run that has not ended; what it has begun keeps its place."""


class ChangeSetBody(TypedDict):
    """A JSON Merge Patch: what is left out stays. `workflows` replaces the whole list."""

    name: NotRequired[str]
    title: NotRequired[str]
    description: NotRequired[str]
    project_id: NotRequired[str | None]
    workflows: NotRequired[list[str]]
    """Workflows by id or name, in their order."""


class ChangeTemplateBody(TypedDict):
    """A JSON Merge Patch, but `content` is replaced as a whole."""

    name: NotRequired[str]
    title: NotRequired[str]
    description: NotRequired[str]
    category: NotRequired[str | None]
    content: NotRequired[dict[str, JsonValue]]
    """`{yaml}` or `{document}`; `{step}`; or `{subject, text, html?, sample?}` in Jinja's language."""


class ChangeUserBody(TypedDict):
    """As one's own profile; besides, the email of a person whom no provider vouches for."""

    name: NotRequired[str]
    default_workspace: NotRequired[str | None]
    """By id or name."""
    attributes: NotRequired[JsonValue]
    """An object of anything worth knowing of the person."""
    email: NotRequired[str]
    """An email address."""


class ChangeWorkflowBody(TypedDict):
    """A JSON Merge Patch: what is left out stays."""

    title: NotRequired[str]
    """Wins over that of the document, now and later."""
    category: NotRequired[str | None]
    project_id: NotRequired[str | None]
    """Null: of no project."""
    active: NotRequired[bool]
    public: NotRequired[bool]
    labels: NotRequired[dict[str, JsonValue]]
    """Labels to set; null takes one away."""


class ChangedGroup(TypedDict):
    """What is left out stays as it is."""

    name: NotRequired[str]
    description: NotRequired[str | None]


class ChangedRole(TypedDict):
    """What is left out stays as it is."""

    name: NotRequired[str]
    """Lower-case letters, digits and -."""
    description: NotRequired[str | None]
    permissions: NotRequired[list[str]]
    """Of the form area:verb."""


class ChangedWorkspace(TypedDict):
    """What is left out stays as it is."""

    name: NotRequired[str]
    """Lower-case letters, digits and -: a word for addresses and headers."""
    title: NotRequired[str]
    description: NotRequired[str | None]


class CheckpointAnswer(TypedDict):
    """The end of the chain at a row, signed with Ed25519 over the RFC 8785 JSON of hash, key_id, no and time."""

    no: int
    hash: str
    time: str
    key_id: str
    """The key's RFC 7638 thumbprint, its `kid` at /.well-known/jwks.json."""
    signature: str
    """64 bytes in base64url."""


class CheckpointAnswerPage(TypedDict):
    data: list[CheckpointAnswer]
    next_cursor: NotRequired[str | None]


class ChosenEvents(TypedDict):
    """Which held events; exactly one of the two."""

    ids: NotRequired[list[str] | None]
    all: NotRequired[Literal[True] | None]


class CompletionBody(TypedDict):
    sha256: NotRequired[str | None]
    """What the whole file must have."""


class ConfigAnswer(TypedDict):
    local_accounts: bool
    """People may sign in with email and password."""
    registration: bool
    """Whoever comes may make an account."""
    providers: list[ProviderAnswer]


class Configuration(TypedDict):
    """A workspace's configuration without values of variables and without secrets."""

    format: NotRequired[Literal["flowforge-configuration"]]
    version: NotRequired[Literal[1]]
    exported_at: NotRequired[str | None]
    projects: NotRequired[list[ProjectPart]]
    workflows: NotRequired[list[WorkflowPart]]
    workflow_sets: NotRequired[list[SetPart]]
    templates: NotRequired[list[TemplatePart]]
    variables: NotRequired[list[str]]
    """Their names; the values stay where they are."""


class ConfirmBody(TypedDict):
    token: str
    """The token behind `#reset=` of the link in the mail."""
    password: str
    """12 to 256 characters."""


class ConnectionAnswer(TypedDict):
    successful: bool | None
    """null: there is nothing to connect to."""
    message: str


class CorsAnswer(TypedDict):
    origins: list[str]


class CorsBody(TypedDict):
    origins: list[str]


class CreateProjectBody(TypedDict):
    name: str
    title: NotRequired[str | None]
    description: NotRequired[str]


class CreateSetBody(TypedDict):
    name: str
    title: NotRequired[str | None]
    description: NotRequired[str]
    project_id: NotRequired[str | None]
    workflows: NotRequired[list[str]]
    """Workflows by id or name, in their order."""


class CreateTemplateBody(TypedDict):
    kind: Literal["workflow", "step", "mail"]
    name: str
    title: NotRequired[str | None]
    description: NotRequired[str]
    category: NotRequired[str | None]
    content: dict[str, JsonValue]
    """`{yaml}` or `{document}`; `{step}`; or `{subject, text, html?, sample?}` in Jinja's language."""


class CreateWorkflowBody(TypedDict):
    document: NotRequired[dict[str, JsonValue] | None]
    yaml: NotRequired[str | None]
    project_id: NotRequired[str | None]
    category: NotRequired[str | None]
    labels: NotRequired[dict[str, JsonValue]]
    """Beside those of the document; they win over them."""
    active: NotRequired[bool]
    """Whether it takes runs."""
    public: NotRequired[bool]
    """Whether everybody who is signed in may read it."""


class DashboardAnswer(TypedDict):
    """The figures of a workspace, of the last 24 hours where a time is meant."""

    running: int
    waiting: int
    queued: int
    completion_rate: float | None
    """Completed of all that ended; null where none did."""
    by_status: dict[str, int]
    by_hour: list[HourAnswer]
    """24 of them, the oldest first."""
    next: list[NextTimeAnswer]
    """The next time of each schedule that is not paused and that the caller may see, the first ten."""
    failed: list[DashboardRun]
    """The last ten that failed."""
    my_tasks: int
    """0: there are no tasks for people yet."""


class DashboardRun(TypedDict):
    id: str
    workflow: str
    status: str
    started_at: str
    error_code: str | None


DeliveryStatus: TypeAlias = "Literal['pending', 'delivered', 'dead']"


class DetachedAnswer(TypedDict):
    """The run that calls it."""

    run_id: str
    status: str


class DiagnosisAnswer(TypedDict):
    """What went wrong, and what helps."""

    sentence: str
    failing_step: str | None
    error: RunErrorAnswer | None
    same_error: int
    """How many runs of the last 7 days failed at the same step with the same code."""
    suggestions: list[SuggestionAnswer]


DifferenceAnswer = TypedDict(
    "DifferenceAnswer", {"from": "str", "to": "str", "text": "str", "changes": "list[dict[str, JsonValue]]"}
)


class DocumentBody(TypedDict):
    """A workflow document: `document` or `yaml`, exactly one of both."""

    document: NotRequired[dict[str, JsonValue] | None]
    yaml: NotRequired[str | None]


class DraftAnswer(TypedDict):
    document: JsonValue
    """The document as a value; null where its text cannot be read."""
    yaml: str
    etag: str
    """For If-Match, there in quotes."""
    faults: list[ErrorDetail]
    """What keeps it from being published."""
    layout: NotRequired[JsonValue]
    """Where its steps stand on the canvas."""
    based_on: int | None
    """The version that was current when it was begun."""
    updated_at: str
    updated_by: str


class DraftPart(TypedDict):
    format: NotRequired[Literal["yaml", "json"]]
    source: str


EdgeAnswer = TypedDict("EdgeAnswer", {"from": "str", "port": "str", "to": "str", "ordinary": "bool"})


class EffectAnswer(TypedDict):
    """An attempt to touch the world. `key` is the Idempotency-Key that it carried."""

    step: str
    iteration: str
    attempt: int
    operation: str
    target: str | None
    key: str
    state: Literal["planned", "confirmed", "failed", "unknown"]
    planned_at: str
    """RFC 3339, in UTC."""
    settled_at: str | None


class EffectAnswerPage(TypedDict):
    data: list[EffectAnswer]
    next_cursor: NotRequired[str | None]


class ErrorAnswer(TypedDict):
    """The form of every error."""

    error: ErrorBody


class ErrorBody(TypedDict):
    """What happened, where, and what to do."""

    code: str
    message: str
    details: list[ErrorDetail]
    requestId: str


class ErrorDetail(TypedDict):
    """One fault."""

    field: str
    """A dotted path in the body, or the name of a parameter or header; empty: the whole."""
    message: str
    code: str
    line: NotRequired[int | None]
    column: NotRequired[int | None]
    suggestion: NotRequired[str | None]


class EventAnswer(TypedDict):
    """Something that happened to a run."""

    id: str
    seq: int
    """Grows within the run, with gaps."""
    type: str
    time: str
    workspace_id: str
    subject: str
    actor: str
    trace_id: str | None
    data: dict[str, JsonValue]


class EventPage(TypedDict):
    """Events of a run, in order. `next_cursor`: give it as `after` for those that follow; null: there are none now."""

    data: list[EventAnswer]
    next_cursor: NotRequired[str | None]
    has_ended: bool
    """Whether the run has ended, so that no further event will come after these."""


class EventRefusal(TypedDict):
    id: str
    code: str
    message: str


class EventsDiscardedAnswer(TypedDict):
    discarded: int


class EventsRunAnswer(TypedDict):
    """What became of held events. `left`: how many are held still."""

    run: int
    failed: list[EventRefusal]
    left: int


class ExportBody(TypedDict):
    workflows: NotRequired[list[str] | None]
    """These workflows and their projects alone, by id or name; else everything."""


class FiguresAnswer(TypedDict):
    """How often it was called, and what came of it."""

    total: int
    successful: int
    failed: int
    success_rate: float | None
    """0 to 1; null before the first request."""
    last_fired_at: str | None


class FileAnswer(TypedDict):
    """A file. Steps take it as `{"$file": {"id", "name", "media_type", "size", "sha256"}}`."""

    id: str
    name: str
    media_type: str
    size_bytes: int
    sha256: str | None
    """Null: a step made it, and its run tells."""
    created_at: str | None
    created_by: str | None


class FileLinkAnswer(TypedDict):
    url: str
    expires_at: str


class FileLinkBody(TypedDict):
    expires_in: NotRequired[str]
    """How long whoever has the link can fetch the file: 1m to 7d."""


class FilledAnswer(TypedDict):
    """What came of the template: of these the field of its kind. A workflow comes as the body that POST /workflows takes."""

    kind: str
    yaml: NotRequired[str | None]
    document: NotRequired[JsonValue]
    """Any JSON value."""
    faults: NotRequired[list[ErrorDetail]]
    markdown: NotRequired[str | None]
    """The workflow's documentation, in previews."""
    step: NotRequired[dict[str, JsonValue] | None]
    mail: NotRequired[MailAnswer | None]


class FireBody(TypedDict):
    """What `trigger` holds besides kind, id and fired_at; for a webhook, the body."""

    payload: NotRequired[JsonValue]
    """Any JSON value."""


class FiredAnswer(TypedDict):
    """A run that is stored, and will happen; or an event that is held."""

    run_id: NotRequired[str | None]
    status: NotRequired[str | None]
    duplicate: NotRequired[bool]
    event_id: NotRequired[str | None]


class FlagAnswer(TypedDict):
    name: str
    enabled: bool
    description: str
    workspaces: list[str]
    updated_at: str
    updated_by: str


class FlagAnswerPage(TypedDict):
    data: list[FlagAnswer]
    next_cursor: NotRequired[str | None]


class FlagBody(TypedDict):
    enabled: bool
    description: NotRequired[str]
    workspaces: NotRequired[list[str]]
    """Where it is on; empty: everywhere."""


class GraphAnswer(TypedDict):
    nodes: list[NodeAnswer]
    edges: list[EdgeAnswer]


class GroupGroupAnswer(TypedDict):
    id: str
    name: str
    description: str
    members: int
    """How many people are in it."""
    created_at: str
    updated_at: str


class GroupGroupAnswerPage(TypedDict):
    data: list[GroupGroupAnswer]
    next_cursor: NotRequired[str | None]


class GroupName(TypedDict):
    id: str
    name: str


class HealthAnswer(TypedDict):
    status: str
    stage: str
    version: str
    uptime_seconds: float
    checks: dict[str, HealthCheckAnswer]


class HealthCheckAnswer(TypedDict):
    status: str
    latency_ms: float
    message: NotRequired[str | None]


class HeldAnswer(TypedDict):
    id: str
    at: str
    delivery_id: str | None
    data: dict[str, JsonValue]
    """What `trigger` will hold."""


class HeldAnswerPage(TypedDict):
    data: list[HeldAnswer]
    next_cursor: NotRequired[str | None]


class HookDeliveryAnswer(TypedDict):
    """The run exists, or the event is held."""

    run_id: NotRequired[str | None]
    status: NotRequired[str | None]
    """The run's."""
    duplicate: bool
    """The same delivery came before."""
    event_id: NotRequired[str | None]
    """Where the trigger is paused and keeps what comes."""


class HourAnswer(TypedDict):
    """One hour: when it began, and the runs that began in it, by how they ended."""

    at: str
    by_status: dict[str, int]


class IdentityAnswer(TypedDict):
    """Who a person is in another system."""

    id: str
    connector: str
    external_id: str
    email: str | None
    name: str | None
    source: str
    """`connector_sync`, `workflow` or `manual`."""
    attributes: JsonValue
    """Any JSON value."""
    created_at: str
    verified_at: str | None


class IdentityAnswerPage(TypedDict):
    data: list[IdentityAnswer]
    next_cursor: NotRequired[str | None]


class Imported(TypedDict):
    dry_run: bool
    items: list[ImportedItem]
    missing_variables: list[str]
    """Names that the file lists and that are not set here."""
    missing_secrets: list[str]
    """Names that its documents use and that are not set here."""


class ImportedItem(TypedDict):
    kind: str
    """project, workflow, workflow_set or template."""
    name: str
    action: Literal["create", "update", "same", "conflict"]
    message: NotRequired[str]
    """What is in the way, for a conflict."""


class InfoAnswer(TypedDict):
    """What somebody who is signed in may know of the server."""

    version: str
    database: str
    public_url: str | None
    uptime_seconds: float
    workspace_id: str
    announcement: str
    features: list[str]
    """Feature flags that are on in this workspace."""


class KeyAnswer(TypedDict):
    """An API key. Its text was shown once, when it was made."""

    id: str
    name: str
    prefix: str
    """The first 12 characters."""
    workspace_id: str
    user_id: str
    """Whose rights it has, at most."""
    permissions: list[str]
    tier: str | None
    """How many requests it may make; null: as RATE_TIER says."""
    created_at: str
    expires_at: str
    last_used_at: str | None
    """As of some seconds ago."""
    revoked_at: str | None


class KeyAnswerPage(TypedDict):
    data: list[KeyAnswer]
    next_cursor: NotRequired[str | None]


class KeySetAnswer(TypedDict):
    """A JSON Web Key Set (RFC 7517)."""

    keys: list[dict[str, str]]


class KindAnswer(TypedDict):
    """A kind of trigger."""

    name: str
    title: str
    description: str
    schema: JsonValue
    """JSON Schema of `with`."""
    trigger: list[str]
    """What `trigger` holds in expressions."""
    secret_fields: list[str]
    examples: list[JsonValue]


class KindAnswerPage(TypedDict):
    data: list[KindAnswer]
    next_cursor: NotRequired[str | None]


class LetterAnswer(TypedDict):
    """Something that was given up and waits for a person."""

    id: str
    kind: str
    """run, event or message."""
    what: str
    tries: int | None
    since: str | None
    last_error: NotRequired[str | None]


class LetterAnswerPage(TypedDict):
    data: list[LetterAnswer]
    next_cursor: NotRequired[str | None]


class LinkAnswer(TypedDict):
    """Shown once; pass it on by a way that you trust."""

    link: str
    expires_at: str


class LinkBody(TypedDict):
    token: str
    """The token behind `#token=` of a one-time link."""


class LogAnswer(TypedDict):
    """A line that a step wrote."""

    time: str
    """RFC 3339, in UTC."""
    level: str
    step: str
    iteration: str
    attempt: int
    message: str
    fields: dict[str, JsonValue]


class LogAnswerPage(TypedDict):
    data: list[LogAnswer]
    next_cursor: NotRequired[str | None]


class LoginBody(TypedDict):
    """`code`: of the second factor, where the account has one."""

    email: str
    """An email address."""
    password: str
    """12 to 256 characters."""
    code: NotRequired[str | None]


class MailAnswer(TypedDict):
    subject: str
    text: str
    html: str | None


class MailPage(TypedDict):
    data: list[MailRow]
    next_cursor: NotRequired[str | None]


MailRow = TypedDict("MailRow", {"id": "str", "at": "str", "from": "str", "to": "str", "subject": "str"})
"""A mail in the built-in outbox."""


class MemberAnswer(TypedDict):
    user_id: str
    email: str
    name: str
    added_at: str


class MemberAnswerPage(TypedDict):
    data: list[MemberAnswer]
    next_cursor: NotRequired[str | None]


class NewAssignment(TypedDict):
    principal: str
    """A person (usr_…) or a group (grp_…)."""
    role: str
    """Its name or id."""
    scope: NotRequired[str]
    """installation, workspace:ws_… or project:prj_…"""


class NewCalendar(TypedDict):
    working_days: NotRequired[list[str]]
    """Of mon, tue, wed, thu, fri, sat, sun."""
    countries: NotRequired[list[str]]
    """Whose public holidays do not count (ISO 3166)."""
    closed: NotRequired[list[str]]
    """Days that do not count."""
    open: NotRequired[list[str]]
    """Days that count all the same."""
    name: str
    """By which schedules name it."""


class NewGroup(TypedDict):
    name: str
    description: NotRequired[str]


class NewKeyAnswer(TypedDict):
    """The only time that `key` is shown."""

    id: str
    key: str
    prefix: str
    expires_at: str


class NewKeyBody(TypedDict):
    """`permissions`: those that you have yourself. `tier` above the installation's needs key:manage."""

    name: str
    permissions: list[str]
    expires_in: str
    """A duration, a year at most."""
    tier: NotRequired[Literal["free", "basic", "pro", "enterprise"] | None]


class NewRole(TypedDict):
    name: str
    """Lower-case letters, digits and -."""
    description: NotRequired[str]
    permissions: list[str]
    """Of the form area:verb."""


NewTrigger = TypedDict(
    "NewTrigger", {"workflow_id": "str", "uses": "str", "with": "dict[str, JsonValue]", "input": "NotRequired[JsonValue]"}
)
"""A trigger beside a document."""


class NewUserBody(TypedDict):
    """`role`: a role for the whole installation, which you must have yourself."""

    email: str
    """An email address."""
    name: str
    role: NotRequired[str | None]


class NewWorkspace(TypedDict):
    name: str
    """Lower-case letters, digits and -: a word for addresses and headers."""
    title: NotRequired[str | None]
    """For people; left out, the name."""
    description: NotRequired[str]


class NextAnswer(TypedDict):
    """A schedule goes on, so that there is no last page: `limit` says how far to look."""

    timezone: str
    explanation: str
    data: list[SlotAnswer]
    next_cursor: NotRequired[None]


class NextTimeAnswer(TypedDict):
    """When a schedule fires next."""

    trigger_id: str
    workflow_id: str
    workflow: str
    at: str


class NodeAnswer(TypedDict):
    id: str
    """Unique in the picture; inside of loops with the loop before it."""
    step: str
    uses: str
    title: str
    section: str
    """steps, on_failure or finally."""
    within: str | None
    """The node of the loop that holds it."""
    ports: list[str]
    conditional: bool
    effect: bool


class NoteBody(TypedDict):
    note: NotRequired[str]
    """What changed."""


class NotificationAnswer(TypedDict):
    """`kind` says what it is about (`run.failed`, `delivery.dead`), `subject` is the id of what to look at."""

    id: str
    workspace_id: str
    kind: str
    title: str
    text: str
    subject: str | None
    created_at: str
    read_at: str | None


class NotificationAnswerPage(TypedDict):
    data: list[NotificationAnswer]
    next_cursor: NotRequired[str | None]


class OidcProvider(TypedDict):
    """A further provider of sign-in. Its client secret is the secret of that name in the default workspace."""

    name: str
    title: str
    issuer: str
    client_id: str
    client_secret_name: NotRequired[str | None]


class OperationAnswer(TypedDict):
    """The reference of one operation."""

    name: str
    title: str
    category: str
    nature: str
    """pure (no effect outside), effect, or heavy (an effect that computes)."""
    version: int
    package: str
    description: str
    icon: str
    ports: list[str]
    parameters: JsonValue
    """JSON Schema (2020-12)."""
    result: JsonValue
    """JSON Schema (2020-12)."""
    secret_parameters: list[str]
    """Where `${{ secrets.NAME }}` may stand."""
    errors: list[OperationError]
    examples: list[OperationExample]


class OperationError(TypedDict):
    code: str
    meaning: str
    retryable: bool


class OperationExample(TypedDict):
    title: str
    parameters: JsonValue
    """Any JSON value."""
    result: JsonValue
    """Any JSON value."""


class OperationPage(TypedDict):
    data: list[OperationRow]
    next_cursor: NotRequired[str | None]


class OperationRow(TypedDict):
    """What a list tells of an operation."""

    name: str
    title: str
    category: str
    nature: str
    """pure (no effect outside), effect, or heavy (an effect that computes)."""
    version: int
    package: str


OutboxMailAnswer = TypedDict(
    "OutboxMailAnswer",
    {"id": "str", "at": "str", "from": "str", "to": "str", "subject": "str", "text": "str", "attachments": "list[str]"},
)


class OutputBody(TypedDict):
    """What the step gives instead."""

    output: NotRequired[JsonValue]
    """Any JSON value."""


class OverridesAnswer(TypedDict):
    allow: list[str]
    deny: list[str]


class OverridesBody(TypedDict):
    allow: NotRequired[list[str]]
    """Of the form area:verb."""
    deny: NotRequired[list[str]]
    """Of the form area:verb."""


class OwnPermissions(TypedDict):
    workspace_id: str
    permissions: list[str]
    """In the whole workspace."""
    projects: dict[str, list[str]]
    """What holds in single projects only, by project."""


class ParametersAnswer(TypedDict):
    """Whether the operation could be called with these parameters; nothing was called."""

    valid: bool
    errors: list[JsonValue]


class PasswordBody(TypedDict):
    """`current_password` is required where there is one."""

    password: str
    """12 to 256 characters."""
    current_password: NotRequired[str | None]


class PauseBody(TypedDict):
    """What becomes of what comes meanwhile."""

    events: NotRequired[Literal["keep", "refuse"]]
    """keep: held until somebody runs them or throws them away; refuse: nothing is taken."""


class PreviewAnswer(TypedDict):
    explanation: str
    timezone: str
    cron: str | None
    """The expression as it was understood."""
    next: list[SlotAnswer]
    warnings: list[str]


class ProgressAnswer(TypedDict):
    """Steps of the main graph, a loop counted as one."""

    completed: int
    total: int
    percentage: int
    current: list[str]
    failed: list[str]
    estimated_end_at: NotRequired[str | None]
    """By earlier runs of the same version."""


class ProjectAnswer(TypedDict):
    id: str
    name: str
    title: str
    description: str
    workflows: int
    """How many it holds."""
    created_at: str
    created_by: str
    updated_at: str
    updated_by: str
    deleted_at: str | None


class ProjectAnswerPage(TypedDict):
    data: list[ProjectAnswer]
    next_cursor: NotRequired[str | None]


class ProjectPart(TypedDict):
    name: str
    title: str
    description: NotRequired[str]


class ProofBody(TypedDict):
    current_password: str
    """12 to 256 characters."""


class ProviderAnswer(TypedDict):
    """`GET /auth/oidc/{name}/login` begins a sign-in by it."""

    name: str
    title: str


class PublishedAnswer(TypedDict):
    workflow_id: str
    version: int
    digest: str
    """Of the document's meaning: equal documents have equal digests."""
    note: str
    published_at: str
    published_by: str
    is_current: bool
    warnings: list[ErrorDetail]


class QueueAnswer(TypedDict):
    """One priority of one queue."""

    queue: str
    priority: int
    due: int
    """Could be taken now."""
    waiting: int
    """Wait for a time, a message or a place."""
    running: int
    oldest_at: str | None


class QueueAnswerPage(TypedDict):
    data: list[QueueAnswer]
    next_cursor: NotRequired[str | None]


class ReasonAnswer(TypedDict):
    """`role` and `scope` are null where a personal override speaks, `group` where the person has the role personally."""

    effect: Literal["allow", "deny"]
    user_id: str
    email: str
    role: str | None
    group: GroupName | None
    scope: str | None
    sentence: str


class RecentRunAnswer(TypedDict):
    id: str
    status: str
    started_at: str


class ReencryptionAnswer(TypedDict):
    """`skipped` had the current key already; `failed` names those that no key opens."""

    total: int
    rotated: int
    skipped: int
    failed: list[str]


class RefreshBody(TypedDict):
    refresh_token: str


class RefusedSlot(TypedDict):
    slot: str
    code: str
    message: str


class RegisterBody(TypedDict):
    email: str
    """An email address."""
    password: str
    """12 to 256 characters."""
    name: NotRequired[str | None]


class RelativeAnswer(TypedDict):
    """A run that another one called. `step`: which step did."""

    id: str
    workflow_id: str
    workflow: str
    """The workflow's name when the run began."""
    version: int | None
    """Null: an ad hoc document."""
    status: Literal["queued", "running", "waiting", "paused", "completed", "failed", "cancelled", "timed_out"]
    error_code: str | None
    labels: dict[str, str]
    subject: str | None
    priority: int
    triggered_by: str
    """Who or what started it."""
    started_at: str
    """RFC 3339, in UTC."""
    finished_at: str | None
    duration_ms: int | None
    depth: int
    """0: the run itself; below 0: those that called it; above: those that it called."""
    parent: str | None
    """The run that called it."""


class RelativeAnswerPage(TypedDict):
    data: list[RelativeAnswer]
    next_cursor: NotRequired[str | None]


class RequestAnswer(TypedDict):
    at: str
    remote_address: str | None
    user_agent: str | None
    status: int
    run_id: str | None
    event_id: str | None
    error: str | None


class RequestAnswerPage(TypedDict):
    data: list[RequestAnswer]
    next_cursor: NotRequired[str | None]


class ResetBody(TypedDict):
    email: str
    """An email address."""


class ResolveBody(TypedDict):
    """Whether the effect took place of which nobody knows."""

    happened: bool
    output: NotRequired[JsonValue]
    """If it did: what the step gives."""


class ResumedAnswer(TypedDict):
    """The signal is stored. `duplicate`: the link was used before."""

    run_id: str
    status: Literal["queued", "running", "waiting", "paused", "completed", "failed", "cancelled", "timed_out"]
    duplicate: bool


class RevertBody(TypedDict):
    version: int
    """The version whose document becomes the draft."""


class RoleAnswer(TypedDict):
    id: str
    """A built-in role's name, or rol_…"""
    name: str
    description: str
    permissions: list[str]
    built_in: bool
    """It cannot be changed."""
    created_at: NotRequired[str | None]
    updated_at: NotRequired[str | None]


class RoleAnswerPage(TypedDict):
    data: list[RoleAnswer]
    next_cursor: NotRequired[str | None]


class RunAnswer(TypedDict):
    """A whole run."""

    id: str
    workflow_id: str
    workflow: str
    """The workflow's name when the run began."""
    version: int | None
    """Null: an ad hoc document."""
    status: Literal["queued", "running", "waiting", "paused", "completed", "failed", "cancelled", "timed_out"]
    error_code: str | None
    labels: dict[str, str]
    subject: str | None
    priority: int
    triggered_by: str
    """Who or what started it."""
    started_at: str
    """RFC 3339, in UTC."""
    finished_at: str | None
    duration_ms: int | None
    waiting_for: list[WaitAnswer]
    progress: ProgressAnswer
    input: JsonValue
    """Any JSON value."""
    output: JsonValue
    """Any JSON value."""
    error: RunErrorAnswer | None
    last_seq: int
    """Number of the journal's last row."""
    uncompensated: NotRequired[list[dict[str, JsonValue]]]
    """Effects that could not be undone."""


class RunErrorAnswer(TypedDict):
    code: str
    message: str
    step: NotRequired[str | None]


class RunPage(TypedDict):
    data: list[RunRow]
    next_cursor: NotRequired[str | None]


class RunRow(TypedDict):
    """A run as a row of a list."""

    id: str
    workflow_id: str
    workflow: str
    """The workflow's name when the run began."""
    version: int | None
    """Null: an ad hoc document."""
    status: Literal["queued", "running", "waiting", "paused", "completed", "failed", "cancelled", "timed_out"]
    error_code: str | None
    labels: dict[str, str]
    subject: str | None
    priority: int
    triggered_by: str
    """Who or what started it."""
    started_at: str
    """RFC 3339, in UTC."""
    finished_at: str | None
    duration_ms: int | None


class RuntimeSettings(TypedDict):
    """All that can be set at run time. Settings of the environment that are stricter win."""

    cors_origins: NotRequired[list[str]]
    """Pages that may call the API, beside CORS_ORIGINS."""
    oidc_providers: NotRequired[list[OidcProvider]]
    announcement: NotRequired[str]
    """Shown to everybody who is signed in."""
    default_role: NotRequired[Literal["", "viewer", "requester"]]
    """The role that a person gets at the first sign-in; empty: none."""


class SavedDraftAnswer(TypedDict):
    document: JsonValue
    """The document as a value; null where its text cannot be read."""
    yaml: str
    etag: str
    """For If-Match, there in quotes."""
    faults: list[ErrorDetail]
    """What keeps it from being published."""
    layout: NotRequired[JsonValue]
    """Where its steps stand on the canvas."""
    based_on: int | None
    """The version that was current when it was begun."""
    updated_at: str
    updated_by: str
    warnings: list[ErrorDetail]


ScheduleAnswer = TypedDict(
    "ScheduleAnswer",
    {
        "id": "str",
        "key": "str",
        "workflow_id": "str",
        "workflow": "str",
        "status": "str",
        "with": "dict[str, JsonValue]",
        "explanation": "str",
        "timezone": "str",
        "calendar": "str | None",
        "next_at": "str | None",
        "next": "list[SlotAnswer]",
        "last_run_id": "str | None",
    },
)
"""A live schedule: a trigger of the kind `schedule`."""


class ScheduleAnswerPage(TypedDict):
    data: list[ScheduleAnswer]
    next_cursor: NotRequired[str | None]


class ScheduleSchemaPreviewBody(TypedDict):
    """A schedule as `with` of a trigger has it, and how many slots are wanted. Exactly one of `cron`, `every` and `at`."""

    cron: NotRequired[str | None]
    every: NotRequired[str | None]
    at: NotRequired[str | None]
    """With a zone, or without one in `timezone`."""
    timezone: NotRequired[str]
    start: NotRequired[str | None]
    end: NotRequired[str | None]
    jitter: NotRequired[str | None]
    calendar: NotRequired[str | None]
    """The name of a calendar."""
    limit: NotRequired[int]
    """How many slots: 1 to 100."""


class SchemaAnswer(TypedDict):
    """JSON Schemas (2020-12) of an operation's parameters and result."""

    parameters: JsonValue
    """Any JSON value."""
    result: JsonValue
    """Any JSON value."""


class SchemaGroupAnswer(TypedDict):
    """Runs that have something in common."""

    key: str
    count: int
    last_started_at: str
    """RFC 3339, in UTC."""


class SchemaGroupAnswerPage(TypedDict):
    data: list[SchemaGroupAnswer]
    next_cursor: NotRequired[str | None]


class SecretAnswer(TypedDict):
    """What may be shown of a secret."""

    name: str
    set: NotRequired[Literal[True]]
    hosts: list[str]
    version: int
    """1 at first, one more at each new value."""
    updated_at: str


class SecretAnswerPage(TypedDict):
    data: list[SecretAnswer]
    next_cursor: NotRequired[str | None]


class SecretBody(TypedDict):
    value: str
    """Text of 1 byte to 64 KiB."""
    hosts: NotRequired[list[str]]
    """Where it may be sent; empty: anywhere."""


class SentAnswer(TypedDict):
    """The message is stored; the run reads it within a second, or when it goes on."""

    run_id: str
    sent: str
    steps: NotRequired[list[str]]
    """Steps that it is about."""
    duplicate: NotRequired[bool]


class SessionAnswer(TypedDict):
    """A sign-in of a person: of a browser, or of a program (`token`)."""

    id: str
    kind: str
    method: str
    """`password`, `link` or `oidc:` and the provider."""
    current: bool
    """Whether this request comes by it."""
    address: str
    user_agent: str
    created_at: str
    last_used_at: str
    expires_at: str


class SessionAnswerPage(TypedDict):
    data: list[SessionAnswer]
    next_cursor: NotRequired[str | None]


class SetAnswer(TypedDict):
    id: str
    project_id: str | None
    name: str
    title: str
    description: str
    workflows: list[str]
    """Their ids, in order."""
    created_at: str
    created_by: str
    updated_at: str
    updated_by: str
    deleted_at: str | None


class SetAnswerPage(TypedDict):
    data: list[SetAnswer]
    next_cursor: NotRequired[str | None]


class SetPart(TypedDict):
    name: str
    project: NotRequired[str | None]
    title: str
    description: NotRequired[str]
    workflows: NotRequired[list[str]]


class SettingsChange(TypedDict):
    """What is left out stays; null is the default again."""

    cors_origins: NotRequired[list[str] | None]
    oidc_providers: NotRequired[list[OidcProvider] | None]
    announcement: NotRequired[str | None]
    default_role: NotRequired[str | None]


class SignalBody(TypedDict):
    """A signal. It is kept until a step waits for it."""

    name: str
    key: NotRequired[str | None]
    """For waits with this key; without one for those that name none."""
    payload: NotRequired[JsonValue]
    """Any JSON value."""


class SignalledAnswer(TypedDict):
    """The signal is stored; a run that begins to wait within 24 hours gets it too."""

    name: str
    reached: int
    """How many runs waited for it."""


class SignedInAnswer(TypedDict):
    """Who is signed in, and until when. The session itself is in cookies."""

    user: UserAnswer
    expires_at: str


class SlotAnswer(TypedDict):
    """A moment at which a schedule fires."""

    at: str
    """In UTC."""
    local: str
    """In the schedule's zone."""
    nominal: str
    """The wall time that is meant, without a zone."""
    is_moved: bool
    """The clocks skip the nominal time: it fires at the first moment after that."""


class StartBody(TypedDict):
    """Which workflow, with which input, and what the run is to be found by."""

    workflow: NotRequired[str | None]
    """Name or id."""
    version: NotRequired[int | Literal["draft"] | None]
    """A version's number, or `draft`; else the published one."""
    document: NotRequired[JsonValue]
    """A whole definition in place of `workflow`; it needs workflow:create too."""
    input: NotRequired[JsonValue]
    """What the workflow's input asks for."""
    labels: NotRequired[dict[str, str]]
    subject: NotRequired[str | None]
    """What the run is about."""
    priority: NotRequired[int]
    """0 is first."""
    use_mocks: NotRequired[bool]
    """Steps give their `mock` instead of running."""


class StartFormAnswer(TypedDict):
    workflow_id: str
    name: str
    title: str
    description: str
    version: int | None
    """Null: of the draft."""
    schema: dict[str, JsonValue]
    """The JSON Schema (2020-12) of the input."""
    defaults: JsonValue
    """An input of the schema's defaults."""


class StepAnswer(TypedDict):
    """A step as a row of a list."""

    id: str
    iteration: str
    """Where the step stands in loops and phases."""
    phase: str
    """undoing, on_failure or finally; empty: the main graph."""
    kind: str
    status: str
    port: str | None
    started_at: str | None
    finished_at: str | None
    duration_ms: int | None
    waiting_for: WaitAnswer | None
    output_summary: NotRequired[str | None]
    error: dict[str, JsonValue] | None
    attempts: list[AttemptAnswer]


class StepsPage(TypedDict):
    """Some steps of a run. `counts` and `buckets` are those of all steps that the filters let through."""

    data: list[StepAnswer]
    next_cursor: str | None
    counts: NotRequired[dict[str, int] | None]
    """How many steps are in each state (with `counts=true`)."""
    buckets: NotRequired[list[str] | None]
    """The steps in their order, in so many equal parts: the worst state in each (with `buckets`)."""


class SubscriptionAnswer(TypedDict):
    id: str
    url: str
    types: list[str]
    active: bool
    created_at: str
    created_by: str
    updated_at: str


class SubscriptionAnswerPage(TypedDict):
    data: list[SubscriptionAnswer]
    next_cursor: NotRequired[str | None]


class SubscriptionBody(TypedDict):
    """Where events are sent, and which."""

    url: str
    types: list[str]
    """Names, kinds or `*`."""


class SubscriptionChange(TypedDict):
    """What is left out stays."""

    url: NotRequired[str | None]
    types: NotRequired[list[str] | None]
    active: NotRequired[bool | None]
    """Of what happens while it is false nothing is delivered later."""


class SubscriptionCreatedAnswer(TypedDict):
    """With the secret that signs; it is shown this once."""

    id: str
    url: str
    types: list[str]
    active: bool
    created_at: str
    created_by: str
    updated_at: str
    secret: str


class SubscriptionDeliveryAnswer(TypedDict):
    """One event for the subscription. `id` is its `webhook-id`."""

    id: str
    event_type: str
    status: DeliveryStatus
    attempts: int
    next_attempt_at: str | None
    last_status: int | None
    last_error: str | None
    created_at: str
    ended_at: str | None


class SubscriptionDeliveryAnswerPage(TypedDict):
    data: list[SubscriptionDeliveryAnswer]
    next_cursor: NotRequired[str | None]


class SuggestionAnswer(TypedDict):
    """Something to do. `request`: how it is asked for here."""

    text: str
    request: NotRequired[str | None]


class TemplateAnswer(TypedDict):
    id: str
    kind: str
    name: str
    title: str
    description: str
    category: str
    content: dict[str, JsonValue]
    created_at: str
    created_by: str
    updated_at: str
    updated_by: str
    deleted_at: str | None


class TemplateAnswerPage(TypedDict):
    data: list[TemplateAnswer]
    next_cursor: NotRequired[str | None]


class TemplatePart(TypedDict):
    kind: Literal["workflow", "step", "mail"]
    name: str
    title: str
    description: NotRequired[str]
    category: NotRequired[str]
    content: dict[str, JsonValue]


class TemplatePreviewBody(TypedDict):
    """What is shown instead of what is stored, while it is being written."""

    content: NotRequired[dict[str, JsonValue] | None]
    data: NotRequired[dict[str, JsonValue] | None]
    """For a mail, instead of the template's sample."""


class TestAnswer(TypedDict):
    """What was found out."""

    configuration_valid: bool
    errors: list[WarningAnswer]
    connection_test: ConnectionAnswer | None
    """null where the configuration is not valid."""
    warnings: list[WarningAnswer]


class TokenAnswer(TypedDict):
    """`access_token` goes behind `Authorization: Bearer`; `refresh_token` gets the next pair, once."""

    access_token: str
    refresh_token: str
    token_type: NotRequired[str]
    expires_in_seconds: int


class TotpAnswer(TypedDict):
    """`secret` and `url` are shown once, when the secret is made."""

    enabled: bool
    secret: NotRequired[str | None]
    url: NotRequired[str | None]
    """For the authenticator's picture: `otpauth://…`."""


class TotpBody(TypedDict):
    """Without `code`: a new secret is made. With a code of it, the second factor is on."""

    code: NotRequired[str | None]
    current_password: NotRequired[str | None]
    """Required to begin, where there is one."""


TriggerAnswer = TypedDict(
    "TriggerAnswer",
    {
        "id": "str",
        "workflow_id": "str",
        "workflow": "str",
        "key": "str",
        "uses": "str",
        "with": "dict[str, JsonValue]",
        "input": "NotRequired[JsonValue]",
        "source": "Literal['document', 'attached']",
        "status": "Literal['live', 'paused', 'off']",
        "paused": "Literal['keep', 'refuse'] | None",
        "url": "str | None",
        "figures": "FiguresAnswer",
        "created_at": "str",
        "created_by": "str",
        "updated_at": "str",
        "updated_by": "str",
    },
)
"""A trigger."""


class TriggerAnswerPage(TypedDict):
    data: list[TriggerAnswer]
    next_cursor: NotRequired[str | None]


TriggerPatch = TypedDict("TriggerPatch", {"with": "NotRequired[dict[str, JsonValue] | None]", "input": "NotRequired[JsonValue]"})
"""What changes of an attached trigger (JSON Merge Patch)."""

TriggerTest = TypedDict("TriggerTest", {"uses": "str", "with": "dict[str, JsonValue]", "input": "NotRequired[JsonValue]"})
"""Parameters that are to be looked at, and nothing stored."""


class UploadAnswer(TypedDict):
    """A file on its way."""

    id: str
    name: str
    size_bytes: int
    received_bytes: int
    expires_at: str
    file_id: str | None


class UploadBody(TypedDict):
    name: str
    media_type: NotRequired[str]
    size_bytes: int


class UsageAnswer(TypedDict):
    """Requests within one hour from one address."""

    hour: str
    address: str
    requests: int
    last_used_at: str


class UsageAnswerPage(TypedDict):
    data: list[UsageAnswer]
    next_cursor: NotRequired[str | None]


class UseAnswer(TypedDict):
    """A workflow that names it."""

    workflow_id: str
    workflow: str
    version: int | None
    """The published version; null: the draft."""


class UseAnswerPage(TypedDict):
    data: list[UseAnswer]
    next_cursor: NotRequired[str | None]


UseBody = TypedDict(
    "UseBody",
    {
        "name": "NotRequired[str | None]",
        "id": "NotRequired[str | None]",
        "with": "NotRequired[dict[str, JsonValue] | None]",
        "data": "NotRequired[dict[str, JsonValue] | None]",
    },
)
"""What the template is filled with: `name` for a workflow, `id` and `with` for a step, `data` for a mail."""


class UserAnswer(TypedDict):
    """A person."""

    id: str
    email: str
    name: str
    status: str
    """`active`, `disabled`, `deleted` or `erased`."""
    confirmed: bool
    """Whether the person has proven to be who this says."""
    issuer: str
    """Who vouches for the person: a provider's address, or `-` for a local account."""
    default_workspace: str | None
    """Where the person works unless a request says otherwise."""
    attributes: JsonValue
    """Any JSON value."""
    created_at: str
    updated_at: str
    last_sign_in_at: str | None


class UserAnswerPage(TypedDict):
    data: list[UserAnswer]
    next_cursor: NotRequired[str | None]


class ValidateBody(TypedDict):
    document: NotRequired[dict[str, JsonValue] | None]
    yaml: NotRequired[str | None]
    strict: NotRequired[bool]
    """Warnings count as errors, as for who publishes with care."""


class ValidatedAnswer(TypedDict):
    valid: bool
    errors: list[ErrorDetail]
    warnings: list[ErrorDetail]
    metadata: dict[str, JsonValue] | None
    """How large and tangled it is: steps, depth, branches, loops, expressions, triggers, kinds."""


class VariableAnswer(TypedDict):
    name: str
    value: JsonValue
    """Any JSON value."""
    version: int
    updated_at: str


class VariableAnswerPage(TypedDict):
    data: list[VariableAnswer]
    next_cursor: NotRequired[str | None]


class VariableBody(TypedDict):
    value: JsonValue
    """Any JSON value."""


class VerdictAnswer(TypedDict):
    """Whether the chain is what was written."""

    valid: bool
    checked: int
    """Rows that are as they were written."""
    first_bad: NotRequired[int | None]
    """The first row that is not."""
    reason: NotRequired[str | None]
    """changed, removed, inserted, reordered, truncated, rewritten, signature or key_unknown."""
    message: NotRequired[str]
    signed_up_to: int
    """The last row that a checkpoint covers; those behind it are not signed yet."""


class VersionAnswer(TypedDict):
    workflow_id: str
    version: int
    digest: str
    """Of the document's meaning: equal documents have equal digests."""
    note: str
    published_at: str
    published_by: str
    is_current: bool


class VersionAnswerPage(TypedDict):
    data: list[VersionAnswer]
    next_cursor: NotRequired[str | None]


class VersionPart(TypedDict):
    version: int
    note: NotRequired[str]
    format: NotRequired[Literal["yaml", "json"]]
    source: str
    """The document, byte for byte."""


class VersionWithSourceAnswer(TypedDict):
    workflow_id: str
    version: int
    digest: str
    """Of the document's meaning: equal documents have equal digests."""
    note: str
    published_at: str
    published_by: str
    is_current: bool
    document: JsonValue
    """Any JSON value."""
    yaml: str


class WaitAnswer(TypedDict):
    """Something that a run waits for. `kind`: timer, signal, slot, retry, child or attention (a person)."""

    kind: str
    ref: dict[str, JsonValue]
    """What belongs to the kind: the step, a signal's name and key, the called run. Of a signal, for whoever may operate runs, also `resume_url`: a link by which anybody can send it."""
    until: str | None


class WarningAnswer(TypedDict):
    field: str
    message: str
    code: str


class WhoCanAnswer(TypedDict):
    allowed: bool
    because: list[ReasonAnswer]
    next_cursor: str | None
    """For the people behind these; null: that were all."""


class WholeStepAnswer(TypedDict):
    """A step with its values as they are."""

    id: str
    iteration: str
    """Where the step stands in loops and phases."""
    phase: str
    """undoing, on_failure or finally; empty: the main graph."""
    kind: str
    status: str
    port: str | None
    started_at: str | None
    finished_at: str | None
    duration_ms: int | None
    waiting_for: WaitAnswer | None
    output_summary: NotRequired[str | None]
    error: dict[str, JsonValue] | None
    attempts: list[AttemptAnswer]
    output: JsonValue
    """Any JSON value."""
    run: str | None
    """The run that the step called."""


class WhyAnswer(TypedDict):
    """Why a run is where it is."""

    sentence: str
    causes: list[dict[str, JsonValue]]


class WorkerAnswer(TypedDict):
    no: int
    state: str
    """alive, late (nobody has noticed yet) or dead."""
    name: str
    role: str
    is_leader: bool
    host: str
    pid: int
    version: str
    queues: list[str]
    runs: int
    jobs: int
    beat_at: str
    address: str | None


class WorkerAnswerPage(TypedDict):
    data: list[WorkerAnswer]
    next_cursor: NotRequired[str | None]


class WorkflowAnswer(TypedDict):
    id: str
    name: str
    title: str
    description: str
    status: str
    """draft, published, inactive, deprecated or deleted."""
    version: int | None
    """The published version that new runs take."""
    has_draft: bool
    category: str
    project_id: str | None
    active: bool
    public: bool
    labels: dict[str, str]
    created_at: str
    created_by: str
    updated_at: str
    updated_by: str
    deprecated_at: str | None
    deleted_at: str | None


class WorkflowPart(TypedDict):
    """`versions`: the oldest first. `title` and `labels`: what was set beside the document."""

    name: str
    project: NotRequired[str | None]
    category: NotRequired[str]
    active: NotRequired[bool]
    public: NotRequired[bool]
    title: NotRequired[str | None]
    labels: NotRequired[dict[str, str | None]]
    deprecated: NotRequired[bool]
    current_version: NotRequired[int | None]
    versions: NotRequired[list[VersionPart]]
    draft: NotRequired[DraftPart | None]


class WorkflowRowAnswer(TypedDict):
    id: str
    name: str
    title: str
    description: str
    status: str
    """draft, published, inactive, deprecated or deleted."""
    version: int | None
    """The published version that new runs take."""
    has_draft: bool
    category: str
    project_id: str | None
    active: bool
    public: bool
    labels: dict[str, str]
    created_at: str
    created_by: str
    updated_at: str
    updated_by: str
    deprecated_at: str | None
    deleted_at: str | None
    recent_runs: list[RecentRunAnswer]
    """The last 20, the newest first."""


class WorkflowRowAnswerPage(TypedDict):
    data: list[WorkflowRowAnswer]
    next_cursor: NotRequired[str | None]


class WorkspaceAnswer(TypedDict):
    id: str
    name: str
    title: str
    description: str
    created_at: str
    created_by: str
    updated_at: str
    updated_by: str
    deleted_at: NotRequired[str | None]


class WorkspaceAnswerPage(TypedDict):
    data: list[WorkspaceAnswer]
    next_cursor: NotRequired[str | None]
