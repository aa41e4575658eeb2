"""What a start answers: the run as it is now, from what the start itself knows and the run's journal."""

from collections.abc import Sequence

from flowforge.engine.births import StartRequest
from flowforge.engine.store import NewRun, Verdict
from flowforge.kit.values import JsonObject
from flowforge.language.graph import Workflow
from flowforge.language.times import format_timestamp_ms
from flowforge.runs.events import describe_wait
from flowforge.runs.history import History, decode_turn, read_history
from flowforge.runs.types import JournalTurn, LoadBlob, RunHeader
from flowforge.runs.views import DescribeWait, describe_row, describe_run


def describe_birth(born: NewRun, verdict: Verdict, request: StartRequest, workflow: Workflow) -> JsonObject:
    """A run that has just begun."""
    row = describe_row(make_header(born, "queued" if verdict is Verdict.QUEUED or born.owner is None else "running"))
    total = len(workflow.graph.steps)
    progress: JsonObject = {
        "completed": 0,
        "total": total,
        "percentage": 0,
        "current": [],
        "failed": [],
        "estimated_end_at": None,
    }
    more: JsonObject = {"waiting_for": [], "progress": progress, "input": request.input, "output": None, "error": None}
    return row | more | {"last_seq": 1, "uncompensated": []}


def make_header(born: NewRun, status: str) -> RunHeader:
    """The run's row, as it was born."""
    return RunHeader(
        no=born.no,
        id=born.id,
        workspace_id=born.workspace_id,
        workflow_id=born.workflow_id,
        workflow=born.workflow_name,
        version=born.version,
        digest=born.digest,
        status=status,
        priority=born.priority,
        subject=born.subject,
        labels=born.labels,
        actor=born.actor,
        started_at_ms=born.at,
        finished_at_ms=None,
        error_code=None,
        fork_of=born.fork_of,
        parent_no=born.parent_no,
        owner=born.owner,
        crashes=0,
    )


def read_rows(seq: int, at_ms: int, body: bytes) -> Sequence[JournalTurn]:
    """A journal row as its store has it; none where it is empty."""
    return [decode_turn(seq, at_ms, body)] if body else []


def describe_journal(
    header: RunHeader,
    turns: Sequence[JournalTurn],
    workflow: Workflow | None,
    load_blob: LoadBlob,
    describe_wait: DescribeWait = describe_wait,
) -> JsonObject:
    """The run as its journal says it is now."""
    history = read_history(turns, workflow)
    steps, status = history.list_steps(), find_status(history, header.status)
    described = describe_run(header, history, steps, load_blob, status=status, describe_wait=describe_wait)
    described.setdefault("uncompensated", [])
    finished, ended_ms = history.finished, history.finished_at_ms
    if finished is not None and ended_ms is not None:
        error = finished.get("error")
        described["finished_at"] = format_timestamp_ms(ended_ms)
        described["duration_ms"] = ended_ms - header.started_at_ms
        described["error_code"] = None if error is None else error["code"]
    return described


def find_status(history: History, stored: str) -> str:
    """The status that a journal shows. `stored`: that of the run's row, for what has not begun."""
    if history.finished is not None:
        return history.finished["status"]
    if history.is_paused:
        return "paused"
    if history.list_waits() and not history.has_open_attempts():
        return "waiting"
    return stored if stored == "queued" and history.last_seq == 1 else "running"
