"""Rows in every table: an installation in the middle of its work."""

from typing import Any, Final, TypeAlias

from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, Table, insert, select

from flowforge.audit.models import AuditCheckpoint, AuditHead, AuditRow, AuditSink, PersonKey
from flowforge.engine.tables import (
    definitions,
    events,
    inbox,
    jobs,
    journal,
    leases,
    outbox,
    queue,
    rates,
    refused_messages,
    run_blobs,
    run_labels,
    runs,
    slots,
    snapshots,
    step_logs,
    waits,
    workers,
)
from flowforge.kit.database.url import DatabaseUrl
from flowforge.upkeep.connecting import open_upkeep, reading, writing
from flowforge.upkeep.tables import KEPT_BY_MIGRATIONS, SEEDED, list_tables
from flowforge.vault.models import SecretRow, VariableRow
from flowforge.workflows.models import DraftRow, VersionRow, WorkflowRow

WORKSPACE: Final = "ws_" + "0" * 26
FAR: Final = 2**62
ODD_TEXT: Final = "Grüße, 世界 🌍, '\"\\ \n\r\t %s :x \u2028 end "
"""What a copy through texts would spoil: quotes, escapes, line ends, marks of parameters, four-byte letters, a blank at the end."""
ALL_BYTES: Final = bytes(range(256)) * 3
AT: Final = 1_780_000_000_000

OWNED: Final = (7 << 32) | 1
WAITING: Final = (7 << 32) | 2
ENDED: Final = (7 << 32) | 3
WITH_JOBS: Final = (7 << 32) | 4


def make_run(no: int, **changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "no": no,
        "id": f"run_{no:026d}",
        "workspace_id": WORKSPACE,
        "workflow_id": "wf_1",
        "workflow_name": "odd",
        "version": None,
        "digest": "d1",
        "status": "running",
        "priority": 5,
        "subject": ODD_TEXT,
        "trigger_no": None,
        "actor": "user:tester",
        "epoch": 3,
        "owner": None,
        "mail": 0,
        "crashes": 0,
        "started_at": AT,
        "events": 4,
        "bytes": 100,
        "counted_seq": 2,
    }
    return row | changes


def make_place(run_no: int, **changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"run_no": run_no, "workspace_id": WORKSPACE, "suspect": 0, "priority": 5, "due_at": FAR}
    return row | {"cause": "due", "why": '{"causes":[]}', "since": AT} | changes


def make_job(run_no: int, key: str, **changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"run_no": run_no, "key": key, "attempt": 1, "workspace_id": WORKSPACE, "queue": "heavy"}
    return row | {"status": "queued", "priority": 5, "at": AT, "owner": None, "epoch": 0, "params": "{}"} | changes


Rows: TypeAlias = list[tuple[Table, list[dict[str, Any]]]]


def list_rows(size: int) -> Rows:
    """`size`: how many further runs have ended."""
    known = [*_list_runs(size), *_list_work(), *_list_messages(), *_list_notes(), *_list_domain_rows(), *_list_audit_rows()]
    return [*known, *_list_others(known)]


def _list_runs(size: int) -> Rows:
    ended = [make_run((8 << 32) | n, status="completed", finished_at=AT + n) for n in range(size)]
    return [
        (
            workers,
            [
                {"no": 7, "name": "old", "expires_at": AT, "dead": 0, "queues": "default,heavy", "address": None},
                {"no": 9, "name": "older", "expires_at": AT, "dead": 1, "queues": "", "address": "http://[::1]:80"},
            ],
        ),
        (
            runs,
            [
                make_run(OWNED, owner=7),
                make_run(WAITING, status="waiting", epoch=5),
                make_run(ENDED, status="failed", finished_at=AT, error_code="broken"),
                make_run(WITH_JOBS, status="waiting", epoch=2),
                *ended,
            ],
        ),
        (
            journal,
            [
                {"run_no": row["no"], "seq": seq, "epoch": 3, "at": AT, "events": 1, "body": f'["{ODD_TEXT}", {seq}]'}
                for row in [make_run(OWNED), make_run(ENDED), *ended]
                for seq in (1, 2)
            ],
        ),
    ]


def _list_work() -> Rows:
    return [
        (snapshots, [{"run_no": WAITING, "seq": 2, "format": 1, "body": ALL_BYTES}]),
        (queue, [make_place(WAITING), make_place(WITH_JOBS)]),
        (
            jobs,
            [
                make_job(WITH_JOBS, "taken", status="running", owner=7, epoch=1),
                make_job(WITH_JOBS, "dropped", status="dropped", owner=7, epoch=1),
                make_job(WITH_JOBS, "free"),
                make_job(ENDED, "late", status="dropped", owner=7, epoch=2),
            ],
        ),
        (slots, [{"scope": f"workflow:{WORKSPACE}:odd", "n": 1, "run_no": OWNED, "key": "", "since": AT, "displaced": 0}]),
        (rates, [{"scope": "r", "tat": 2**53 + 1}]),
        (leases, [{"name": "scheduler", "holder": 7, "epoch": 12, "expires_at": FAR}]),
    ]


def _list_messages() -> Rows:
    return [
        (
            inbox,
            [{"no": 40, "run_no": WAITING, "kind": "signal", "dedup": "x", "body": "{}", "sender": "user:a", "unread": 1}],
        ),
        (waits, [{"run_no": WAITING, "key": "a", "workspace_id": WORKSPACE, "name": "n", "correlation": None, "since": AT}]),
        (
            events,
            [
                {"no": 50, "workspace_id": WORKSPACE, "name": "n", "correlation": None, "body": "{}", "sender": "s"}
                | {"at": AT, "matched": 0}
            ],
        ),
        (
            outbox,
            [
                {"no": 60 + n, "workspace_id": WORKSPACE, "aggregate_type": "run", "aggregate_id": "run_1", "payload": "{}"}
                | {"event_type": "run.completed", "created_at": AT, "attempts": 8 * n, "dead_at": AT if n else None}
                | {"last_error": '"refused"' if n else None, "due_at": None if n else AT}
                for n in (0, 1)
            ],
        ),
        (refused_messages, [{"no": 70, "at": AT, "queue": "default", "reason": "no JSON", "excerpt": ODD_TEXT}]),
    ]


