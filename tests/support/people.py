"""People with roles, made quickly: rows as the services would write them, and callers with the rights that these give."""

from dataclasses import dataclass
from itertools import count

from tests.support.web_lab import WebLab

from flowforge.identity.models_accounts import LOCAL_ISSUER, UserRow
from flowforge.identity.models_roles import GroupMemberRow, GroupRow, OverrideRow, RoleAssignmentRow, WorkspaceRow
from flowforge.identity.permissions import ADMIN, APPROVER, AUDITOR, BUILDER, OPERATOR, OWNER, REQUESTER, VIEWER
from flowforge.identity.revocations import bump
from flowforge.identity.rights import find_rights
from flowforge.kit.border import encode
from flowforge.kit.database.session import Database
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID, make_id
from flowforge.web.callers import Caller, CredentialKind

ROLES = (VIEWER, REQUESTER, APPROVER, OPERATOR, BUILDER, AUDITOR, ADMIN, OWNER)
_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Scoped:
    """Where a role holds; both empty: in the whole installation."""

    workspace_id: str = ""
    project_id: str = ""


INSTALLATION = Scoped()
DEFAULT_WORKSPACE = Scoped(DEFAULT_WORKSPACE_ID)


async def make_person(
    database: Database,
    *roles: str,
    scope: Scoped = INSTALLATION,
    email: str = "",
    is_confirmed: bool = True,
    issuer: str = LOCAL_ISSUER,
    subject: str = "",
) -> str:
    """The id of a new person who has these roles (a built-in role's name, or a custom one's id) in the scope."""
    user_id, address = make_id("usr"), email or f"person{next(_numbers)}@example.com"
    async with database.write.begin() as session:
        session.add(
            UserRow(
                id=user_id,
                issuer=issuer,
                subject=subject or address,
                email=address,
                email_key=address.casefold(),
                name=address.partition("@")[0].title(),
                is_confirmed=is_confirmed,
                created_at=1,
                created_by="system",
                updated_at=1,
            )
        )
    for role in roles:
        await give_role(database, user_id, role, scope)
    return user_id


async def give_role(database: Database, principal: str, role: str, scope: Scoped = INSTALLATION) -> str:
    """The id of the assignment."""
    assignment_id = make_id("ras")
    async with database.write.begin() as session:
        await bump(session)
        session.add(
            RoleAssignmentRow(
                id=assignment_id,
                principal=principal,
                role=role,
                workspace_id=scope.workspace_id,
                project_id=scope.project_id,
                created_at=1,
                created_by="system",
            )
        )
    return assignment_id


async def make_group(database: Database, *members: str, name: str = "") -> str:
    """The id of a new group with these people in it."""
    group_id = make_id("grp")
    async with database.write.begin() as session:
        await bump(session)
        session.add(GroupRow(id=group_id, name=name or f"Group {next(_numbers)}", description="", created_at=1, updated_at=1))
        session.add_all(GroupMemberRow(group_id=group_id, user_id=member, added_at=1) for member in members)
    return group_id


async def make_workspace(database: Database, name: str = "") -> str:
    """The id of a new workspace."""
    workspace_id = make_id("ws")
    async with database.write.begin() as session:
        session.add(
            WorkspaceRow(
                id=workspace_id,
                name=name or f"workspace-{next(_numbers)}",
                title="A workspace",
                description="",
                created_at=1,
                created_by="system",
                updated_at=1,
                updated_by="system",
            )
        )
    return workspace_id


async def override(database: Database, user_id: str, *, allow: tuple[str, ...] = (), deny: tuple[str, ...] = ()) -> None:
    """What the person may, or may not, whatever the roles say."""
    allowed, denied = encode([*allow]).decode(), encode([*deny]).decode()
    async with database.write.begin() as session:
        await bump(session)
        session.add(OverrideRow(user_id=user_id, allow=allowed, deny=denied, updated_at=1, updated_by="system"))


async def find_caller(
    database: Database,
    user_id: str,
    workspace_id: str = DEFAULT_WORKSPACE_ID,
    *,
    kind: CredentialKind = CredentialKind.SESSION,
) -> Caller:
    """The person as a caller, with the rights that the person has now in the workspace."""
    async with database.read() as session:
        rights = await find_rights(session, user_id, workspace_id)
    return Caller(f"user:{user_id}", user_id, kind, f"{kind}:{make_id('ses')}", workspace_id, rights, "127.0.0.1")


async def enter(lab: WebLab, *roles: str, scope: Scoped = INSTALLATION, workspace_id: str = DEFAULT_WORKSPACE_ID) -> str:
    """From now on the lab's requests come from a new person with these roles; its id."""
    user_id = await make_person(lab.parts.database, *roles, scope=scope)
    lab.gate.caller = await find_caller(lab.parts.database, user_id, workspace_id)
    return user_id
