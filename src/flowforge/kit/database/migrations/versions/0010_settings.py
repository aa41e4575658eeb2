"""Events to the outside and to people: subscriptions, what is delivered to them, notifications, and how far the outbox was read."""

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from flowforge.kit.database import migration_steps as steps

revision = "0010"
down_revision = "0009"

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON_TEXT = sa.Text().with_variant(mysql.LONGTEXT(collation="utf8mb4_bin"), "mysql", "mariadb")
BYTES = sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")


def upgrade() -> None:
    _create_subscriptions()
    _create_deliveries()
    _create_notifications()
    steps.create_table(
        "event_positions",
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("position", BIG_KEY, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_event_positions"),
    )


def downgrade() -> None:
    for table in ("event_positions", "notifications", "event_deliveries", "event_subscriptions"):
        steps.drop_table(table)


def _create_subscriptions() -> None:
    steps.create_table(
        "event_subscriptions",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("workspace_id", sa.String(64), nullable=False),
        sa.Column("url", sa.String(2_000), nullable=False),
        sa.Column("types", JSON_TEXT, nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("sealed", BYTES, nullable=False),
        sa.Column("active", sa.Integer(), nullable=False),
        sa.Column("position", BIG_KEY, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_event_subscriptions"),
    )
    steps.create_index("ix_event_subscriptions_workspace_id", "event_subscriptions", ["workspace_id"])


def _create_deliveries() -> None:
    steps.create_table(
        "event_deliveries",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("subscription_id", sa.String(64), nullable=False),
        sa.Column("workspace_id", sa.String(64), nullable=False),
        sa.Column("event_no", BIG_KEY, nullable=False),
        sa.Column("event_type", sa.String(40), nullable=False),
        sa.Column("event", JSON_TEXT, nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger()),
        sa.Column("last_status", sa.Integer()),
        sa.Column("last_error", JSON_TEXT),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_event_deliveries"),
        sa.UniqueConstraint("subscription_id", "event_no", name="uq_event_deliveries_subscription_id_event_no"),
    )
    steps.create_index("ix_event_deliveries_due_at", "event_deliveries", ["due_at"])
    steps.create_index("ix_event_deliveries_ended_at", "event_deliveries", ["ended_at"])


def _create_notifications() -> None:
    steps.create_table(
        "notifications",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("workspace_id", sa.String(64), nullable=False),
        sa.Column("cause", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("title", sa.String(255), nullable=False),
        sa.Column("text", JSON_TEXT, nullable=False),
        sa.Column("subject", sa.String(200)),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("read_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_notifications"),
        sa.UniqueConstraint("user_id", "cause", name="uq_notifications_user_id_cause"),
    )
    steps.create_index("ix_notifications_user_id_created_at", "notifications", ["user_id", "created_at"])
