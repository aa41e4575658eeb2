"""The engine's tables. The hot statements are written by hand per database (engine/sqlite); these serve migrations and other reads.

Times are milliseconds since 1970 (UTC), JSON lies in TEXT. A live run has an owner xor a row in `queue`.
"""

from typing import Final

from sqlalchemy import Column, Index, Integer, String, Table, UniqueConstraint, text

from flowforge.kit.database.metadata import BIG_KEY, BYTES, ID_LENGTH, JSON_TEXT, MILLISECONDS, NAME_LENGTH, metadata

_KEY_LENGTH: Final = 400
_DIGEST_LENGTH: Final = 128
_QUEUE_LENGTH: Final = 40

RUNS_BY_TRIGGERS: Final = "substr(actor, 1, 8) = 'trigger:'"
"""Which runs a trigger has started: an index of them alone costs the others nothing."""


def _index_runs(column: str, condition: str) -> Index:
    """For lists: those of one value, by time. Only of the runs that the condition names, where the database knows such indexes."""
    where = text(condition)  # a constant of this file
    return Index(None, "workspace_id", column, "started_at", "no", sqlite_where=where, postgresql_where=where)


workers: Final = Table(
    "workers",
    metadata,
    Column("no", BIG_KEY, primary_key=True, autoincrement=True),
    Column("name", String(NAME_LENGTH), nullable=False),
    Column("expires_at", MILLISECONDS, nullable=False),
    Column("dead", Integer, nullable=False, default=0),
    Column("role", String(20), nullable=False, server_default="worker"),
    Column("version", String(40), nullable=False, server_default=""),
    Column("host", String(NAME_LENGTH), nullable=False, server_default=""),
    Column("pid", Integer, nullable=False, server_default="0"),
    Column("queues", String(_KEY_LENGTH), nullable=False, server_default=""),  # by comma
    Column("address", String(NAME_LENGTH)),  # of its health pages
    Column("started_at", MILLISECONDS, nullable=False, server_default="0"),
    sqlite_autoincrement=True,  # a number is never given twice, even after the last row is gone
)

