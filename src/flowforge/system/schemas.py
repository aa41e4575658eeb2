"""The bodies of the system's answers."""

from pydantic import Field

from flowforge.web.bodies import Answer


class InfoAnswer(Answer):
    """What somebody who is signed in may know of the server."""

    version: str
    database: str = Field(examples=["sqlite"])
    public_url: str | None
    uptime_seconds: float
    workspace_id: str
    announcement: str
    features: list[str] = Field(description="Feature flags that are on in this workspace.")


class HealthCheckAnswer(Answer):
    status: str
    latency_ms: float
    message: str | None = None


class HealthAnswer(Answer):
    status: str
    stage: str
    version: str
    uptime_seconds: float
    checks: dict[str, HealthCheckAnswer]


class QueueAnswer(Answer):
    """One priority of one queue."""

    queue: str
    priority: int
    due: int = Field(description="Could be taken now.")
    waiting: int = Field(description="Wait for a time, a message or a place.")
    running: int
    oldest_at: str | None


class WorkerAnswer(Answer):
    no: int
    state: str = Field(description="alive, late (nobody has noticed yet) or dead.")
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


class LetterAnswer(Answer):
    """Something that was given up and waits for a person."""

    id: str = Field(examples=["event_12"])
    kind: str = Field(description="run, event or message.")
    what: str
    tries: int | None
    since: str | None
    last_error: str | None = None


class MailRow(Answer):
    """A mail in the built-in outbox."""

    id: str
    at: str
    sender: str = Field(alias="from", serialization_alias="from")
    to: str
    subject: str


class OutboxMailAnswer(MailRow):
    text: str
    attachments: list[str]


class DashboardRun(Answer):
    id: str
    workflow: str
    status: str
    started_at: str
    error_code: str | None


class HourAnswer(Answer):
    """One hour: when it began, and the runs that began in it, by how they ended."""

    at: str
    by_status: dict[str, int]


class NextTimeAnswer(Answer):
    """When a schedule fires next."""

    trigger_id: str
    workflow_id: str
    workflow: str
    at: str


class DashboardAnswer(Answer):
    """The figures of a workspace, of the last 24 hours where a time is meant."""

    running: int
    waiting: int
    queued: int
    completion_rate: float | None = Field(description="Completed of all that ended; null where none did.")
    by_status: dict[str, int]
    by_hour: list[HourAnswer] = Field(description="24 of them, the oldest first.")
    next: list[NextTimeAnswer] = Field(
        description="The next time of each schedule that is not paused and that the caller may see, the first ten."
    )
    failed: list[DashboardRun] = Field(description="The last ten that failed.")
    my_tasks: int = Field(description="0: there are no tasks for people yet.")
