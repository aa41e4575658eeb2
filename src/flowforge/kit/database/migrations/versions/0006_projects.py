"""Around workflows: projects, sets of workflows, templates, and what is set on a workflow beside its document."""

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from flowforge.kit.database import migration_steps as steps

revision = "0006"
down_revision = "0005"

JSON_TEXT = sa.Text().with_variant(mysql.LONGTEXT(collation="utf8mb4_bin"), "mysql", "mariadb")


def upgrade() -> None:
    steps.add_column("workflows", sa.Column("project_id", sa.String(64)))
    steps.add_column("workflows", sa.Column("overrides", JSON_TEXT))
    steps.add_column("workflows", sa.Column("revision", sa.Integer(), nullable=False, server_default="1"))
    steps.create_index("ix_workflows_workspace_id_project_id", "workflows", ["workspace_id", "project_id"])
    steps.create_index("ix_workflows_workspace_id_updated_at", "workflows", ["workspace_id", "updated_at"])
    _create_projects()
    _create_workflow_sets()
    _create_workflow_set_members()
    _create_templates()


def downgrade() -> None:
    for table in ("templates", "workflow_set_members", "workflow_sets", "projects"):
        steps.drop_table(table)
    steps.drop_index("ix_workflows_workspace_id_updated_at", "workflows")
    steps.drop_index("ix_workflows_workspace_id_project_id", "workflows")
    for column in ("revision", "overrides", "project_id"):
        steps.drop_column("workflows", column)


def _create_projects() -> None:
    steps.create_table(
        "projects",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("workspace_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        *_list_authors(),
        sa.PrimaryKeyConstraint("id", name="pk_projects"),
        sa.UniqueConstraint("workspace_id", "name", "deleted_at", name="uq_projects_workspace_id_name_deleted_at"),
    )


def _create_workflow_sets() -> None:
    steps.create_table(
        "workflow_sets",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("workspace_id", sa.String(64), nullable=False),
        sa.Column("project_id", sa.String(64)),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        *_list_authors(),
        sa.PrimaryKeyConstraint("id", name="pk_workflow_sets"),
        sa.UniqueConstraint("workspace_id", "name", "deleted_at", name="uq_workflow_sets_workspace_id_name_deleted_at"),
    )


def _create_workflow_set_members() -> None:
    steps.create_table(
        "workflow_set_members",
        sa.Column("set_id", sa.String(64), nullable=False),
        sa.Column("workflow_id", sa.String(64), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("set_id", "workflow_id", name="pk_workflow_set_members"),
        sa.ForeignKeyConstraint(["set_id"], ["workflow_sets.id"], name="fk_workflow_set_members_set_id_workflow_sets"),
        sa.ForeignKeyConstraint(["workflow_id"], ["workflows.id"], name="fk_workflow_set_members_workflow_id_workflows"),
    )
    steps.create_index("ix_workflow_set_members_workflow_id", "workflow_set_members", ["workflow_id"])


def _create_templates() -> None:
    steps.create_table(
        "templates",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("workspace_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("name", sa.String(63), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("category", sa.String(100), nullable=False),
        sa.Column("content", JSON_TEXT, nullable=False),
        *_list_authors(),
        sa.PrimaryKeyConstraint("id", name="pk_templates"),
        sa.UniqueConstraint("workspace_id", "kind", "name", "deleted_at", name="uq_templates_workspace_id_kind_name_deleted_at"),
    )


def _list_authors() -> list[sa.Column[int] | sa.Column[str]]:
    return [
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(200), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_by", sa.String(200), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=False),
    ]