runs: Final = Table(
    "runs",
    metadata,
    Column("no", BIG_KEY, primary_key=True, autoincrement=False),
    Column("id", String(ID_LENGTH), nullable=False),
    Column("workspace_id", String(ID_LENGTH), nullable=False),
    Column("workflow_id", String(ID_LENGTH), nullable=False),
    Column("workflow_name", String(NAME_LENGTH), nullable=False),
    Column("version", Integer),
    Column("digest", String(_DIGEST_LENGTH), nullable=False),
    Column("status", String(20), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("subject", String(NAME_LENGTH)),
    Column("trigger_no", BIG_KEY),
    Column("actor", String(NAME_LENGTH), nullable=False),
    Column("epoch", BIG_KEY, nullable=False),
    Column("owner", BIG_KEY),
    Column("mail", BIG_KEY, nullable=False),
    Column("crashes", Integer, nullable=False),
    Column("parent_no", BIG_KEY),
    Column("parent_key", String(_KEY_LENGTH)),
    Column("fork_of", BIG_KEY),
    Column("dedup", String(_KEY_LENGTH)),
    Column("started_at", MILLISECONDS, nullable=False),
    Column("finished_at", MILLISECONDS),
    Column("error_code", String(NAME_LENGTH)),
    Column("error_key", String(_KEY_LENGTH)),
    Column("events", BIG_KEY, nullable=False),
    Column("bytes", BIG_KEY, nullable=False),
    Column("counted_seq", BIG_KEY, nullable=False),  # `events` and `bytes` hold the journal up to here
    UniqueConstraint("id"),
    UniqueConstraint("parent_no", "parent_key"),
    UniqueConstraint("workspace_id", "dedup"),
    Index(None, "workspace_id", "started_at", "no"),
    Index(None, "workflow_id", "started_at", "no"),
    Index(None, "owner"),
    Index(None, "finished_at"),
    _index_runs("status", "finished_at IS NOT NULL"),
    _index_runs("subject", "subject IS NOT NULL"),
    _index_runs("error_code", "error_code IS NOT NULL"),
    _index_runs("actor", RUNS_BY_TRIGGERS),
    _index_runs("version", "version IS NOT NULL"),
)

journal: Final = Table(
    "journal",
    metadata,
    Column("run_no", BIG_KEY, primary_key=True, autoincrement=False),
    Column("seq", BIG_KEY, primary_key=True, autoincrement=False),
    Column("epoch", BIG_KEY, nullable=False),
    Column("at", MILLISECONDS, nullable=False),
    Column("events", Integer, nullable=False),
    Column("body", JSON_TEXT, nullable=False),
)

snapshots: Final = Table(
    "snapshots",
    metadata,
    Column("run_no", BIG_KEY, primary_key=True, autoincrement=False),
    Column("seq", BIG_KEY, nullable=False),
    Column("format", Integer, nullable=False),
    Column("body", BYTES, nullable=False),
)

queue: Final = Table(
    "queue",
    metadata,
    Column("run_no", BIG_KEY, primary_key=True, autoincrement=False),
    Column("workspace_id", String(ID_LENGTH), nullable=False),
    Column("suspect", Integer, nullable=False),  # 1: the run has crashes behind it
    Column("priority", Integer, nullable=False),
    Column("due_at", MILLISECONDS, nullable=False),
    Column("cause", String(20), nullable=False),  # due, mail, expired, released, concurrency
    Column("why", JSON_TEXT),  # of a released run: what it waits for
    Column("since", MILLISECONDS, nullable=False),  # of a run that waits for a slot: its start
    Column("scope", String(_KEY_LENGTH)),  # the run needs a slot of this scope before it may be owned
    Column("slot_limit", Integer),
    Column("needs", Integer, nullable=False, server_default="1"),  # the format of events that its worker must know
    Index(None, "due_at"),
    Index(None, "workspace_id", "suspect", "priority", "due_at"),
    Index(None, "scope", "due_at", "priority", "since"),
)

inbox: Final = Table(
    "inbox",
    metadata,
    Column("no", BIG_KEY, primary_key=True, autoincrement=True),
    Column("run_no", BIG_KEY, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("dedup", String(_KEY_LENGTH)),
    Column("body", JSON_TEXT, nullable=False),
    Column("sender", String(NAME_LENGTH), nullable=False),
    Column("unread", Integer, nullable=False),  # 0: read, kept for its `dedup`
    UniqueConstraint("run_no", "dedup"),
    sqlite_autoincrement=True,  # run.mail names the number for ever
)

waits: Final = Table(
    "waits",
    metadata,
    Column("run_no", BIG_KEY, primary_key=True, autoincrement=False),
    Column("key", String(_KEY_LENGTH), primary_key=True),
    Column("workspace_id", String(ID_LENGTH), nullable=False),
    Column("name", String(NAME_LENGTH), nullable=False),
    Column("correlation", String(NAME_LENGTH)),
    Column("since", MILLISECONDS, nullable=False),
    Index(None, "workspace_id", "name", "correlation"),
)

events: Final = Table(
    "events",
    metadata,
    Column("no", BIG_KEY, primary_key=True, autoincrement=True),
    Column("workspace_id", String(ID_LENGTH), nullable=False),
    Column("name", String(NAME_LENGTH), nullable=False),
    Column("correlation", String(NAME_LENGTH)),
    Column("body", JSON_TEXT, nullable=False),
    Column("sender", String(NAME_LENGTH), nullable=False),
    Column("at", MILLISECONDS, nullable=False),
    Column("matched", Integer, nullable=False),
    Index(None, "workspace_id", "name", "correlation", "at"),
    Index(None, "matched", "at"),
    sqlite_autoincrement=True,  # a mail's `dedup` names the number
)

slots: Final = Table(
    "slots",
    metadata,
    Column("scope", String(_KEY_LENGTH), primary_key=True),
    Column("n", Integer, primary_key=True, autoincrement=False),  # 1 to the limit: more holders than that have no place
    Column("run_no", BIG_KEY, nullable=False),
    Column("key", String(_KEY_LENGTH), nullable=False),  # of a step; empty: the run's own
    Column("since", MILLISECONDS, nullable=False),
    Column("displaced", Integer, nullable=False),  # 1: cancelled to make room (cancel_oldest)
    Index(None, "run_no"),
)

rates: Final = Table(
    "rates",
    metadata,
    Column("scope", String(_KEY_LENGTH), primary_key=True),
    Column("tat", BIG_KEY, nullable=False),  # microseconds: when the next place is free
)

jobs: Final = Table(
    "jobs",
    metadata,
    Column("run_no", BIG_KEY, primary_key=True, autoincrement=False),
    Column("key", String(_KEY_LENGTH), primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("workspace_id", String(ID_LENGTH), nullable=False),
    Column("queue", String(_QUEUE_LENGTH), nullable=False),
    Column("status", String(20), nullable=False),  # queued, running, dropped (not wanted any more)
    Column("priority", Integer, nullable=False),
    Column("at", MILLISECONDS, nullable=False),
    Column("owner", BIG_KEY),
    Column("epoch", Integer, nullable=False),  # how often it was taken
    Column("params", JSON_TEXT, nullable=False),
    Index(None, "queue", "status", "workspace_id", "priority", "at"),
    Index(None, "owner"),
)

outbox: Final = Table(
    "outbox",
    metadata,
    Column("no", BIG_KEY, primary_key=True, autoincrement=True),
    Column("workspace_id", String(ID_LENGTH), nullable=False),
    Column("aggregate_type", String(20), nullable=False),
    Column("aggregate_id", String(ID_LENGTH), nullable=False),
    Column("event_type", String(40), nullable=False),
    Column("payload", JSON_TEXT, nullable=False),
    Column("traceparent", String(ID_LENGTH)),
    Column("created_at", MILLISECONDS, nullable=False),
    Column("published_at", MILLISECONDS),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("last_error", JSON_TEXT),
    Column("dead_at", MILLISECONDS),
    Column("due_at", MILLISECONDS),  # when it is tried (again); NULL: published or dead
    Index(None, "due_at"),
    Index(None, "published_at"),
    Index(None, "dead_at"),
    sqlite_autoincrement=True,  # subscribers read on from a number
)

leases: Final = Table(
    "leases",
    metadata,
    Column("name", String(40), primary_key=True),  # scheduler
    Column("holder", BIG_KEY, nullable=False),  # a worker's number
    Column("epoch", BIG_KEY, nullable=False),  # grows with each change of the holder
    Column("expires_at", MILLISECONDS, nullable=False),
)

refused_messages: Final = Table(
    "refused_messages",
    metadata,
    Column("no", BIG_KEY, primary_key=True, autoincrement=True),
    Column("at", MILLISECONDS, nullable=False),
    Column("queue", String(NAME_LENGTH), nullable=False),
    Column("reason", String(_KEY_LENGTH), nullable=False),
    Column("excerpt", JSON_TEXT, nullable=False),  # the first bytes of the body, as text
    sqlite_autoincrement=True,
)

run_labels: Final = Table(
    "run_labels",
    metadata,
    Column("run_no", BIG_KEY, primary_key=True, autoincrement=False),
    Column("key", String(NAME_LENGTH), primary_key=True),
    Column("workspace_id", String(ID_LENGTH), nullable=False),
    Column("value", String(NAME_LENGTH), nullable=False),
    Column("started_at", MILLISECONDS, nullable=False),
    Index(None, "workspace_id", "key", "value", "started_at"),
)

run_blobs: Final = Table(
    "run_blobs",
    metadata,
    Column("run_no", BIG_KEY, primary_key=True, autoincrement=False),
    Column("blob", String(ID_LENGTH), primary_key=True),  # an object that the run's journal or mail names
    Index(None, "blob"),
)

definitions: Final = Table(
    "definitions",
    metadata,
    Column("digest", String(_DIGEST_LENGTH), primary_key=True),
    Column("document", JSON_TEXT, nullable=False),
)

step_logs: Final = Table(
    "step_logs",
    metadata,
    Column("no", BIG_KEY, primary_key=True, autoincrement=True),
    Column("run_no", BIG_KEY, nullable=False),
    Column("at", MILLISECONDS, nullable=False),
    Column("level", String(20), nullable=False),
    Column("step", String(_KEY_LENGTH), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("message", JSON_TEXT, nullable=False),
    Column("fields", JSON_TEXT, nullable=False),
    Index(None, "run_no", "no"),
)
