"""`/users`: the people of the installation."""

from typing import Annotated, Final

from fastapi import Query, Response
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit.service import INSTALLATION, author_of, erase_person, record
from flowforge.identity.assignments import create_assignment
from flowforge.identity.endpoints.forms_accounts import Email, SessionAnswer, UserAnswer, format_optional_time
from flowforge.identity.endpoints.me import ChangeBody, read_changes, show_sessions
from flowforge.identity.errors_accounts import (
    EmailInvalidError,
    EmailTakenError,
    ForeignWorkspaceError,
    NotLocalError,
    OwnersOnlyError,
    SessionNotFoundError,
    SessionRequiredError,
    UserNotFoundError,
    UserStateError,
)
from flowforge.identity.errors_roles import LastOwnerError, RightsExceededError, RoleNotFoundError
from flowforge.identity.external_identities import list_identities
from flowforge.identity.links import MAILED_LINK_MS, make_link, make_link_url
from flowforge.identity.lists import IDENTITIES, SESSIONS, USERS
from flowforge.identity.models_accounts import LOCAL_ISSUER, UserRow
from flowforge.identity.people import (
    NewPerson,
    change_user,
    create_person,
    delete_user,
    disable_user,
    enable_user,
    erase_user,
    get_user,
    list_users,
    require_over,
    restore_user,
)
from flowforge.identity.revocations import bump
from flowforge.identity.sessions import end_session, end_sessions
from flowforge.identity.telling_users import tell_user
from flowforge.identity.types_accounts import ExternalIdentity, LinkPurpose
from flowforge.identity.user_views import describe_user
from flowforge.kit.ids import parse_id
from flowforge.kit.values import JsonValue
from flowforge.language.times import format_timestamp_ms
from flowforge.web.bodies import Answer, Body, JsonField, Title
from flowforge.web.callers import CredentialKind
from flowforge.web.calls import Call, CallIn
from flowforge.web.lists import Asked, Page
from flowforge.web.queries import IncludeDeletedIn, make_asked
from flowforge.web.routing import Router

router: Final = Router("users", "/users")

_READ: Final = "user:read"
_MANAGE: Final = "user:manage"
_PROTECTED: Final = [UserNotFoundError, OwnersOnlyError]


class NewUserBody(Body):
    """`role`: a role for the whole installation, which you must have yourself."""

    email: Email
    name: Title = Field(examples=["Anna Berg"])
    role: str | None = Field(default=None, max_length=100, examples=["builder"])


class ChangeUserBody(ChangeBody):
    """As one's own profile; besides, the email of a person whom no provider vouches for."""

    email: Email = ""


class LinkAnswer(Answer):
    """Shown once; pass it on by a way that you trust."""

    link: str = Field(examples=["https://flowforge.example.com/sign-in#reset=…"])
    expires_at: str


class IdentityAnswer(Answer):
    """Who a person is in another system."""

    id: str
    connector: str
    external_id: str
    email: str | None
    name: str | None
    source: str = Field(description="`connector_sync`, `workflow` or `manual`.")
    attributes: JsonField
    created_at: str
    verified_at: str | None

    @classmethod
    def of(cls, found: ExternalIdentity) -> "IdentityAnswer":
        return cls(
            id=found.id,
            connector=found.connector,
            external_id=found.external_id,
            email=found.email,
            name=found.name,
            source=found.source,
            attributes=dict(found.attributes),
            created_at=format_timestamp_ms(found.created_at_ms),
            verified_at=format_optional_time(found.verified_at_ms),
        )


PermanentIn = Annotated[bool, Query(description="For ever: as erase does.")]


@router.get("", _READ, summary="List people")
async def list_people(
    call: CallIn, asked: Annotated[Asked, make_asked(USERS)], *, include_deleted: IncludeDeletedIn = False
) -> Page[UserAnswer]:
    """In the order in which they were made."""
    selection = USERS.read(asked, include_deleted)
    async with call.report() as session:
        found = await list_users(session, selection, include_deleted=include_deleted)
    rows, following = selection.cut(found)
    return Page(data=[UserAnswer.of(describe_user(row)) for row in rows], next_cursor=following)


