"""Workspaces, groups, roles and who has them, personal overrides, and sign-ins by a provider that are spent."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from flowforge.kit.database import migration_steps as steps

revision = "0005"
down_revision = "0004"

JSON_TEXT = sa.Text().with_variant(mysql.LONGTEXT(collation="utf8mb4_bin"), "mysql", "mariadb")
DEFAULT_WORKSPACE_ID = "ws_" + "0" * 26
NOT_DELETED_MS = 253_402_214_400_000


def upgrade() -> None:
    _create_workspaces()
    _create_groups()
    _create_roles()
    _create_changes()


def downgrade() -> None:
    for table in (
        "spent_sign_ins",
        "identity_changes",
        "permission_overrides",
        "role_assignments",
        "custom_roles",
        "group_members",
        "user_groups",
        "workspaces",
    ):
        steps.drop_table(table)


def _create_workspaces() -> None:
    steps.create_table(
        "workspaces",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_by", sa.String(200), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workspaces"),
        sa.UniqueConstraint("name", "deleted_at", name="uq_workspaces_name_deleted_at"),
    )
    _insert_once(
        "workspaces",
        {
            "id": DEFAULT_WORKSPACE_ID,
            "name": "default",
            "title": "Default",
            "description": "",
            "created_at": 0,
            "created_by": "system",
            "updated_at": 0,
            "updated_by": "system",
            "deleted_at": NOT_DELETED_MS,
        },
    )


def _create_groups() -> None:
    steps.create_table(
        "user_groups",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_user_groups"),
        sa.UniqueConstraint("name", name="uq_user_groups_name"),
    )
    steps.create_table(
        "group_members",
        sa.Column("group_id", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("group_id", "user_id", name="pk_group_members"),
    )
    steps.create_index("ix_group_members_user_id", "group_members", ["user_id"])


def _create_roles() -> None:
    steps.create_table(
        "custom_roles",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("permissions", JSON_TEXT, nullable=False),
        sa.Column("etag", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_custom_roles"),
        sa.UniqueConstraint("name", name="uq_custom_roles_name"),
    )
    place = ["principal", "role", "workspace_id", "project_id"]
    steps.create_table(
        "role_assignments",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("principal", sa.String(64), nullable=False),
        sa.Column("role", sa.String(64), nullable=False),
        sa.Column("workspace_id", sa.String(64), nullable=False),
        sa.Column("project_id", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_role_assignments"),
        sa.UniqueConstraint(*place, name="uq_role_assignments_principal_role_workspace_id_project_id"),
    )
    for column in ("role", "workspace_id"):
        steps.create_index(f"ix_role_assignments_{column}", "role_assignments", [column])
    steps.create_table(
        "permission_overrides",
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("allow", JSON_TEXT, nullable=False),
        sa.Column("deny", JSON_TEXT, nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_by", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_permission_overrides"),
    )


def _create_changes() -> None:
    steps.create_table(
        "identity_changes",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_identity_changes"),
    )
    _insert_once("identity_changes", {"id": 1, "number": 1})
    steps.create_table(
        "spent_sign_ins",
        sa.Column("state", sa.String(64), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("state", name="pk_spent_sign_ins"),
    )
    steps.create_index("ix_spent_sign_ins_expires_at", "spent_sign_ins", ["expires_at"])


def _insert_once(table: str, row: dict[str, object]) -> None:
    target = sa.table(table, *map(sa.column, row))
    found = op.get_bind().execute(sa.select(target.c.id).where(target.c.id == row["id"])).first()
    if found is None:
        op.execute(sa.insert(target).values(**row))
