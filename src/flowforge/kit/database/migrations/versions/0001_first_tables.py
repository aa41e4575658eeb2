"""The first tables: the engine's, the vault's, the workflows'."""

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from flowforge.kit.database import migration_steps as steps

revision = "0001"
down_revision = None

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON_TEXT = sa.Text().with_variant(mysql.LONGTEXT(collation="utf8mb4_bin"), "mysql", "mariadb")
BYTES = sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")


def upgrade() -> None:
    _create_definitions()
    _create_events()
    _create_inbox()
    _create_journal()
    _create_queue()
    _create_rates()
    _create_run_blobs()
    _create_run_labels()
    _create_runs()
    _create_secrets()
    _create_slots()
    _create_snapshots()
    _create_step_logs()
    _create_variables()
    _create_waits()
    _create_workers()
    _create_workflows()
    _create_workflow_drafts()
    _create_workflow_versions()


def downgrade() -> None:
    steps.drop_table("workflow_versions")
    steps.drop_table("workflow_drafts")
    steps.drop_table("workflows")
    steps.drop_table("workers")
    steps.drop_table("waits")
    steps.drop_table("variables")
    steps.drop_table("step_logs")
    steps.drop_table("snapshots")
    steps.drop_table("slots")
    steps.drop_table("secrets")
    steps.drop_table("runs")
    steps.drop_table("run_labels")
    steps.drop_table("run_blobs")
    steps.drop_table("rates")
    steps.drop_table("queue")
    steps.drop_table("journal")
    steps.drop_table("inbox")
    steps.drop_table("events")
    steps.drop_table("definitions")


