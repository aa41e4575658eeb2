"""Triggers, their last requests, and the events that paused ones hold."""

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from flowforge.kit.database import migration_steps as steps

revision = "0008"
down_revision = "0007"

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON_TEXT = sa.Text().with_variant(mysql.LONGTEXT(collation="utf8mb4_bin"), "mysql", "mariadb")


def upgrade() -> None:
    _create_triggers()
    _create_requests()
    _create_events()


def downgrade() -> None:
    for table in ("trigger_events", "trigger_requests", "triggers"):
        steps.drop_table(table)


def _create_triggers() -> None:
    steps.create_table(
        "triggers",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("workspace_id", sa.String(64), nullable=False),
        sa.Column("workflow_id", sa.String(64), nullable=False),
        sa.Column("workflow", sa.String(63), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("source", sa.String(10), nullable=False),
        sa.Column("config", JSON_TEXT, nullable=False),
        sa.Column("input", JSON_TEXT),
        sa.Column("path", sa.String(200)),
        sa.Column("is_live", sa.Boolean(), nullable=False),
        sa.Column("paused", sa.String(10), nullable=False),
        sa.Column("etag", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_by", sa.String(200), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("successful", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("last_fired_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_triggers"),
        sa.UniqueConstraint("workflow_id", "key", name="uq_triggers_workflow_id_key"),
        sa.UniqueConstraint("path", "workspace_id", name="uq_triggers_path_workspace_id"),
    )
    steps.create_index("ix_triggers_workspace_id_workflow_id", "triggers", ["workspace_id", "workflow_id"])
    steps.create_index("ix_triggers_kind_is_live", "triggers", ["kind", "is_live"])


def _create_requests() -> None:
    steps.create_table(
        "trigger_requests",
        sa.Column("no", BIG_KEY, autoincrement=True, nullable=False),
        sa.Column("trigger_id", sa.String(64), nullable=False),
        sa.Column("workspace_id", sa.String(64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(64)),
        sa.Column("event_id", sa.String(64)),
        sa.Column("error", sa.String(200)),
        sa.Column("remote_address", sa.String(64)),
        sa.Column("user_agent", sa.String(200)),
        sa.PrimaryKeyConstraint("no", name="pk_trigger_requests"),
        is_numbered=True,
    )
    steps.create_index("ix_trigger_requests_trigger_id_no", "trigger_requests", ["trigger_id", "no"])


def _create_events() -> None:
    steps.create_table(
        "trigger_events",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("trigger_id", sa.String(64), nullable=False),
        sa.Column("workspace_id", sa.String(64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("dedup", sa.String(400)),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("data", JSON_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_trigger_events"),
        sa.UniqueConstraint("trigger_id", "dedup", name="uq_trigger_events_trigger_id_dedup"),
    )
    steps.create_index("ix_trigger_events_trigger_id_id", "trigger_events", ["trigger_id", "id"])
