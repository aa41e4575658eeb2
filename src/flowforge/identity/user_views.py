"""People as others see them."""

from typing import cast

from flowforge.identity.models_accounts import NOT_DELETED_MS, UserRow
from flowforge.identity.types_accounts import User
from flowforge.kit.border import decode
from flowforge.kit.values import JsonObject


def is_active(row: UserRow) -> bool:
    """Whether the person may sign in and act."""
    return row.disabled_at is None and row.deleted_at == NOT_DELETED_MS


def describe_user(row: UserRow) -> User:
    """Everything that is shown of a person."""
    return User(
        id=row.id,
        email=row.email,
        name=row.name,
        issuer=row.issuer,
        is_confirmed=row.is_confirmed,
        status=_name_status(row),
        workspace_id=row.workspace_id,
        attributes=cast("JsonObject", decode(row.attributes)),
        created_at_ms=row.created_at,
        updated_at_ms=row.updated_at,
        signed_in_at_ms=row.signed_in_at,
    )


def _name_status(row: UserRow) -> str:
    if row.erased_at is not None:
        return "erased"
    if row.deleted_at != NOT_DELETED_MS:
        return "deleted"
    return "active" if row.disabled_at is None else "disabled"
