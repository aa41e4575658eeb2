"""What can go wrong with workspaces, groups, roles and who has them."""

from collections.abc import Iterable
from typing import Final

from flowforge.identity.permissions import find_near
from flowforge.kit.errors import (
    AlreadyExistsError,
    ConflictError,
    Detail,
    NotFoundError,
    NotPermittedError,
    ValidationError,
)

_TOLD_MAX: Final = 5


def _one(field: str, message: str, code: str) -> list[Detail]:
    return [Detail(field=field, message=message, code=code)]


def _list(names: Iterable[str], most: int = _TOLD_MAX) -> str:
    known = sorted(names)
    rest = f" and {len(known) - most} more" if len(known) > most else ""
    return ", ".join(known[:most]) + rest


class WorkspaceNotFoundError(NotFoundError):
    def __init__(self, subject: str) -> None:
        message = f"There is no workspace {subject[:80]!r}; GET /workspaces shows those that you may see."
        super().__init__(message, _one("workspace", message, "workspace_unknown"))


class WorkspaceNameTakenError(AlreadyExistsError):
    def __init__(self, name: str) -> None:
        message = f"There is another workspace of the name {name}; take another name."
        super().__init__(message, _one("name", message, "name_taken"))


class WorkspaceNotEmptyError(ConflictError):
    """It can be removed for good only when nothing is in it any more."""

    def __init__(self, name: str, contents: Iterable[str]) -> None:
        message = f"The workspace {name} still has {_list(contents)}; remove those first."
        super().__init__(message, _one("permanent", message, "workspace_not_empty"))


class WorkspaceKeptError(ConflictError):
    """The default workspace stays."""

    def __init__(self) -> None:
        message = "The default workspace cannot be deleted: whoever names no workspace works in it."
        super().__init__(message, _one("", message, "workspace_default"))


class GroupNotFoundError(NotFoundError):
    def __init__(self, subject: str) -> None:
        message = f"There is no group {subject[:80]!r}; GET /groups shows those that there are."
        super().__init__(message, _one("group", message, "group_unknown"))


class GroupNameTakenError(AlreadyExistsError):
    def __init__(self, name: str) -> None:
        message = f"There is another group of the name {name!r}; take another name."
        super().__init__(message, _one("name", message, "name_taken"))


class PersonNotFoundError(NotFoundError):
    def __init__(self, subject: str) -> None:
        message = f"There is no person {subject[:80]!r}; GET /users shows those that there are."
        super().__init__(message, _one("user", message, "user_unknown"))


class ProjectNotFoundError(NotFoundError):
    def __init__(self, project_id: str) -> None:
        message = f"There is no project {project_id}; GET /projects shows those that there are."
        super().__init__(message, _one("scope", message, "project_unknown"))


class RoleNotFoundError(NotFoundError):
    def __init__(self, subject: str) -> None:
        message = f"There is no role {subject[:80]!r}; GET /roles shows those that there are."
        super().__init__(message, _one("role", message, "role_unknown"))


class RoleNameTakenError(AlreadyExistsError):
    def __init__(self, name: str) -> None:
        message = f"There is another role of the name {name}; take another name."
        super().__init__(message, _one("name", message, "name_taken"))


class RoleBuiltInError(ConflictError):
    """Built-in roles mean the same in every installation."""

    def __init__(self, name: str) -> None:
        message = (
            f"The role {name} is built in and cannot be changed; make a role of your own with the permissions that you want."
        )
        super().__init__(message, _one("", message, "role_built_in"))


class RoleInUseError(ConflictError):
    def __init__(self, name: str, count: int) -> None:
        message = f"The role {name} is given {count} times; take it away from those who have it first (GET /role-assignments?role={name})."
        super().__init__(message, _one("", message, "role_in_use"))


class AssignmentNotFoundError(NotFoundError):
    def __init__(self, subject: str) -> None:
        message = f"There is no role assignment {subject[:80]!r}; GET /role-assignments shows those that there are."
        super().__init__(message, _one("", message, "assignment_unknown"))


class AssignmentExistsError(AlreadyExistsError):
    def __init__(self, role: str, scope: str) -> None:
        message = f"The role {role} is given there already ({scope})."
        super().__init__(message, _one("", message, "assignment_exists"))


class PrincipalInvalidError(ValidationError):
    def __init__(self, text: str) -> None:
        message = f"{text[:80]!r} names neither a person (usr_…) nor a group (grp_…)."
        super().__init__(message, _one("principal", message, "principal_invalid"))


class PermissionUnknownError(ValidationError):
    """`field`: where the permissions stand."""

    def __init__(self, field: str, unknown: Iterable[str]) -> None:
        names = sorted(unknown)
        near = list(dict.fromkeys(found for name in names[:_TOLD_MAX] for found in find_near(name)))
        hint = f"; did you mean {' or '.join(near)}?" if near else "."
        message = f"No such permission: {_list(repr(name[:60]) for name in names)}{hint} GET /roles/owner and docs/access.md list them all."
        super().__init__(message, [Detail(field, message, "permission_unknown", suggestion=near[0] if near else None)])


class RightsExceededError(NotPermittedError):
    """Somebody would give or take rights that he does not have himself."""

    def __init__(self, lacking: Iterable[str], scope: str) -> None:
        message = f"You can give and take only what you may do yourself; for {scope} you lack {_list(lacking)}."
        super().__init__(message, _one("", message, "rights_exceeded"))


class LastOwnerError(ConflictError):
    """The installation would have nobody left who may do everything."""

    def __init__(self) -> None:
        message = "This would leave the installation without an owner; make somebody else owner first."
        super().__init__(message, _one("", message, "last_owner"))


class OwnerDeniedError(ConflictError):
    """An owner may do everything: there is nothing to deny."""

    def __init__(self) -> None:
        message = "The person is an owner, who may do everything; take the role owner away before you deny anything."
        super().__init__(message, _one("deny", message, "owner_denied"))
