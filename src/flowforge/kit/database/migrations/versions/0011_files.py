"""Files that people and programs sent, and those on their way in pieces."""

import sqlalchemy as sa

from flowforge.kit.database import migration_steps as steps

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    steps.create_table(
        "files",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("workspace_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("media_type", sa.String(200), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_files"),
    )
    steps.create_index("ix_files_workspace_id_created_at", "files", ["workspace_id", "created_at"])
    steps.create_table(
        "uploads",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("workspace_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("media_type", sa.String(200), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("file_id", sa.String(64)),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_uploads"),
    )
    steps.create_index("ix_uploads_expires_at", "uploads", ["expires_at"])
    steps.create_table(
        "upload_pieces",
        sa.Column("upload_id", sa.String(64), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("object_id", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("upload_id", "start", name="pk_upload_pieces"),
    )


def downgrade() -> None:
    for table in ("upload_pieces", "uploads", "files"):
        steps.drop_table(table)
