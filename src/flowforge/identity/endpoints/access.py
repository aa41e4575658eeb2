"""`/access`, `/users/*/overrides` and `/me/permissions`."""

from typing import Annotated, Final, Literal

from fastapi import Query
from pydantic import Field

from flowforge.audit.service import INSTALLATION, record
from flowforge.identity import access, overrides
from flowforge.identity.access import Reason
from flowforge.identity.assignments import find_scope
from flowforge.identity.errors_roles import OwnerDeniedError, PersonNotFoundError, RightsExceededError
from flowforge.identity.overrides import Overrides
from flowforge.identity.permissions import PERMISSIONS
from flowforge.identity.roles import check_permissions
from flowforge.identity.scopes import Scope
from flowforge.kit.ids import parse_id
from flowforge.web.bodies import Answer, Body, show
from flowforge.web.callers import SIGNED_IN
from flowforge.web.calls import CallIn
from flowforge.web.lists import LIMIT_DEFAULT, cut_page, mark_list, read_cursor
from flowforge.web.queries import CursorIn, LimitIn
from flowforge.web.routing import Router

router: Final = Router("access", "/access")
override_router: Final = Router("users", "/users")
own_router: Final = Router("me", "/me")

PermissionIn = Annotated[str, Query(max_length=100, description="area:verb", examples=["workflow:publish"])]
ObjectIn = Annotated[
    str | None,
    Query(max_length=100, description="installation, workspace:ws_… or project:prj_…; left out, the present workspace."),
]
Permissions = Annotated[list[str], Field(max_length=500, description="Of the form area:verb.", examples=[["run:delete"]])]


class GroupName(Answer):
    id: str
    name: str


class ReasonAnswer(Answer):
    """`role` and `scope` are null where a personal override speaks, `group` where the person has the role personally."""

    effect: Literal["allow", "deny"]
    user_id: str
    email: str
    role: str | None
    group: GroupName | None
    scope: str | None
    sentence: str = Field(examples=["Ann is in the group Finance, which has the role operator for the whole installation."])

    @classmethod
    def of(cls, reason: Reason) -> "ReasonAnswer":
        return cls(
            effect=reason.effect,
            user_id=reason.person.id,
            email=reason.person.email,
            role=reason.role,
            group=None if reason.group is None else GroupName(id=reason.group.id, name=reason.group.name),
            scope=None if reason.scope is None else str(reason.scope),
            sentence=reason.sentence,
        )


class AccessAnswer(Answer):
    allowed: bool
    because: list[ReasonAnswer]


class WhoCanAnswer(AccessAnswer):
    next_cursor: str | None = Field(description="For the people behind these; null: that were all.")


class OverridesAnswer(Answer):
    allow: list[str]
    deny: list[str]

    @classmethod
    def of(cls, found: Overrides) -> "OverridesAnswer":
        return cls(allow=sorted(found.allow), deny=sorted(found.deny))


class OverridesBody(Body):
    model_config = show({"allow": ["workflow:start"], "deny": ["run:delete"]})

    allow: Permissions = Field(default_factory=list)
    deny: Permissions = Field(default_factory=list)


class OwnPermissions(Answer):
    workspace_id: str
    permissions: list[str] = Field(description="In the whole workspace.")
    projects: dict[str, list[str]] = Field(description="What holds in single projects only, by project.")


@router.get("/explain", "access:explain", errors=[PersonNotFoundError], summary="Why a person may do something, or may not")
async def explain(
    call: CallIn,
    user: Annotated[str, Query(max_length=100, description="usr_…")],
    permission: PermissionIn,
    object: ObjectIn = None,  # noqa: A002 (the parameter's name in the address)
) -> AccessAnswer:
    """Everything that speaks for and against it: roles, groups, scopes, overrides. What is denied personally is denied."""
    check_permissions("permission", [permission])
    async with call.read() as session:
        place = Scope(call.workspace_id) if object is None else await find_scope(session, call, object)
        found = await access.explain_access(session, parse_id(user, "usr"), permission, place)
    return AccessAnswer(allowed=found.is_allowed, because=[ReasonAnswer.of(reason) for reason in found.because])


@router.get("/who-can", "access:read", summary="Who may do something, and why")
async def find_who_can(
    call: CallIn,
    permission: PermissionIn,
    object: ObjectIn = None,  # noqa: A002 (the parameter's name in the address)
    limit: LimitIn = LIMIT_DEFAULT,
    cursor: CursorIn = None,
) -> WhoCanAnswer:
    """`allowed`: whether anybody may. `because`: what lets them, person by person, of at most `limit` people."""
    check_permissions("permission", [permission])
    async with call.read() as session:
        place = Scope(call.workspace_id) if object is None else await find_scope(session, call, object)
        mark = mark_list(permission, str(place))
        after = read_cursor(cursor, mark, [str])
        after_id = "" if after is None else str(after[0])
        found = await access.find_who_can(session, permission, place, after_id=after_id, limit=limit)
    people, following = cut_page(found, limit, mark, lambda reasons: [reasons[0].person.id])
    because = [ReasonAnswer.of(reason) for reasons in people for reason in reasons]
    return WhoCanAnswer(allowed=after is not None or bool(people), because=because, next_cursor=following)


@override_router.get("/{user}/overrides", "user:read", errors=[PersonNotFoundError], summary="A person's overrides")
async def get_overrides(call: CallIn, user: str) -> OverridesAnswer:
    """What the person may, or may not, whatever the roles say."""
    async with call.read() as session:
        return OverridesAnswer.of(await overrides.read_overrides(session, parse_id(user, "usr")))


@override_router.put(
    "/{user}/overrides",
    "user:manage",
    errors=[PersonNotFoundError, RightsExceededError, OwnerDeniedError],
    summary="Replace a person's overrides",
)
async def replace_overrides(call: CallIn, user: str, body: OverridesBody) -> OverridesAnswer:
    """They hold everywhere, from the next request on. What is denied is denied, whatever else allows it."""
    async with call.change() as session:
        before, after = await overrides.replace_overrides(session, call, parse_id(user, "usr"), allow=body.allow, deny=body.deny)
        await record(
            session,
            call,
            "user.overrides_changed",
            "user",
            user,
            before=before.describe(),
            after=after.describe(),
            workspace_id=INSTALLATION,
        )
    return OverridesAnswer.of(after)


@own_router.get("/permissions", SIGNED_IN, summary="What you may do")
async def list_own_permissions(call: CallIn) -> OwnPermissions:
    """In the present workspace, with the credential of this request: a key may do less than its person."""
    rights = call.caller.rights
    return OwnPermissions(
        workspace_id=call.workspace_id,
        permissions=sorted(permission for permission in PERMISSIONS if rights.allow(permission)),
        projects={project: sorted(found & PERMISSIONS) for project, found in sorted(rights.projects.items())},
    )
