"""Settings and feature flags that are changed at run time."""

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from flowforge.kit.database import migration_steps as steps

revision = "0012"
down_revision = "0011"

JSON_TEXT = sa.Text().with_variant(mysql.LONGTEXT(collation="utf8mb4_bin"), "mysql", "mariadb")


def upgrade() -> None:
    steps.create_table(
        "runtime_settings",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("value", JSON_TEXT, nullable=False),
        sa.Column("etag", sa.String(64), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_by", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_runtime_settings"),
    )
    steps.create_table(
        "feature_flags",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("workspaces", JSON_TEXT, nullable=False),
        sa.Column("etag", sa.String(64), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_by", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_feature_flags"),
    )


def downgrade() -> None:
    steps.drop_table("feature_flags")
    steps.drop_table("runtime_settings")
