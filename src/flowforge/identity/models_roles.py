"""The tables of workspaces, groups and roles. Times are milliseconds since 1970 (UTC).

What is meant for the whole installation has an empty `workspace_id`, and what is meant for a whole workspace an empty `project_id`:
unlike NULL, they are equal to each other in a unique constraint.
"""

from typing import Final

from sqlalchemy import Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from flowforge.kit.database.metadata import ID_LENGTH, JSON_TEXT, MILLISECONDS, NAME_LENGTH, Base

NOT_DELETED_MS: Final = 253_402_214_400_000
"""9999-12-31: `deleted_at` of what is not deleted, so that names are unique among the living."""
WORKSPACE_NAME_LENGTH: Final = 63


class WorkspaceRow(Base):
    """`name` is a word for addresses and headers; `title` is for people."""

    __tablename__ = "workspaces"
    __table_args__ = (UniqueConstraint("name", "deleted_at"),)

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    name: Mapped[str] = mapped_column(String(WORKSPACE_NAME_LENGTH))
    title: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(MILLISECONDS)
    created_by: Mapped[str] = mapped_column(String(NAME_LENGTH))
    updated_at: Mapped[int] = mapped_column(MILLISECONDS)
    updated_by: Mapped[str] = mapped_column(String(NAME_LENGTH))
    deleted_at: Mapped[int] = mapped_column(MILLISECONDS, default=NOT_DELETED_MS)


class GroupRow(Base):
    __tablename__ = "user_groups"
    __table_args__ = (UniqueConstraint("name"),)

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    description: Mapped[str] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(MILLISECONDS)
    updated_at: Mapped[int] = mapped_column(MILLISECONDS)


class GroupMemberRow(Base):
    __tablename__ = "group_members"
    __table_args__ = (Index(None, "user_id"),)

    group_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    added_at: Mapped[int] = mapped_column(MILLISECONDS)


class RoleRow(Base):
    """A role of this installation's own. `permissions`: a JSON list. `etag` changes with every change."""

    __tablename__ = "custom_roles"
    __table_args__ = (UniqueConstraint("name"),)

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    description: Mapped[str] = mapped_column(Text)
    permissions: Mapped[str] = mapped_column(JSON_TEXT)
    etag: Mapped[str] = mapped_column(String(ID_LENGTH))
    created_at: Mapped[int] = mapped_column(MILLISECONDS)
    updated_at: Mapped[int] = mapped_column(MILLISECONDS)


class RoleAssignmentRow(Base):
    """A role for a person (`usr_`) or a group (`grp_`). `role`: a built-in role's name, or the id of a custom one."""

    __tablename__ = "role_assignments"
    __table_args__ = (
        UniqueConstraint("principal", "role", "workspace_id", "project_id"),
        Index(None, "role"),
        Index(None, "workspace_id"),
    )

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    principal: Mapped[str] = mapped_column(String(ID_LENGTH))
    role: Mapped[str] = mapped_column(String(ID_LENGTH))
    workspace_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    project_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    created_at: Mapped[int] = mapped_column(MILLISECONDS)
    created_by: Mapped[str] = mapped_column(String(NAME_LENGTH))


class OverrideRow(Base):
    """What one person may, or may not, whatever the roles say. `allow`, `deny`: JSON lists."""

    __tablename__ = "permission_overrides"

    user_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    allow: Mapped[str] = mapped_column(JSON_TEXT)
    deny: Mapped[str] = mapped_column(JSON_TEXT)
    updated_at: Mapped[int] = mapped_column(MILLISECONDS)
    updated_by: Mapped[str] = mapped_column(String(NAME_LENGTH))


class IdentityChangesRow(Base):
    """One row, with a number that grows with every change of who may do what."""

    __tablename__ = "identity_changes"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(MILLISECONDS)


class SpentSignInRow(Base):
    """A sign-in by a provider that has come back, so that it does not come back twice."""

    __tablename__ = "spent_sign_ins"
    __table_args__ = (Index(None, "expires_at"),)

    state: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    expires_at: Mapped[int] = mapped_column(MILLISECONDS)