@router.post(
    "",
    _MANAGE,
    status=201,
    errors=[EmailInvalidError, EmailTakenError, RoleNotFoundError, RightsExceededError],
    summary="Make a person",
)
async def create_user(call: CallIn, body: NewUserBody, response: Response) -> UserAnswer:
    """Without a password: a link (password-link), or the first sign-in by a provider that knows the email, lets the person in."""
    async with call.change() as session:
        user = await create_person(session, NewPerson(body.email, body.name), now_ms=call.now_ms, by=call.actor)
        if body.role is not None:
            await create_assignment(session, call, user.id, body.role, "installation")
        after: dict[str, JsonValue] = {"email": user.email, "name": user.name, "role": body.role}
        await tell_user(session, author_of(call), "created", user, at_ms=call.now_ms, after=after)
    response.headers["location"] = f"/api/v1/users/{user.id}"
    return UserAnswer.of(describe_user(user))


@router.get("/{user}", _READ, errors=[UserNotFoundError], summary="Show a person")
async def show_user(call: CallIn, user: str) -> UserAnswer:
    """Deleted ones, too."""
    async with call.read() as session:
        return UserAnswer.of(describe_user(await get_user(session, parse_id(user, "usr"), include_deleted=True)))


@router.patch(
    "/{user}",
    _MANAGE,
    errors=[*_PROTECTED, EmailInvalidError, EmailTakenError, UserStateError, ForeignWorkspaceError],
    summary="Change a person",
)
async def change_person(call: CallIn, user: str, body: ChangeUserBody) -> UserAnswer:
    """Roles are given by role assignments, and never here."""
    async with call.change() as session:
        row = await _lock(session, call, user)
        changes = await read_changes(session, row, body)
        if "email" in body.model_fields_set:
            changes["email"] = body.email
        before: dict[str, JsonValue] = {name: getattr(row, name) for name in changes}
        await change_user(session, row, changes, call.now_ms)
        after: dict[str, JsonValue] = {name: getattr(row, name) for name in changes}
        await tell_user(session, author_of(call), "updated", row, at_ms=call.now_ms, before=before, after=after)
    return UserAnswer.of(describe_user(row))


@router.delete("/{user}", _MANAGE, status=204, errors=[*_PROTECTED, LastOwnerError], summary="Delete a person")
async def delete_person(call: CallIn, user: str, *, permanent: PermanentIn = False) -> Response:
    """The person cannot sign in any more, and keeps nothing open; can be restored, unless `permanent`."""
    async with call.change() as session:
        row = await _lock(session, call, user)
        if permanent:
            await _erase(session, call, row)
        else:
            await delete_user(session, row, call.now_ms)
            await tell_user(session, author_of(call), "deleted", row, at_ms=call.now_ms)
    return Response(status_code=204)


@router.post(
    "/{user}/restore", _MANAGE, errors=[UserNotFoundError, UserStateError, EmailTakenError], summary="Bring a deleted person back"
)
async def restore_person(call: CallIn, user: str) -> UserAnswer:
    """With the roles that the person had."""
    async with call.change() as session:
        row = await get_user(session, parse_id(user, "usr"), include_deleted=True, is_locked=True)
        await restore_user(session, row, call.now_ms)
        await tell_user(session, author_of(call), "restored", row, at_ms=call.now_ms)
    return UserAnswer.of(describe_user(row))


@router.post("/{user}/disable", _MANAGE, errors=[*_PROTECTED, LastOwnerError], summary="Let a person in no more")
async def disable_person(call: CallIn, user: str) -> UserAnswer:
    """All sessions and tokens end; keys are refused, too."""
    async with call.change() as session:
        row = await _lock(session, call, user)
        if await disable_user(session, row, call.now_ms):
            await tell_user(session, author_of(call), "disabled", row, at_ms=call.now_ms)
    return UserAnswer.of(describe_user(row))


@router.post("/{user}/enable", _MANAGE, errors=_PROTECTED, summary="Let a person in again")
async def enable_person(call: CallIn, user: str) -> UserAnswer:
    """The person signs in anew."""
    async with call.change() as session:
        row = await _lock(session, call, user)
        if await enable_user(session, row, call.now_ms):
            await tell_user(session, author_of(call), "enabled", row, at_ms=call.now_ms)
    return UserAnswer.of(describe_user(row))


