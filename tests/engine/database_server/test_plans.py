"""The plan of every statement that a store sends, on tables that have grown: by an index, never by a scan of a table."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest
from pymysql.cursors import DictCursor
from tests.support.clock import ManualClock
from tests.support.server_databases import SERVERS, empty_database, open_reader, open_server_store
from tests.support.stores import COMPLETED, EXPIRY_MS, Shop, do_everything

from flowforge.engine.database_server.dialect import Row
from flowforge.engine.database_server.mysql import MysqlSession
from flowforge.engine.database_server.postgres import PostgresSession
from flowforge.engine.store import (
    FAR_FUTURE_MS,
    NewEvent,
    NewJob,
    NewMail,
    NewOutboxEvent,
    NewRun,
    Release,
    SlotRequest,
    SlotScope,
    WaitRow,
)
from flowforge.kit.database.url import DatabaseKind, DatabaseUrl

SMALL = {"workers", "w"}
ASLEEP = 1_500
BUSY = 300


@dataclass
class Plans:
    url: DatabaseUrl
    by_text: dict[str, Any]
    """The plan of each statement, as the server gives it: PostgreSQL as a tree, MySQL as rows."""


@pytest.fixture(scope="module", params=SERVERS)
def plans(request: pytest.FixtureRequest) -> Plans:
    url: DatabaseUrl = request.getfixturevalue(f"{request.param}_url")
    empty_database(url)
    clock = ManualClock()
    store = open_server_store(url, clock)
    shop = Shop(store, clock, store.register("first", EXPIRY_MS))
    seen = record(url, shop)
    fill(Shop(store, clock, store.register("second", EXPIRY_MS), shop.counter))
    with open_reader(url) as session:
        for table in (
            "runs",
            "journal",
            "queue",
            "inbox",
            "waits",
            "events",
            "slots",
            "jobs",
            "run_blobs",
            "run_labels",
            "rates",
        ):
            session.fetch(f"ANALYZE TABLE {table}") if url.kind is DatabaseKind.MYSQL else session.send(f"ANALYZE {table}")
    store.close()
    with open_reader(url) as session:
        if url.kind is DatabaseKind.POSTGRES:
            # The tables are small for a server yet: what it can do counts, not what it likes.
            session.send("SET enable_seqscan TO off")
        found = {text: explain(session, url, text, values) for text, values in seen.items()}
    return Plans(url, found)


def fill(shop: Shop) -> None:
    """Some thousand runs: asleep, ended, and at work with all that a run can have."""
    store, clock = shop.store, shop.clock
    scopes = SlotScope("crowd", 1, "queue")
    asleep = [
        replace(shop.new(workspace=f"w{place % 7}"), labels={"a": str(place)}, dedup=f"d{place}") for place in range(ASLEEP)
    ]
    shop.start(*asleep)
    end = Release("waiting", FAR_FUTURE_MS, "{}", b"state", 1)
    store.commit(
        [replace(shop.turn(run, 2), release=end if place % 2 else replace(end, due_at=place)) for place, run in enumerate(asleep)]
    )
    ended = [shop.new() for _ in range(BUSY)]
    shop.start(*ended)
    store.commit([replace(shop.turn(run, 2), finish=COMPLETED) for run in ended])
    busy = [shop.new() for _ in range(BUSY)]
    shop.start(*busy, *(shop.new(slot=scopes) for _ in range(BUSY)))
    store.commit([keep_busy(shop, run, place) for place, run in enumerate(busy)])
    store.acquire([SlotRequest(f"api{place}", run.no, "s", 1, 10, 1_000) for place, run in enumerate(busy)])
    store.deliver([NewMail(run.no, "signal", b"{}", "u", f"m{place}") for place, run in enumerate(busy)])
    for place in range(40):
        store.publish(NewEvent("ws", f"event{place}", None, b"{}", "u", clock.now_ms()))


def keep_busy(shop: Shop, run: NewRun, place: int) -> Any:
    return replace(
        shop.turn(run, 2),
        waits_added=[WaitRow("k", f"name{place}", "a", 0)],
        jobs=[NewJob(run.no, "s", 1, "ws", ("heavy", "io", "gpu")[place % 3], 5, place, b"{}")],
        outbox=[NewOutboxEvent("ws", "run", run.id, "run.started", b"{}", place)],
        blobs=[(run.no, f"value{place}")],
    )


def record(url: DatabaseUrl, shop: Shop) -> dict[str, Row]:
    """What the store sends while it does all it can do, each text once, with the values that went first."""
    kind = MysqlSession if url.kind is DatabaseKind.MYSQL else PostgresSession
    run = kind._run  # pyright: ignore[reportPrivateUsage]
    seen: dict[str, Row] = {}

    def note(self: Any, text: str, values: Row = ()) -> Any:
        if re.match(r"\s*(SELECT|UPDATE|DELETE|INSERT|WITH)", text):
            seen.setdefault(text, values)
        return run(self, text, values)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "_run", note)
        do_everything(shop)
        shop.store.changed()
    return seen


def explain(session: Any, url: DatabaseUrl, text: str, values: Row) -> Any:
    if url.kind is DatabaseKind.MYSQL:
        # Not as JSON: MariaDB does not quote what it puts in there.
        with session.connection.cursor(DictCursor) as cursor:
            cursor.execute(f"EXPLAIN {text}", values or None)
            return cursor.fetchall()
    return session.fetch(f"EXPLAIN (FORMAT JSON) {text}", values)[0][0]


def find_nodes(plan: Any) -> Iterator[dict[str, Any]]:
    """All objects of a plan, from the outside in."""
    if isinstance(plan, dict):
        node = cast("dict[str, Any]", plan)
        yield node
        for child in node.values():
            yield from find_nodes(child)
    elif isinstance(plan, list):
        for child in cast("list[Any]", plan):
            yield from find_nodes(child)


def find_scans(plans: Plans, plan: Any) -> list[str]:
    if plans.url.kind is DatabaseKind.POSTGRES:
        return [node["Relation Name"] for node in find_nodes(plan) if node.get("Node Type") == "Seq Scan"]
    # Of an INSERT MariaDB says ALL, and means its target.
    return [node["table"] for node in plan if node["type"] == "ALL" and node["select_type"] != "INSERT"]


def find_indexes(plans: Plans, plan: Any) -> set[str]:
    name = "Index Name" if plans.url.kind is DatabaseKind.POSTGRES else "key"
    return {part for node in find_nodes(plan) for part in str(node.get(name)).split(",")}


def is_one_of_ours(name: str | None) -> bool:
    return name is not None and name not in SMALL and not name.startswith("<")


def test_no_statement_scans_a_table_that_grows(plans: Plans):
    scans = {text: [name for name in find_scans(plans, plan) if is_one_of_ours(name)] for text, plan in plans.by_text.items()}
    assert {text: names for text, names in scans.items() if names} == {}
    assert len(plans.by_text) > 80


EXPECTED = {
    "states": ("SELECT no, epoch, mail, crashes", {"pk_runs", "PRIMARY"}),
    "finish": ("UPDATE runs SET owner=NULL, status=%s, finished_at", {"pk_runs", "PRIMARY"}),
    "release": ("UPDATE runs SET owner=NULL, status=%s, events", {"pk_runs", "PRIMARY"}),
    "any due": ("SELECT 1 FROM queue WHERE due_at", {"ix_queue_due_at"}),
    "candidates": (
        "SELECT run_no, suspect, priority, due_at, cause, scope, slot_limit, since FROM queue WHERE workspace_id",
        {"ix_queue_workspace_id_suspect_priority_due_at"},
    ),
    "candidates by name": (
        "SELECT run_no, suspect, priority, due_at, cause, scope, slot_limit, since FROM queue WHERE run_no",
        {"pk_queue", "PRIMARY"},
    ),
    "groups": (
        r"(WITH RECURSIVE hop\(workspace_id|SELECT workspace_id, suspect, priority FROM)",
        {"ix_queue_workspace_id_suspect_priority_due_at"},
    ),
    "last seq": ("SELECT no, id, workspace_id, epoch, crashes, mail, ", {"pk_runs", "PRIMARY"}),
    "journal": ("SELECT run_no, seq, epoch, at, body FROM journal", {"pk_journal", "PRIMARY"}),
    "next due": ("SELECT min", {"ix_queue_due_at"}),
    "known mail": ("SELECT run_no, dedup FROM inbox", {"uq_inbox_run_no_dedup"}),
    "mail of a worker": ("SELECT i.no", {"uq_inbox_run_no_dedup"}),
    "last mail": (r"SELECT max\(no\)", {"pk_inbox", "PRIMARY"}),
    "expire": ("SELECT no, workspace_id, crashes, priority FROM runs WHERE owner", {"ix_runs_owner"}),
    "held slots": ("SELECT n FROM slots", {"pk_slots", "PRIMARY"}),
    "waiting for a slot": ("SELECT slot_limit FROM queue WHERE scope=%s AND due_at", {"ix_queue_scope_due_at_priority_since"}),
    "scope": ("SELECT scope FROM rates", {"pk_rates", "PRIMARY"}),
    "known start": ("SELECT workspace_id, dedup, id, no", {"uq_runs_workspace_id_dedup"}),
    "known child": ("SELECT parent_no, parent_key, id, no", {"uq_runs_parent_no_parent_key"}),
    "publish": (
        "SELECT run_no FROM waits WHERE workspace_id=%s AND name=%s AND correlation=%s",
        {"ix_waits_workspace_id_name_correlation"},
    ),
    "look back": ("SELECT at, no, body, sender FROM events", {"ix_events_workspace_id_name_correlation_at"}),
    "not matched": ("SELECT no FROM events WHERE matched", {"ix_events_matched_at"}),
    "jobs": ('SELECT priority, at, run_no, "key"', {"ix_jobs_queue_status_workspace_id_priority_at"}),
    "any job": ("SELECT 1 FROM jobs WHERE queue", {"ix_jobs_queue_status_workspace_id_priority_at"}),
    "groups of jobs": (
        r"(WITH RECURSIVE hop\(queue|SELECT workspace_id, priority FROM jobs)",
        {"ix_jobs_queue_status_workspace_id_priority_at"},
    ),
    "jobs of a worker": ('SELECT run_no, "key", attempt FROM jobs WHERE owner', {"ix_jobs_owner"}),
    "objects of a run": ('SELECT "blob" FROM run_blobs WHERE run_no', {"pk_run_blobs", "PRIMARY"}),
    "names of an object": ('SELECT "blob" FROM run_blobs WHERE "blob"', {"ix_run_blobs_blob"}),
    "prune": ("SELECT no, id, events FROM runs WHERE finished_at", {"ix_runs_finished_at"}),
}
READ_WHILE_PLANNING = ("Select tables optimized away", "Impossible WHERE noticed after reading const tables")
"""MySQL reads the end of an index, or a row by its whole key, while it makes the plan."""


@pytest.mark.parametrize("name", EXPECTED)
def test_hot_statement_goes_by_its_index(plans: Plans, name: str):
    begin, expected = EXPECTED[name]
    found = [
        plan
        for text, plan in plans.by_text.items()
        if re.match(begin if begin.startswith(("(", "SELECT max")) else re.escape(begin), text)
    ]
    assert found, f"nothing begins with {begin}"
    for plan in found:
        is_read = any(node.get("Extra") in READ_WHILE_PLANNING for node in find_nodes(plan))
        assert is_read or expected & find_indexes(plans, plan), plan


@pytest.mark.parametrize("name", ["candidates", "jobs"])
def test_candidates_come_in_the_order_of_the_index(plans: Plans, name: str):
    """No sort: among 100,000 that are due, as many are read as are taken."""
    text = next(text for text in plans.by_text if EXPECTED[name][0] in text)
    nodes = list(find_nodes(plans.by_text[text]))
    assert not any(node.get("Node Type") == "Sort" or "filesort" in str(node.get("Extra")) for node in nodes)


@pytest.mark.parametrize("name", ["groups", "groups of jobs"])
def test_groups_hop_over_the_index(plans: Plans, name: str):
    text = next(text for text in plans.by_text if re.match(EXPECTED[name][0], text))
    plan = str(plans.by_text[text])
    assert "Recursive Union" in plan if plans.url.kind is DatabaseKind.POSTGRES else "Using index for group-by" in plan
