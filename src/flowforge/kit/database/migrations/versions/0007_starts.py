"""Looking at runs and steering them: indexes for the filters of lists, and long work that goes on after its request."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from flowforge.kit.database import migration_steps as steps

revision = "0007"
down_revision = "0006"

JSON_TEXT = sa.Text().with_variant(mysql.LONGTEXT(collation="utf8mb4_bin"), "mysql", "mariadb")

RUN_INDEXES = {
    "status": "finished_at IS NOT NULL",
    "subject": "subject IS NOT NULL",
    "error_code": "error_code IS NOT NULL",
    "actor": "substr(actor, 1, 8) = 'trigger:'",
    "version": "version IS NOT NULL",
}
"""By column: of which runs the index is. Where the database knows no partial indexes (MySQL) it is of all."""


def upgrade() -> None:
    for column, condition in RUN_INDEXES.items():
        _create_run_index(column, condition)
    _create_batches()


def downgrade() -> None:
    steps.drop_table("batches")
    for column in reversed(RUN_INDEXES):
        steps.drop_index(_name(column), "runs")


def _name(column: str) -> str:
    return f"ix_runs_workspace_id_{column}_started_at_no"


def _create_run_index(column: str, condition: str) -> None:
    name = _name(column)
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes("runs")}:
        where = sa.text(condition)
        op.create_index(name, "runs", ["workspace_id", column, "started_at", "no"], sqlite_where=where, postgresql_where=where)


def _create_batches() -> None:
    steps.create_table(
        "batches",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("workspace_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("request", JSON_TEXT, nullable=False),
        sa.Column("place", JSON_TEXT, nullable=False),
        sa.Column("total", sa.BigInteger()),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("result", JSON_TEXT, nullable=False),
        sa.Column("error", JSON_TEXT),
        sa.Column("is_stopping", sa.Integer(), nullable=False),
        sa.Column("holder", sa.String(64)),
        sa.Column("held_until", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name="pk_batches"),
    )
    steps.create_index("ix_batches_finished_at_held_until", "batches", ["finished_at", "held_until"])
