"""The plan of every statement that the store sends, seen while it does all it can do: by an index, never by a scan or a sort."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from tests.support.stores import Shop, do_everything

from flowforge.engine.sqlite.store import SqliteStore
from flowforge.engine.store import NewJob, NewMail, NewOutboxEvent

TABLES = (
    "runs",
    "journal",
    "snapshots",
    "queue",
    "inbox",
    "waits",
    "events",
    "slots",
    "rates",
    "run_labels",
    "run_blobs",
    "step_logs",
    "definitions",
    "jobs",
    "outbox",
)
"""All but `workers`, which is small."""
ALIASES = ("r", "j", "s", "q", "i")


@pytest.fixture
def statements(shop: Shop, store: SqliteStore) -> list[str]:
    seen: dict[str, None] = {}
    for connection in (store._connection, store._beats):  # pyright: ignore[reportPrivateUsage]
        connection.set_trace_callback(seen.setdefault)
    work_on_jobs(shop)
    do_everything(shop)
    for connection in (store._connection, store._beats):  # pyright: ignore[reportPrivateUsage]
        connection.set_trace_callback(None)
    return [text for text in seen if re.match(r"SELECT|UPDATE|DELETE|INSERT", text)]


def work_on_jobs(shop: Shop) -> None:
    """Jobs of every fate: ended, dropped before and after they were taken, lost; and what is told to the outside."""
    store, now = shop.store, shop.clock.now_ms()
    run = shop.started()
    jobs = [NewJob(run.no, f"s{number}", 1, "ws", "heavy", 5, now, b"{}") for number in range(5)]
    told = NewOutboxEvent("ws", "run", run.id, "run.started", b"{}", now)
    shop.commit(replace(shop.turn(run, 2), jobs=jobs, outbox=[told]))
    taken = store.take_jobs(shop.worker, ["heavy", "io"], 3)
    shop.commit(replace(shop.turn(run, 3), jobs_dropped=[("s1", 1), ("s4", 1)]))
    assert store.dropped_jobs(shop.worker) == [(run.no, "s1", 1)]
    assert store.end_job(shop.worker, taken[0], NewMail(run.no, "job", b"{}", "system"), ["value_2"])
    shop.kill(shop.hire())
    other = shop.hire()
    store.take_jobs(other, ["heavy"], 10)
    shop.kill(other)


def explain(store: SqliteStore, statements: list[str]) -> Iterator[tuple[str, list[str]]]:
    with closing(sqlite3.connect(store.path)) as connection:
        for text in statements:
            yield text, [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}")]


def test_no_statement_scans_a_table_that_grows(statements: list[str], store: SqliteStore):
    names = {*TABLES, *ALIASES}
    scans = [(text, line) for text, plan in explain(store, statements) for line in plan if is_scan(line, names)]
    assert scans == []
    assert len(statements) > 60


def is_scan(line: str, names: set[str]) -> bool:
    found = re.match(r"SCAN (?:TABLE )?(\w+)", line)
    return found is not None and found[1] in names


def test_no_statement_sorts_but_those_of_few_rows(statements: list[str], store: SqliteStore):
    sorted_ones = [text for text, plan in explain(store, statements) if any("TEMP B-TREE" in line for line in plan)]
    # The owner's mail; the holders and waiting runs of one scope that cancels its oldest; who waits for one event.
    allowed = ("FROM runs r CROSS JOIN inbox i", "ORDER BY since, run_no LIMIT 1", "FROM waits WHERE")
    assert [text for text in sorted_ones if not any(part in text for part in allowed)] == []


EXPECTED = {
    "append": ("INSERT INTO journal", ""),
    "states": ("SELECT no, epoch, mail, crashes FROM runs", "runs USING INTEGER PRIMARY KEY"),
    "finish": ("UPDATE runs SET owner=NULL, status=v.column2, finished_at", "runs USING INTEGER PRIMARY KEY"),
    "release": ("UPDATE runs SET owner=NULL, status=v.column2, (events", "journal_1 (run_no=? AND seq>?)"),
    "claim": ("SELECT run_no, suspect, priority, due_at, cause", "(workspace_id=? AND suspect=? AND priority=? AND due_at<?)"),
    "groups": ("SELECT workspace_id, suspect, priority, due_at FROM queue WHERE workspace_id>", "(workspace_id>?)"),
    "last seq": (
        "SELECT no, id, workspace_id, epoch, crashes, mail, (SELECT max(seq)",
        "COVERING INDEX sqlite_autoindex_journal_1 (run_no=?)",
    ),
    "load": ("SELECT j.run_no, j.seq", "journal_1 (run_no=? AND seq>?)"),
    "next due": ("SELECT min(due_at)", "COVERING INDEX ix_queue_due_at"),
    "deliver": ("SELECT 1 FROM inbox", "(run_no=? AND dedup=?)"),
    "mail": ("SELECT i.no", "ix_runs_owner (owner=?)"),
    "expire": ("SELECT no FROM runs WHERE owner", "COVERING INDEX ix_runs_owner (owner=?)"),
    "slots": ("SELECT n FROM slots", "COVERING INDEX sqlite_autoindex_slots_1 (scope=?)"),
    "wake": (
        "SELECT slot_limit FROM queue WHERE scope='wf' AND due_at",
        "ix_queue_scope_due_at_priority_since (scope=? AND due_at=?)",
    ),
    "known start": ("SELECT id, no FROM runs WHERE workspace_id", "(workspace_id=? AND dedup=?)"),
    "known child": ("SELECT id, no FROM runs WHERE parent_no", "(parent_no=? AND parent_key=?)"),
    "publish": ("SELECT run_no FROM waits", "(workspace_id=? AND name=? AND correlation=?)"),
    "look back": (
        "SELECT at, no, CAST(body AS BLOB), sender FROM events",
        "(workspace_id=? AND name=? AND correlation=? AND at>?)",
    ),
    "objects of a run": ("DELETE FROM run_blobs", "COVERING INDEX sqlite_autoindex_run_blobs_1 (run_no=?)"),
    "names of an object": ("SELECT 1 FROM run_blobs", "COVERING INDEX ix_run_blobs_blob (blob=?)"),
    "jobs that wait": (
        "SELECT j.priority, j.at, j.run_no, r.id",
        "ix_jobs_queue_status_workspace_id_priority_at (queue=? AND status=? AND workspace_id=? AND priority=?)",
    ),
    "priorities of jobs": (
        "SELECT workspace_id, priority FROM jobs WHERE queue='heavy' AND status='queued' AND workspace_id='ws'",
        "COVERING INDEX ix_jobs_queue_status_workspace_id_priority_at (queue=? AND status=? AND workspace_id=? AND priority>?)",
    ),
    "workspaces of jobs": (
        "SELECT workspace_id, priority FROM jobs WHERE queue='heavy' AND status='queued' AND workspace_id>",
        "COVERING INDEX ix_jobs_queue_status_workspace_id_priority_at (queue=? AND status=? AND workspace_id>?)",
    ),
    "any job": (
        "SELECT 1 FROM jobs WHERE queue=",
        "COVERING INDEX ix_jobs_queue_status_workspace_id_priority_at (queue=? AND status=?)",
    ),
    "taking a job": ("UPDATE jobs SET status='running'", "sqlite_autoindex_jobs_1 (run_no=? AND key=? AND attempt=?)"),
    "jobs of a worker": ("SELECT run_no, key, attempt FROM jobs WHERE owner=", "ix_jobs_owner (owner=?)"),
    "jobs of a run": ("UPDATE jobs SET status='dropped' WHERE run_no IN", "sqlite_autoindex_jobs_1 (run_no=?)"),
    "prune": ("SELECT no, id, events FROM runs WHERE finished_at", "ix_runs_finished_at (finished_at<?)"),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_hot_statement_goes_by_its_index(statements: list[str], store: SqliteStore, name: str):
    begin, expected = EXPECTED[name]
    plans = [plan for text, plan in explain(store, statements) if " ".join(text.split()).startswith(begin)]
    assert plans, f"nothing begins with {begin}"
    assert any(expected in " ".join(plan) for plan in plans)
