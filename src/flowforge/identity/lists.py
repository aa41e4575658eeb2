"""What the lists of people, their rights and their keys can be asked for."""

from typing import Final

from sqlalchemy import ColumnElement

from flowforge.identity.emails import make_email_key
from flowforge.identity.models_accounts import ApiKeyRow, KeyUsageRow, UserRow
from flowforge.identity.models_roles import GroupRow, RoleAssignmentRow, WorkspaceRow
from flowforge.web.lists import Condition
from flowforge.web.selecting import Filter, ListForm, by, exact, flag, moment, number, state, text
from flowforge.web.short_lists import ShortForm, short_flag, short_moment, short_text


def _match_email(wanted: Condition) -> ColumnElement[bool]:
    return UserRow.email_key == make_email_key(wanted.value)


USERS: Final = ListForm(
    "users",
    sorts={"created_at": by(UserRow.id), "email": by(UserRow.email_key), "name": by(UserRow.name)},
    default="created_at",
    unique=by(UserRow.id),
    filters={
        "email": Filter(("eq",), _match_email),
        "name": text(UserRow.name),
        "status": state({"active": UserRow.disabled_at.is_(None), "disabled": UserRow.disabled_at.is_not(None)}),
        "created_at": moment(UserRow.created_at),
        "signed_in_at": moment(UserRow.signed_in_at),
    },
    search={"name": UserRow.name, "email": UserRow.email_key},
)
GROUPS: Final = ListForm(
    "groups",
    sorts={"name": by(GroupRow.name), "created_at": by(GroupRow.id), "updated_at": by(GroupRow.updated_at)},
    default="name",
    unique=by(GroupRow.id),
    filters={
        "name": text(GroupRow.name),
        "created_at": moment(GroupRow.created_at),
        "updated_at": moment(GroupRow.updated_at),
    },
    search={"name": GroupRow.name},
)
ROLES: Final = ShortForm(
    "roles",
    sorts={"name": lambda role: role.name},
    filters={"name": short_text(lambda role: role.name), "built_in": short_flag(lambda role: role.is_built_in)},
    search={"name": lambda role: role.name},
)
ASSIGNMENTS: Final = ListForm(
    "role_assignments",
    sorts={"created_at": by(RoleAssignmentRow.id), "principal": by(RoleAssignmentRow.principal)},
    default="created_at",
    unique=by(RoleAssignmentRow.id),
    filters={
        "principal": exact(RoleAssignmentRow.principal),
        "created_at": moment(RoleAssignmentRow.created_at),
        "created_by": exact(RoleAssignmentRow.created_by),
    },
)
WORKSPACES: Final = ListForm(
    "workspaces",
    sorts={"name": by(WorkspaceRow.name), "created_at": by(WorkspaceRow.created_at), "updated_at": by(WorkspaceRow.updated_at)},
    default="name",
    unique=by(WorkspaceRow.id),
    filters={
        "name": text(WorkspaceRow.name),
        "title": text(WorkspaceRow.title),
        "created_at": moment(WorkspaceRow.created_at),
        "created_by": exact(WorkspaceRow.created_by),
        "updated_at": moment(WorkspaceRow.updated_at),
    },
    search={"name": WorkspaceRow.name, "title": WorkspaceRow.title},
)
KEYS: Final = ListForm(
    "keys",
    sorts={"created_at": by(ApiKeyRow.id), "name": by(ApiKeyRow.name), "expires_at": by(ApiKeyRow.expires_at)},
    default="created_at",
    unique=by(ApiKeyRow.id),
    filters={
        "name": text(ApiKeyRow.name),
        "prefix": text(ApiKeyRow.prefix),
        "user_id": exact(ApiKeyRow.user_id),
        "revoked": flag(ApiKeyRow.revoked_at.is_not(None)),
        "created_at": moment(ApiKeyRow.created_at),
        "expires_at": moment(ApiKeyRow.expires_at),
        "last_used_at": moment(ApiKeyRow.used_at),
    },
    search={"name": ApiKeyRow.name, "prefix": ApiKeyRow.prefix},
)
KEY_USAGE: Final = ListForm(
    "key_usage",
    sorts={"hour": by(KeyUsageRow.hour_at, "hour_at_ms")},
    default="-hour",
    unique=by(KeyUsageRow.address),
    filters={
        "hour": moment(KeyUsageRow.hour_at),
        "address": text(KeyUsageRow.address),
        "requests": number(KeyUsageRow.requests),
    },
)
SESSIONS: Final = ShortForm("sessions", filters={"kind": short_text(lambda session: session.kind)})
IDENTITIES: Final = ShortForm(
    "identities",
    filters={
        "connector": short_text(lambda identity: identity.connector),
        "created_at": short_moment(lambda identity: identity.created_at_ms),
    },
)
