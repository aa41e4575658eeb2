"""Schedules and the other sources of triggers: slots, calendars, watched files, how far events and mailboxes are read."""

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from flowforge.kit.database import migration_steps as steps

revision = "0009"
down_revision = "0008"

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON_TEXT = sa.Text().with_variant(mysql.LONGTEXT(collation="utf8mb4_bin"), "mysql", "mariadb")
_TABLES = ("mailbox_readers", "event_readers", "watched_folders", "watched_files", "calendars", "schedule_slots", "schedules")


def upgrade() -> None:
    _create_schedules()
    _create_calendars()
    _create_sources()


def downgrade() -> None:
    for table in _TABLES:
        steps.drop_table(table)


def _create_schedules() -> None:
    steps.create_table(
        "schedules",
        sa.Column("trigger_id", sa.String(64), nullable=False),
        sa.Column("workspace_id", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("calendar", sa.String(63)),
        sa.Column("last_slot", sa.BigInteger(), nullable=False),
        sa.Column("next_slot", sa.BigInteger()),
        sa.Column("next_at", sa.BigInteger()),
        sa.Column("last_run_id", sa.String(64)),
        sa.PrimaryKeyConstraint("trigger_id", name="pk_schedules"),
    )
    steps.create_index("ix_schedules_next_at", "schedules", ["next_at"])
    steps.create_index("ix_schedules_workspace_id_calendar", "schedules", ["workspace_id", "calendar"])
    steps.create_table(
        "schedule_slots",
        sa.Column("trigger_id", sa.String(64), nullable=False),
        sa.Column("slot", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("workspace_id", sa.String(64), nullable=False),
        sa.Column("nominal", sa.String(32), nullable=False),
        sa.Column("is_late", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("trigger_id", "slot", name="pk_schedule_slots"),
    )
    steps.create_index("ix_schedule_slots_due_at", "schedule_slots", ["due_at"])


def _create_calendars() -> None:
    steps.create_table(
        "calendars",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("workspace_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("rules", JSON_TEXT, nullable=False),
        sa.Column("etag", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_by", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_calendars"),
        sa.UniqueConstraint("workspace_id", "name", name="uq_calendars_workspace_id_name"),
    )


def _create_sources() -> None:
    steps.create_table(
        "watched_files",
        sa.Column("trigger_id", sa.String(64), nullable=False),
        sa.Column("path_digest", sa.String(64), nullable=False),
        sa.Column("path", JSON_TEXT, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("event", sa.String(10), nullable=False),
        sa.PrimaryKeyConstraint("trigger_id", "path_digest", name="pk_watched_files"),
    )
    steps.create_table(
        "watched_folders",
        sa.Column("trigger_id", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("trigger_id", name="pk_watched_folders"),
    )
    steps.create_table(
        "event_readers",
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("position", BIG_KEY, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_event_readers"),
    )
    steps.create_table(
        "mailbox_readers",
        sa.Column("trigger_id", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("validity", sa.BigInteger(), nullable=False),
        sa.Column("last_uid", sa.BigInteger(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("trigger_id", name="pk_mailbox_readers"),
    )
