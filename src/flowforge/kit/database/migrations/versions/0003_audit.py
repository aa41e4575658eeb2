"""The audit log: rows in one chain, its head, signed checkpoints, sinks, the keys of persons; triggers that keep it append-only."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from flowforge.kit.database import migration_steps as steps
from flowforge.kit.database.guards import lift_guards, set_guards

revision = "0003"
down_revision = "0002"

BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON_TEXT = sa.Text().with_variant(mysql.LONGTEXT(collation="utf8mb4_bin"), "mysql", "mariadb")
BYTES = sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")


def upgrade() -> None:
    _create_rows()
    _create_chain()
    _create_person_keys()
    set_guards(op.get_bind())


def downgrade() -> None:
    lift_guards(op.get_bind())
    for table in ("person_keys", "audit_sinks", "audit_checkpoints", "audit_head", "audit_rows"):
        steps.drop_table(table)


def _create_rows() -> None:
    steps.create_table(
        "audit_rows",
        sa.Column("no", BIG_KEY, autoincrement=False, nullable=False),
        sa.Column("workspace_id", sa.String(64)),
        sa.Column("entity", sa.String(40), nullable=False),
        sa.Column("entity_id", sa.String(200), nullable=False),
        sa.Column("action", sa.String(80), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("credential", sa.String(200), nullable=False),
        sa.Column("ip", sa.Text()),
        sa.Column("request_id", sa.String(200), nullable=False),
        sa.Column("before", JSON_TEXT),
        sa.Column("after", JSON_TEXT),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("no", name="pk_audit_rows"),
    )
    steps.create_index("ix_audit_rows_workspace_id_no", "audit_rows", ["workspace_id", "no"])
    steps.create_index("ix_audit_rows_entity_entity_id", "audit_rows", ["entity", "entity_id"])
    steps.create_index("ix_audit_rows_actor", "audit_rows", ["actor"])
    steps.create_index("ix_audit_rows_action", "audit_rows", ["action"])
    steps.create_index("ix_audit_rows_at", "audit_rows", ["at"])


def _create_chain() -> None:
    steps.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("no", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("retired_up_to", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_head"),
    )
    steps.create_table(
        "audit_checkpoints",
        sa.Column("no", BIG_KEY, autoincrement=False, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("public_key", sa.String(64), nullable=False),
        sa.Column("signature", sa.String(128), nullable=False),
        sa.PrimaryKeyConstraint("no", name="pk_audit_checkpoints"),
    )
    steps.create_table(
        "audit_sinks",
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("row_no", sa.BigInteger(), nullable=False),
        sa.Column("checkpoint_no", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_audit_sinks"),
    )


def _create_person_keys() -> None:
    steps.create_table(
        "person_keys",
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(64)),
        sa.Column("sealed", BYTES),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("erased_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("user_id", name="pk_person_keys"),
    )
    steps.create_index("ix_person_keys_key_id", "person_keys", ["key_id"])
