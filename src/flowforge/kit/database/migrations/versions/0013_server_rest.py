"""The rest of the server: first answers that are kept for repeated requests."""

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from flowforge.kit.database import migration_steps as steps

revision = "0013"
down_revision = "0012"

JSON_TEXT = sa.Text().with_variant(mysql.LONGTEXT(collation="utf8mb4_bin"), "mysql", "mariadb")


def upgrade() -> None:
    _create_kept_answers()


def downgrade() -> None:
    steps.drop_table("kept_answers")


def _create_kept_answers() -> None:
    steps.create_table(
        "kept_answers",
        sa.Column("workspace_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("event_no", sa.BigInteger()),
        sa.Column("answer", JSON_TEXT),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "name", name="pk_kept_answers"),
    )
    steps.create_index("ix_kept_answers_asked_at", "kept_answers", ["asked_at"])
