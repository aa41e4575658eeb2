"""Rows of runs as the reading side sees them, always within one workspace. Written by the engine only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, RowMapping, and_, delete, exists, func, insert, or_, select, tuple_, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.engine.store import NewEvent
from flowforge.engine.tables import (
    definitions,
    events,
    inbox,
    jobs,
    journal,
    queue,
    run_blobs,
    run_labels,
    runs,
    snapshots,
    step_logs,
    waits,
)
from flowforge.kit.database.session import read_time_ms
from flowforge.runs.searching import Mark, Search, find_numbers, match_all, set_aside
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


async def search_runs(
    session: AsyncSession, workspace_id: str, search: Search, *, after: Mark | None, limit: int
) -> list[RunHeader]:
    """At most `limit` rows behind a place, in the order of the search."""
    nos = await find_numbers(session, search, after, limit)
    query = select(*_HEADER).where(runs.c.no.in_(nos), set_aside(runs.c.workspace_id) == workspace_id)
    rows = {row["no"]: row for row in (await session.execute(query)).mappings()} if nos else {}
    labels = await _read_labels(session, workspace_id, nos)
    return [_header(rows[no], labels.get(no, {})) for no in nos if no in rows]


async def list_durations(
    session: AsyncSession, workspace_id: str, workflow_id: str, version: int | None, limit: int
) -> list[int]:
    """How long runs of one version took that completed, in milliseconds: those among the last `limit` of the workflow."""
    last = select(runs.c.started_at, runs.c.finished_at, runs.c.version, runs.c.status)
    last = last.where(set_aside(runs.c.workspace_id) == workspace_id, runs.c.workflow_id == workflow_id)
    last_runs = last.order_by(runs.c.started_at.desc(), runs.c.no.desc()).limit(limit).subquery()
    query = select(last_runs.c.finished_at - last_runs.c.started_at)
    query = query.where(last_runs.c.status == "completed", last_runs.c.version == version)
    return list((await session.scalars(query)).all())


async def list_children(session: AsyncSession, workspace_id: str, parent_no: int, *, limit: int) -> list[RunHeader]:
    """The runs that a run has called, the first first."""
    query = select(*_HEADER).where(set_aside(runs.c.workspace_id) == workspace_id, runs.c.parent_no == parent_no)
    rows = (await session.execute(query.order_by(runs.c.started_at, runs.c.no).limit(limit))).mappings().all()
    return [_header(row, {}) for row in rows]


async def find_run_by_no(session: AsyncSession, workspace_id: str, run_no: int) -> RunHeader | None:
    query = select(*_HEADER).where(runs.c.workspace_id == workspace_id, runs.c.no == run_no)
    row = (await session.execute(query)).mappings().one_or_none()
    return None if row is None else _header(row, {})


async def find_runs(session: AsyncSession, workspace_id: str, run_ids: Sequence[str]) -> list[RunHeader]:
    """Those of the runs that exist, in any order."""
    query = select(*_HEADER).where(set_aside(runs.c.workspace_id) == workspace_id, runs.c.id.in_(run_ids))
    return [_header(row, {}) for row in (await session.execute(query)).mappings()]


async def count_groups(
    session: AsyncSession, workspace_id: str, search: Search, key: str, *, after: tuple[int, str] | None, limit: int
) -> list[tuple[str, int, int]]:
    """Value of a column, how many runs have it, and when the newest of them began; the largest group first."""
    column: ColumnElement[str] = runs.c[key]
    parts = [
        select(column.label("value"), runs.c.started_at).where(
            *match_all(search), runs.c.workspace_id == workspace_id, column.is_not(None)
        )
    ]
    if key == "status":
        # What has ended is counted in the index of that.
        ended, still = runs.c.finished_at.is_not(None), runs.c.finished_at.is_(None)
        parts = [parts[0].where(ended), parts[0].where(still)]
    elif key == "error_key":
        parts = [parts[0].where(runs.c.error_code.is_not(None))]
    found = union_all(*parts).subquery() if len(parts) > 1 else parts[0].subquery()
    count = func.count()
    query = select(found.c.value, count, func.max(found.c.started_at)).group_by(found.c.value)
    if after is not None:
        query = query.having(or_(count < after[0], and_(count == after[0], found.c.value > after[1])))
    rows = await session.execute(query.order_by(count.desc(), found.c.value).limit(limit))
    return [(row[0], row[1], row[2]) for row in rows]


async def count_runs(session: AsyncSession, workspace_id: str, search: Search) -> int:
    """How many runs the search finds."""
    query = select(func.count()).select_from(runs).where(runs.c.workspace_id == workspace_id, *match_all(search))
    return await session.scalar(query) or 0


async def insert_event(session: AsyncSession, workspace_id: str, event: NewEvent) -> int:
    """Stores a named event, for the runs that wait for it; its number. Who commits has it delivered (`RunGround.deliver_event`).

    Its time is the database's own: that of another process, told from below, may be before the start of a run that it comes after.
    """
    at_ms = max(event.at, await read_time_ms(session) or 0)
    values = {"name": event.name, "correlation": event.correlation, "body": event.body.decode(), "sender": event.by}
    made = await session.execute(insert(events).values(workspace_id=workspace_id, at=at_ms, matched=0, **values))
    return cast("tuple[int]", cast("CursorResult[Any]", made).inserted_primary_key)[0]


async def count_like_failures(session: AsyncSession, workspace_id: str, error_key: str, since_ms: int) -> int:
    """How many runs that began since then failed like that, at most 1,000."""
    query = select(runs.c.no).where(runs.c.workspace_id == workspace_id, runs.c.error_code == error_key.rpartition(":")[2])
    query = query.where(runs.c.started_at >= since_ms, set_aside(runs.c.error_key) == error_key).limit(1_000)
    return await session.scalar(select(func.count()).select_from(query.subquery())) or 0


async def delete_run(session: AsyncSession, workspace_id: str, run_no: int) -> bool:
    """Takes away an ended run with all that hangs on it; False, and nothing is changed, where it is open or not there.

    Values in the object store that only it names are deleted when the next sweep finds them.
    """
    own = delete(runs).where(runs.c.no == run_no, runs.c.workspace_id == workspace_id, runs.c.finished_at.is_not(None))
    if cast("CursorResult[Any]", await session.execute(own)).rowcount == 0:
        return False
    for table in (journal, snapshots, inbox, waits, jobs, step_logs, run_labels, run_blobs):
        await session.execute(delete(table).where(table.c.run_no == run_no))
    return True


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
    session: AsyncSession,
    workspace_id: str,
    run_no: int,
    *,
    after_no: int = 0,
    limit: int = 1_000,
    step: str | None = None,
    iteration: str | None = None,
    level: str | None = None,
) -> Sequence[RowMapping]:
    """Lines in the order in which they were stored. `step`: its id, in whatever iteration unless one is named."""
    query = select(step_logs).where(step_logs.c.run_no == run_no, step_logs.c.no > after_no, _is_own(workspace_id, run_no))
    if iteration is not None:
        prefix = f"{iteration}/" if iteration else ""
        query = query.where(func.substr(step_logs.c.step, 1, len(prefix)) == prefix) if step is None else query
    if step is not None and iteration is not None:
        query = query.where(step_logs.c.step == (f"{iteration}/{step}" if iteration else step))
    elif step is not None:
        tail = f"/{step}"
        is_tail = func.substr(step_logs.c.step, func.length(step_logs.c.step) - len(tail) + 1) == tail
        query = query.where(or_(step_logs.c.step == step, is_tail))
    if level is not None:
        query = query.where(step_logs.c.level == level)
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
    query = query.where(run_labels.c.run_no.in_(run_nos), set_aside(run_labels.c.workspace_id) == workspace_id)
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