def _list_notes() -> Rows:
    return [
        (run_labels, [{"run_no": OWNED, "key": "k", "workspace_id": WORKSPACE, "value": ODD_TEXT, "started_at": AT}]),
        (run_blobs, [{"run_no": OWNED, "blob": "value_1"}]),
        (definitions, [{"digest": "d1", "document": '{"flowforge":1}'}]),
        (
            step_logs,
            [
                {"run_no": OWNED, "at": AT, "level": "info", "step": "a", "attempt": 1, "message": ODD_TEXT, "fields": "{}"}
                for _ in range(3)
            ],
        ),
    ]


def _list_domain_rows() -> Rows:
    workflow: dict[str, Any] = {"id": "wf_1", "workspace_id": WORKSPACE, "name": "odd", "title": ODD_TEXT, "description": ""}
    workflow |= {"category": "", "active": True, "public": False, "labels": "{}", "current_version": 1, "deprecated_at": None}
    workflow |= {"created_at": AT, "created_by": "a", "updated_at": AT, "updated_by": "a", "deleted_at": 2**62}
    version: dict[str, Any] = {"workflow_id": "wf_1", "version": 1, "digest": "d1", "source": ALL_BYTES, "format": "yaml"}
    draft: dict[str, Any] = {"workflow_id": "wf_1", "source": b"", "format": "yaml", "etag": "e", "based_on": None}
    secret: dict[str, Any] = {"id": "s_1", "workspace_id": WORKSPACE, "name": "token", "key_id": "k", "sealed": ALL_BYTES}
    variable: dict[str, Any] = {"id": "v_1", "workspace_id": WORKSPACE, "name": "rate", "value": '{"a":[1,2.5,null]}'}
    return [
        (_table(WorkflowRow), [workflow]),
        (_table(VersionRow), [version | {"note": ODD_TEXT, "published_at": AT, "published_by": "a"}]),
        (_table(DraftRow), [draft | {"updated_at": AT, "updated_by": "a"}]),
        (_table(SecretRow), [secret | {"hosts": "[]", "version": 1, "updated_at": AT}]),
        (_table(VariableRow), [variable | {"version": 1, "updated_at": AT}]),
    ]


def _list_audit_rows() -> Rows:
    row: dict[str, Any] = {"no": 1, "workspace_id": None, "entity": "user", "entity_id": "usr_1", "action": "user.created"}
    row |= {"actor": "system", "credential": "", "ip": None, "request_id": "", "before": None, "at": AT, "hash": "a" * 64}
    checkpoint: dict[str, Any] = {"no": 1, "hash": "a" * 64, "at": AT, "key_id": "k", "public_key": "p", "signature": "s"}
    return [
        (_table(AuditRow), [row | {"after": ODD_TEXT}, row | {"no": 2, "after": None}]),
        (_table(AuditHead), [{"id": 1, "no": 2, "hash": "a" * 64, "retired_up_to": 0}]),
        (_table(AuditCheckpoint), [checkpoint]),
        (_table(AuditSink), [{"name": "syslog", "row_no": 2, "checkpoint_no": 1, "at": AT}]),
        (_table(PersonKey), [{"user_id": "usr_1", "key_id": "k", "sealed": ALL_BYTES, "created_at": AT, "erased_at": None}]),
    ]


def _list_others(known: Rows) -> Rows:
    """A row for each table that nobody has thought of here."""
    filled = {table.name for table, _ in known} | SEEDED | KEPT_BY_MIGRATIONS
    return [(table, [_make_row(table)]) for table in list_tables() if table.name not in filled]


def _make_row(table: Table) -> dict[str, Any]:
    return {column.name: _make_value(column) for column in table.columns if column is not table.autoincrement_column}


def _make_value(column: Column[Any]) -> Any:
    if column.foreign_keys:
        known = {"workflows": "wf_1", "workspaces": WORKSPACE}
        return known.get(next(iter(column.foreign_keys)).column.table.name, "x1")
    if isinstance(column.type, LargeBinary):
        return ALL_BYTES
    if isinstance(column.type, Boolean):
        return True
    if isinstance(column.type, Integer | BigInteger):
        return AT if column.name.endswith("_at") or column.name == "at" else 7
    length = getattr(column.type, "length", None)
    return ODD_TEXT if length is None and not column.primary_key else "x1"


def _table(model: Any) -> Table:
    return model.__table__


def fill(url: DatabaseUrl, size: int = 20) -> None:
    with open_upkeep(url) as engine, writing(engine) as connection:
        for table, rows in list_rows(size):
            # Rows with the same columns go together: one by one takes seconds on a server.
            for columns in {tuple(row) for row in rows}:
                connection.execute(insert(table), [row for row in rows if tuple(row) == columns])


def read_everything(url: DatabaseUrl) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables, in order."""
    with open_upkeep(url) as engine, reading(engine) as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr) for table in list_tables()
        }


def change_rows(url: DatabaseUrl, *statements: Any) -> None:
    with open_upkeep(url) as engine, writing(engine) as connection:
        for statement in statements:
            connection.execute(statement)


def read_rows(url: DatabaseUrl, query: Any) -> list[Any]:
    with open_upkeep(url) as engine, reading(engine) as connection:
        return [dict(row) for row in connection.execute(query).mappings()]
