"""Rows of runs as the reading side sees them, always within one workspace. Written by the engine only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, RowMapping, and_, exists, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.engine.tables import definitions, journal, queue, run_labels, runs, step_logs
from flowforge.runs.types import TERMINAL_STATUSES, RunHeader


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs a list is about; all conditions hold. `workflow`: id or name. Times: `started_at`, the second one excluded."""

    statuses: Sequence[str] = ()
    workflow: str | None = None
    version: int | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    subject: str | None = None
    error_codes: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class QueueRow:
    """Why a run that nobody owns is in the queue, and until when. `why`: what it waits for, as JSON text.

    `scope` and `limit`: of a run that waits for one of the places that its workflow's `concurrency` gives. `needs`: the format of events
    that its worker must know.
    """

    cause: str
    due_at_ms: int
    since_ms: int
    why: str | None
    scope: str | None
    limit: int | None
    needs: int = 1


_HEADER = (
    runs.c.no,
    runs.c.id,
    runs.c.workspace_id,
    runs.c.workflow_id,
    runs.c.workflow_name,
    runs.c.version,
    runs.c.digest,
    runs.c.status,
    runs.c.priority,
    runs.c.subject,
    runs.c.actor,
    runs.c.started_at,
    runs.c.finished_at,
    runs.c.error_code,
    runs.c.fork_of,
    runs.c.parent_no,
    runs.c.owner,
    runs.c.crashes,
)
_POISON = '%"poison"%'
"""In what a released run waits for, as JSON text."""


async def find_run(session: AsyncSession, workspace_id: str, run_id: str) -> RunHeader | None:
    row = (
        (await session.execute(select(*_HEADER).where(runs.c.workspace_id == workspace_id, runs.c.id == run_id)))
        .mappings()
        .one_or_none()
    )
    if row is None:
        return None
    return _header(row, (await _read_labels(session, workspace_id, [row["no"]])).get(row["no"], {}))


async def list_runs(
    session: AsyncSession, workspace_id: str, wanted: RunFilter, *, before: tuple[int, int] | None, limit: int
) -> list[RunHeader]:
    """The newest first; at most `limit`. `before`: started_at and number of the last run of the page before."""
    query = select(*_HEADER).where(runs.c.workspace_id == workspace_id, *_conditions(wanted))
    if before is not None:
        query = query.where(tuple_(runs.c.started_at, runs.c.no) < before)
    rows = (await session.execute(query.order_by(runs.c.started_at.desc(), runs.c.no.desc()).limit(limit))).mappings().all()
    labels = await _read_labels(session, workspace_id, [row["no"] for row in rows])
    return [_header(row, labels.get(row["no"], {})) for row in rows]


async def list_open_runs(session: AsyncSession, workspace_id: str, *, workflow_id: str | None = None) -> list[RunHeader]:
    """Every run that has not ended, the oldest first."""
    query = select(*_HEADER).where(runs.c.workspace_id == workspace_id, runs.c.finished_at.is_(None))
    if workflow_id is not None:
        query = query.where(runs.c.workflow_id == workflow_id)
    rows = (await session.execute(query.order_by(runs.c.started_at, runs.c.no))).mappings().all()
    return [_header(row, {}) for row in rows]


async def list_suspects(session: AsyncSession, workspace_id: str) -> list[RunHeader]:
    """Open runs that may hold a dead letter: they have crashes behind them, or wait because of what a step did to its workers."""
    waits = select(queue.c.run_no).where(queue.c.workspace_id == workspace_id, queue.c.why.like(_POISON))
    query = select(*_HEADER).where(runs.c.workspace_id == workspace_id, runs.c.finished_at.is_(None))
    query = query.where(or_(runs.c.crashes > 0, runs.c.no.in_(waits)))
    rows = (await session.execute(query.order_by(runs.c.started_at, runs.c.no))).mappings().all()
    return [_header(row, {}) for row in rows]


async def list_finished_runs(session: AsyncSession, workspace_id: str, *, after: tuple[int, int], limit: int) -> list[RunHeader]:
    """In the order in which they ended. `after`: end and number of the last one of the page before."""
    query = select(*_HEADER).where(runs.c.workspace_id == workspace_id, tuple_(runs.c.finished_at, runs.c.no) > after)
    rows = (await session.execute(query.order_by(runs.c.finished_at, runs.c.no).limit(limit))).mappings().all()
    return [_header(row, {}) for row in rows]


