"""Many machines: what a worker tells of itself, jobs, the outbox, the scheduler's lease, refused messages, and which code may run."""

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from flowforge.kit.database import migration_steps as steps

revision = "0002"
down_revision = "0001"

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON_TEXT = sa.Text().with_variant(mysql.LONGTEXT(collation="utf8mb4_bin"), "mysql", "mariadb")


def upgrade() -> None:
    _add_columns()
    _create_jobs()
    _create_outbox()
    _create_leases()
    _create_refused_messages()
    _create_schema_compatibility()
    # Older code would not leave runs alone that it cannot read.
    steps.tell_oldest("0002")


def downgrade() -> None:
    for table in ("schema_compatibility", "refused_messages", "leases", "outbox", "jobs"):
        steps.drop_table(table)
    steps.drop_column("queue", "needs")
    for column in ("started_at", "address", "queues", "pid", "host", "version", "role"):
        steps.drop_column("workers", column)


def _add_columns() -> None:
    steps.add_column("workers", sa.Column("role", sa.String(20), nullable=False, server_default="worker"))
    steps.add_column("workers", sa.Column("version", sa.String(40), nullable=False, server_default=""))
    steps.add_column("workers", sa.Column("host", sa.String(200), nullable=False, server_default=""))
    steps.add_column("workers", sa.Column("pid", sa.Integer(), nullable=False, server_default="0"))
    steps.add_column("workers", sa.Column("queues", sa.String(400), nullable=False, server_default=""))
    steps.add_column("workers", sa.Column("address", sa.String(200)))
    steps.add_column("workers", sa.Column("started_at", sa.BigInteger(), nullable=False, server_default="0"))
    steps.add_column("queue", sa.Column("needs", sa.Integer(), nullable=False, server_default="1"))


def _create_jobs() -> None:
    steps.create_table(
        "jobs",
        sa.Column("run_no", BIG_KEY, autoincrement=False, nullable=False),
        sa.Column("key", sa.String(400), nullable=False),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("workspace_id", sa.String(64), nullable=False),
        sa.Column("queue", sa.String(40), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("owner", BIG_KEY),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("params", JSON_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("run_no", "key", "attempt", name="pk_jobs"),
    )
    place = ["queue", "status", "workspace_id", "priority", "at"]
    steps.create_index("ix_jobs_queue_status_workspace_id_priority_at", "jobs", place)
    steps.create_index("ix_jobs_owner", "jobs", ["owner"])


def _create_outbox() -> None:
    steps.create_table(
        "outbox",
        sa.Column("no", BIG_KEY, autoincrement=True, nullable=False),
        sa.Column("workspace_id", sa.String(64), nullable=False),
        sa.Column("aggregate_type", sa.String(20), nullable=False),
        sa.Column("aggregate_id", sa.String(64), nullable=False),
        sa.Column("event_type", sa.String(40), nullable=False),
        sa.Column("payload", JSON_TEXT, nullable=False),
        sa.Column("traceparent", sa.String(64)),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("published_at", sa.BigInteger()),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("last_error", JSON_TEXT),
        sa.Column("dead_at", sa.BigInteger()),
        sa.Column("due_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("no", name="pk_outbox"),
        is_numbered=True,
    )
    for column in ("due_at", "published_at", "dead_at"):
        steps.create_index(f"ix_outbox_{column}", "outbox", [column])


def _create_leases() -> None:
    steps.create_table(
        "leases",
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("holder", BIG_KEY, nullable=False),
        sa.Column("epoch", BIG_KEY, nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )


def _create_refused_messages() -> None:
    steps.create_table(
        "refused_messages",
        sa.Column("no", BIG_KEY, autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("queue", sa.String(200), nullable=False),
        sa.Column("reason", sa.String(400), nullable=False),
        sa.Column("excerpt", JSON_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("no", name="pk_refused_messages"),
        is_numbered=True,
    )


def _create_schema_compatibility() -> None:
    steps.create_table(
        "schema_compatibility",
        sa.Column("oldest", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("oldest", name="pk_schema_compatibility"),
    )