def _create_definitions() -> None:
    steps.create_table(
        "definitions",
        sa.Column("digest", sa.String(length=128), nullable=False),
        sa.Column("document", JSON_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_definitions"),
    )


def _create_events() -> None:
    steps.create_table(
        "events",
        sa.Column("no", BIG_KEY, autoincrement=True, nullable=False),
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("correlation", sa.String(length=200), nullable=True),
        sa.Column("body", JSON_TEXT, nullable=False),
        sa.Column("sender", sa.String(length=200), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("matched", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("no", name="pk_events"),
        is_numbered=True,
    )
    steps.create_index("ix_events_matched_at", "events", ["matched", "at"])
    steps.create_index("ix_events_workspace_id_name_correlation_at", "events", ["workspace_id", "name", "correlation", "at"])


def _create_inbox() -> None:
    steps.create_table(
        "inbox",
        sa.Column("no", BIG_KEY, autoincrement=True, nullable=False),
        sa.Column("run_no", BIG_KEY, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("dedup", sa.String(length=400), nullable=True),
        sa.Column("body", JSON_TEXT, nullable=False),
        sa.Column("sender", sa.String(length=200), nullable=False),
        sa.Column("unread", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("no", name="pk_inbox"),
        sa.UniqueConstraint("run_no", "dedup", name="uq_inbox_run_no_dedup"),
        is_numbered=True,
    )


def _create_journal() -> None:
    steps.create_table(
        "journal",
        sa.Column("run_no", BIG_KEY, autoincrement=False, nullable=False),
        sa.Column("seq", BIG_KEY, autoincrement=False, nullable=False),
        sa.Column("epoch", BIG_KEY, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("body", JSON_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("run_no", "seq", name="pk_journal"),
    )


def _create_queue() -> None:
    steps.create_table(
        "queue",
        sa.Column("run_no", BIG_KEY, autoincrement=False, nullable=False),
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("suspect", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.String(length=20), nullable=False),
        sa.Column("why", JSON_TEXT, nullable=True),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("scope", sa.String(length=400), nullable=True),
        sa.Column("slot_limit", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("run_no", name="pk_queue"),
    )
    steps.create_index("ix_queue_due_at", "queue", ["due_at"])
    steps.create_index("ix_queue_scope_due_at_priority_since", "queue", ["scope", "due_at", "priority", "since"])
    steps.create_index(
        "ix_queue_workspace_id_suspect_priority_due_at", "queue", ["workspace_id", "suspect", "priority", "due_at"]
    )


def _create_rates() -> None:
    steps.create_table(
        "rates",
        sa.Column("scope", sa.String(length=400), nullable=False),
        sa.Column("tat", BIG_KEY, nullable=False),
        sa.PrimaryKeyConstraint("scope", name="pk_rates"),
    )


def _create_run_blobs() -> None:
    steps.create_table(
        "run_blobs",
        sa.Column("run_no", BIG_KEY, autoincrement=False, nullable=False),
        sa.Column("blob", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("run_no", "blob", name="pk_run_blobs"),
    )
    steps.create_index("ix_run_blobs_blob", "run_blobs", ["blob"])


def _create_run_labels() -> None:
    steps.create_table(
        "run_labels",
        sa.Column("run_no", BIG_KEY, autoincrement=False, nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_no", "key", name="pk_run_labels"),
    )
    steps.create_index(
        "ix_run_labels_workspace_id_key_value_started_at", "run_labels", ["workspace_id", "key", "value", "started_at"]
    )


def _create_runs() -> None:
    steps.create_table(
        "runs",
        sa.Column("no", BIG_KEY, autoincrement=False, nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("workflow_id", sa.String(length=64), nullable=False),
        sa.Column("workflow_name", sa.String(length=200), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("digest", sa.String(length=128), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=True),
        sa.Column("trigger_no", BIG_KEY, nullable=True),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("epoch", BIG_KEY, nullable=False),
        sa.Column("owner", BIG_KEY, nullable=True),
        sa.Column("mail", BIG_KEY, nullable=False),
        sa.Column("crashes", sa.Integer(), nullable=False),
        sa.Column("parent_no", BIG_KEY, nullable=True),
        sa.Column("parent_key", sa.String(length=400), nullable=True),
        sa.Column("fork_of", BIG_KEY, nullable=True),
        sa.Column("dedup", sa.String(length=400), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("error_code", sa.String(length=200), nullable=True),
        sa.Column("error_key", sa.String(length=400), nullable=True),
        sa.Column("events", BIG_KEY, nullable=False),
        sa.Column("bytes", BIG_KEY, nullable=False),
        sa.Column("counted_seq", BIG_KEY, nullable=False),
        sa.PrimaryKeyConstraint("no", name="pk_runs"),
        sa.UniqueConstraint("id", name="uq_runs_id"),
        sa.UniqueConstraint("parent_no", "parent_key", name="uq_runs_parent_no_parent_key"),
        sa.UniqueConstraint("workspace_id", "dedup", name="uq_runs_workspace_id_dedup"),
    )
    steps.create_index("ix_runs_finished_at", "runs", ["finished_at"])
    steps.create_index("ix_runs_owner", "runs", ["owner"])
    steps.create_index("ix_runs_workflow_id_started_at_no", "runs", ["workflow_id", "started_at", "no"])
    steps.create_index("ix_runs_workspace_id_started_at_no", "runs", ["workspace_id", "started_at", "no"])


def _create_secrets() -> None:
    steps.create_table(
        "secrets",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("key_id", sa.String(length=64), nullable=False),
        sa.Column("sealed", BYTES, nullable=False),
        sa.Column("hosts", JSON_TEXT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_secrets"),
        sa.UniqueConstraint("workspace_id", "name", name="uq_secrets_workspace_id_name"),
    )
    steps.create_index("ix_secrets_key_id", "secrets", ["key_id"])


def _create_slots() -> None:
    steps.create_table(
        "slots",
        sa.Column("scope", sa.String(length=400), nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("run_no", BIG_KEY, nullable=False),
        sa.Column("key", sa.String(length=400), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("displaced", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "n", name="pk_slots"),
    )
    steps.create_index("ix_slots_run_no", "slots", ["run_no"])


def _create_snapshots() -> None:
    steps.create_table(
        "snapshots",
        sa.Column("run_no", BIG_KEY, autoincrement=False, nullable=False),
        sa.Column("seq", BIG_KEY, nullable=False),
        sa.Column("format", sa.Integer(), nullable=False),
        sa.Column("body", BYTES, nullable=False),
        sa.PrimaryKeyConstraint("run_no", name="pk_snapshots"),
    )


def _create_step_logs() -> None:
    steps.create_table(
        "step_logs",
        sa.Column("no", BIG_KEY, autoincrement=True, nullable=False),
        sa.Column("run_no", BIG_KEY, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("level", sa.String(length=20), nullable=False),
        sa.Column("step", sa.String(length=400), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("message", JSON_TEXT, nullable=False),
        sa.Column("fields", JSON_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("no", name="pk_step_logs"),
    )
    steps.create_index("ix_step_logs_run_no_no", "step_logs", ["run_no", "no"])


def _create_variables() -> None:
    steps.create_table(
        "variables",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("value", JSON_TEXT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_variables"),
        sa.UniqueConstraint("workspace_id", "name", name="uq_variables_workspace_id_name"),
    )


def _create_waits() -> None:
    steps.create_table(
        "waits",
        sa.Column("run_no", BIG_KEY, autoincrement=False, nullable=False),
        sa.Column("key", sa.String(length=400), nullable=False),
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("correlation", sa.String(length=200), nullable=True),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_no", "key", name="pk_waits"),
    )
    steps.create_index("ix_waits_workspace_id_name_correlation", "waits", ["workspace_id", "name", "correlation"])


def _create_workers() -> None:
    steps.create_table(
        "workers",
        sa.Column("no", BIG_KEY, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("dead", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("no", name="pk_workers"),
        is_numbered=True,
    )


def _create_workflows() -> None:
    steps.create_table(
        "workflows",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("workspace_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("category", sa.String(length=100), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("public", sa.Boolean(), nullable=False),
        sa.Column("labels", JSON_TEXT, nullable=False),
        sa.Column("current_version", sa.Integer(), nullable=True),
        sa.Column("deprecated_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_by", sa.String(length=200), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workflows"),
        sa.UniqueConstraint("workspace_id", "name", "deleted_at", name="uq_workflows_workspace_id_name_deleted_at"),
    )
    steps.create_index("ix_workflows_workspace_id_deleted_at", "workflows", ["workspace_id", "deleted_at"])


def _create_workflow_drafts() -> None:
    steps.create_table(
        "workflow_drafts",
        sa.Column("workflow_id", sa.String(length=64), nullable=False),
        sa.Column("source", BYTES, nullable=False),
        sa.Column("format", sa.String(length=8), nullable=False),
        sa.Column("etag", sa.String(length=64), nullable=False),
        sa.Column("based_on", sa.Integer(), nullable=True),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_by", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["workflow_id"], ["workflows.id"], name="fk_workflow_drafts_workflow_id_workflows"),
        sa.PrimaryKeyConstraint("workflow_id", name="pk_workflow_drafts"),
    )


def _create_workflow_versions() -> None:
    steps.create_table(
        "workflow_versions",
        sa.Column("workflow_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=32), nullable=False),
        sa.Column("source", BYTES, nullable=False),
        sa.Column("format", sa.String(length=8), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("published_at", sa.BigInteger(), nullable=False),
        sa.Column("published_by", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["workflow_id"], ["workflows.id"], name="fk_workflow_versions_workflow_id_workflows"),
        sa.PrimaryKeyConstraint("workflow_id", "version", name="pk_workflow_versions"),
    )
    steps.create_index("ix_workflow_versions_digest", "workflow_versions", ["digest"])