@router.post(
    "/{user}/password-link",
    _MANAGE,
    errors=[*_PROTECTED, NotLocalError, SessionRequiredError],
    summary="Make a link by which a person sets a password",
)
async def make_password_link(call: CallIn, user: str) -> LinkAnswer:
    """Good once, for 30 minutes. By session only: whoever has the link can become that person."""
    if call.caller.kind in {CredentialKind.KEY, CredentialKind.BASIC}:
        raise SessionRequiredError
    async with call.change() as session:
        row = await _lock(session, call, user)
        if row.issuer != LOCAL_ISSUER:
            raise NotLocalError
        token = await make_link(session, row, LinkPurpose.RESET, now_ms=call.now_ms, lives_ms=MAILED_LINK_MS)
        await tell_user(session, author_of(call), "password_link_made", row, at_ms=call.now_ms)
    link = make_link_url(call.parts.settings, token, LinkPurpose.RESET)
    return LinkAnswer(link=link, expires_at=format_timestamp_ms(call.now_ms + MAILED_LINK_MS))


@router.post("/{user}/erase", _MANAGE, status=204, errors=[*_PROTECTED, LastOwnerError], summary="Erase a person")
async def erase_person_for_ever(call: CallIn, user: str) -> Response:
    """For ever: email, name, attributes, identities, keys, sessions, and what the audit log holds of the person. The id stays."""
    async with call.change() as session:
        await bump(session)
        row = await get_user(session, parse_id(user, "usr"), include_deleted=True, is_locked=True)
        await require_over(session, call, row.id)
        await _erase(session, call, row)
    return Response(status_code=204)


@router.get("/{user}/sessions", _READ, errors=[UserNotFoundError], summary="Where a person is signed in")
async def list_sessions_of(call: CallIn, user: str, asked: Annotated[Asked, make_asked(SESSIONS)]) -> Page[SessionAnswer]:
    """Browsers and programs, the latest first."""
    async with call.read() as session:
        row = await get_user(session, parse_id(user, "usr"), include_deleted=True)
    return await show_sessions(call, row.id, asked)


@router.delete("/{user}/sessions", _MANAGE, status=204, errors=_PROTECTED, summary="Sign a person out everywhere")
async def end_sessions_of(call: CallIn, user: str) -> Response:
    """Sessions and tokens are refused from the next request on."""
    async with call.change() as session:
        row = await _lock(session, call, user)
        await end_sessions(session, row)
        await tell_user(session, author_of(call), "signed_out", row, at_ms=call.now_ms)
    return Response(status_code=204)


@router.delete(
    "/{user}/sessions/{session}",
    _MANAGE,
    status=204,
    errors=[*_PROTECTED, SessionNotFoundError],
    summary="End a person's session",
)
async def end_session_of(call: CallIn, user: str, session: str) -> Response:
    """It is refused from the next request on."""
    session_id = parse_id(session, "ses")
    async with call.change() as transaction:
        row = await _lock(transaction, call, user)
        await end_session(transaction, row.id, session_id)
        await record(transaction, call, "session.ended", "session", session_id, workspace_id=INSTALLATION)
    return Response(status_code=204)


@router.get("/{user}/identities", _READ, errors=[UserNotFoundError], summary="Who a person is in other systems")
async def list_identities_of(call: CallIn, user: str, asked: Annotated[Asked, make_asked(IDENTITIES)]) -> Page[IdentityAnswer]:
    """By connector."""
    async with call.read() as session:
        row = await get_user(session, parse_id(user, "usr"), include_deleted=True)
        found = await list_identities(session, row.id)
    rows, following = IDENTITIES.page(found, asked, row.id)
    return Page(data=[IdentityAnswer.of(one) for one in rows], next_cursor=following)


async def _lock(session: AsyncSession, call: Call, user: str) -> UserRow:
    """The person, whom nobody else changes until the transaction ends, and whom the caller may change."""
    await bump(session)
    row = await get_user(session, parse_id(user, "usr"), is_locked=True)
    await require_over(session, call, row.id)
    return row


async def _erase(session: AsyncSession, call: Call, row: UserRow) -> None:
    await erase_user(session, row, call.now_ms)
    await erase_person(session, row.id, at_ms=call.now_ms)
    await tell_user(session, author_of(call), "erased", row, at_ms=call.now_ms)