async def list_journal(
    session: AsyncSession, workspace_id: str, run_no: int, *, after_seq: int = 0
) -> list[tuple[int, int, str]]:
    """Seq, time and body of each row, in order."""
    query = select(journal.c.seq, journal.c.at, journal.c.body).where(
        journal.c.run_no == run_no, journal.c.seq > after_seq, _is_own(workspace_id, run_no)
    )
    return [(row["seq"], row["at"], row["body"]) for row in (await session.execute(query.order_by(journal.c.seq))).mappings()]


async def find_definition(session: AsyncSession, digest: str) -> str | None:
    """Definitions are found by what they are; they belong to no workspace."""
    return await session.scalar(select(definitions.c.document).where(definitions.c.digest == digest))


async def find_queue_row(session: AsyncSession, workspace_id: str, run_no: int) -> QueueRow | None:
    query = select(queue).where(queue.c.run_no == run_no, queue.c.workspace_id == workspace_id)
    row = (await session.execute(query)).mappings().one_or_none()
    if row is None:
        return None
    return QueueRow(row["cause"], row["due_at"], row["since"], row["why"], row["scope"], row["slot_limit"], row["needs"])


async def list_logs(
    session: AsyncSession, workspace_id: str, run_no: int, *, after_no: int = 0, limit: int = 1_000
) -> Sequence[RowMapping]:
    """Lines in the order in which they were stored."""
    query = select(step_logs).where(step_logs.c.run_no == run_no, step_logs.c.no > after_no, _is_own(workspace_id, run_no))
    return (await session.execute(query.order_by(step_logs.c.no).limit(limit))).mappings().all()


def _is_own(workspace_id: str, run_no: int) -> ColumnElement[bool]:
    return exists().where(runs.c.no == run_no, runs.c.workspace_id == workspace_id)


def _conditions(wanted: RunFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.statuses:
        conditions.append(runs.c.status.in_(wanted.statuses))
        if not TERMINAL_STATUSES.intersection(wanted.statuses):
            # Spares the walk over all that has ended: the index on finished_at holds the open runs together.
            conditions.append(runs.c.finished_at.is_(None))
    if wanted.workflow is not None:
        conditions.append(or_(runs.c.workflow_id == wanted.workflow, runs.c.workflow_name == wanted.workflow))
    if wanted.version is not None:
        conditions.append(runs.c.version == wanted.version)
    if wanted.since_ms is not None:
        conditions.append(runs.c.started_at >= wanted.since_ms)
    if wanted.until_ms is not None:
        conditions.append(runs.c.started_at < wanted.until_ms)
    if wanted.subject is not None:
        conditions.append(runs.c.subject == wanted.subject)
    if wanted.error_codes:
        conditions.append(runs.c.error_code.in_(wanted.error_codes))
    conditions.extend(_has_label(name, value) for name, value in wanted.labels.items())
    return conditions


def _has_label(name: str, value: str) -> ColumnElement[bool]:
    return exists().where(
        and_(
            run_labels.c.run_no == runs.c.no,
            run_labels.c.workspace_id == runs.c.workspace_id,
            run_labels.c.key == name,
            run_labels.c.value == value,
        )
    )


async def _read_labels(session: AsyncSession, workspace_id: str, run_nos: Sequence[int]) -> dict[int, dict[str, str]]:
    if not run_nos:
        return {}
    query = select(run_labels.c.run_no, run_labels.c.key, run_labels.c.value)
    query = query.where(run_labels.c.run_no.in_(run_nos), run_labels.c.workspace_id == workspace_id)
    labels: dict[int, dict[str, str]] = {}
    for row in (await session.execute(query.order_by(run_labels.c.key))).mappings():
        labels.setdefault(row["run_no"], {})[row["key"]] = row["value"]
    return labels


def _header(row: RowMapping, labels: Mapping[str, str]) -> RunHeader:
    return RunHeader(
        no=row["no"],
        id=row["id"],
        workspace_id=row["workspace_id"],
        workflow_id=row["workflow_id"],
        workflow=row["workflow_name"],
        version=row["version"],
        digest=row["digest"],
        status=row["status"],
        priority=row["priority"],
        subject=row["subject"],
        labels=labels,
        actor=row["actor"],
        started_at_ms=row["started_at"],
        finished_at_ms=row["finished_at"],
        error_code=row["error_code"],
        fork_of=row["fork_of"],
        parent_no=row["parent_no"],
        owner=row["owner"],
        crashes=row["crashes"],
    )
