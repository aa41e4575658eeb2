"""`/me`: one's own profile, sessions, password and second factor."""

from typing import Annotated, Any, Final, cast

from fastapi import Response
from pydantic import Field, field_validator
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit.service import INSTALLATION, author_of, record
from flowforge.identity.endpoints.forms_accounts import (
    Code,
    Password,
    SessionAnswer,
    UserAnswer,
    merge_attributes,
)
from flowforge.identity.errors_accounts import (
    CodeWrongError,
    ForeignWorkspaceError,
    NotLocalError,
    PasswordWeakError,
    PasswordWrongError,
    SessionNotFoundError,
    TotpStateError,
)
from flowforge.identity.lists import SESSIONS
from flowforge.identity.local_accounts import (
    begin_totp,
    change_password,
    finish_totp,
    prove_present_password,
    remove_totp,
    store_password,
)
from flowforge.identity.models_accounts import UserRow
from flowforge.identity.people import change_user, find_password, get_user
from flowforge.identity.rights import list_places
from flowforge.identity.sessions import end_session, end_sessions, list_sessions
from flowforge.identity.telling_users import tell_user
from flowforge.identity.user_views import describe_user
from flowforge.identity.workspaces import find_workspace
from flowforge.kit.ids import parse_id
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.web.bodies import Answer, Body, JsonField, Title
from flowforge.web.callers import SESSION, SIGNED_IN
from flowforge.web.calls import Call, CallIn
from flowforge.web.lists import Asked, Page
from flowforge.web.queries import make_asked
from flowforge.web.routing import Router

router: Final = Router("me", "/me")


class ChangeBody(Body):
    """JSON Merge Patch: what is left out stays; null takes an attribute, or the default workspace, away."""

    name: Title = Field(default="", examples=["Anna Berg"])
    default_workspace: str | None = Field(default=None, max_length=100, description="By id or name.", examples=["finance"])
    attributes: JsonField = Field(default_factory=dict, description="An object of anything worth knowing of the person.")

    @field_validator("attributes")
    @classmethod
    def check_attributes(cls, value: Any) -> Any:
        if not isinstance(value, dict) or len(cast("JsonObject", value)) > 100:
            raise ValueError("attributes is an object of at most 100 fields")
        return cast("JsonObject", value)


class PasswordBody(Body):
    """`current_password` is required where there is one."""

    password: Password
    current_password: Password | None = None


class ProofBody(Body):
    current_password: Password


class TotpBody(Body):
    """Without `code`: a new secret is made. With a code of it, the second factor is on."""

    code: Code | None = None
    current_password: Password | None = Field(default=None, description="Required to begin, where there is one.")


class TotpAnswer(Answer):
    """`secret` and `url` are shown once, when the secret is made."""

    enabled: bool
    secret: str | None = Field(default=None, examples=["JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"])
    url: str | None = Field(default=None, description="For the authenticator's picture: `otpauth://…`.")


@router.get("", SIGNED_IN, summary="Who you are")
async def show_me(call: CallIn) -> UserAnswer:
    """The person of this session, token or key."""
    async with call.read() as session:
        return UserAnswer.of(describe_user(await get_user(session, call.caller.user_id or "")))


@router.patch("", SESSION, errors=[ForeignWorkspaceError], summary="Change your profile")
async def change_me(call: CallIn, body: ChangeBody) -> UserAnswer:
    """Your name, your default workspace, your attributes."""
    async with call.change() as session:
        user = await get_user(session, call.caller.user_id or "", is_locked=True)
        changes = await read_changes(session, user, body)
        before: dict[str, JsonValue] = {name: getattr(user, name) for name in changes}
        await change_user(session, user, changes, call.now_ms)
        after: dict[str, JsonValue] = {name: getattr(user, name) for name in changes}
        await tell_user(session, author_of(call), "updated", user, at_ms=call.now_ms, before=before, after=after)
    return UserAnswer.of(describe_user(user))


async def read_changes(session: AsyncSession, user: UserRow, body: ChangeBody) -> dict[str, str | JsonObject | None]:
    """The columns that a body changes. Raises ForeignWorkspaceError where it names a workspace that the person may not see."""
    changes: dict[str, str | JsonObject | None] = {}
    if "name" in body.model_fields_set:
        changes["name"] = body.name
    if "attributes" in body.model_fields_set:
        changes["attributes"] = merge_attributes(describe_user(user).attributes, body.attributes)
    if "default_workspace" in body.model_fields_set:
        changes["workspace_id"] = await _find_workspace_id(session, user, body.default_workspace)
    return changes


async def _find_workspace_id(session: AsyncSession, user: UserRow, named: str | None) -> str | None:
    if named is None:
        return None
    row, known = await find_workspace(session, named), await list_places(session, user.id)
    if row is None or (known is not None and row.id not in known):
        raise ForeignWorkspaceError(named)
    return row.id


@router.get("/sessions", SESSION, summary="Where you are signed in")
async def list_own_sessions(call: CallIn, asked: Annotated[Asked, make_asked(SESSIONS)]) -> Page[SessionAnswer]:
    """Browsers and programs, the latest first."""
    return await show_sessions(call, call.caller.user_id or "", asked)


async def show_sessions(call: Call, user_id: str, asked: Asked) -> Page[SessionAnswer]:
    """The sessions of a person."""
    rows, following = SESSIONS.page(await list_sessions(call, user_id), asked, user_id)
    return Page(data=[SessionAnswer.of(row, call.caller.credential) for row in rows], next_cursor=following)


@router.delete("/sessions", SESSION, status=204, summary="Sign out everywhere")
async def end_own_sessions(call: CallIn) -> Response:
    """This one, too. Access and refresh tokens and links that were made before are refused from the next request on."""
    async with call.change() as session:
        user = await get_user(session, call.caller.user_id or "", is_locked=True)
        await end_sessions(session, user)
        await tell_user(session, author_of(call), "signed_out", user, at_ms=call.now_ms)
    return Response(status_code=204)


@router.delete("/sessions/{session}", SESSION, status=204, errors=[SessionNotFoundError], summary="End one of your sessions")
async def end_own_session(call: CallIn, session: str) -> Response:
    """It is refused from the next request on."""
    session_id = parse_id(session, "ses")
    async with call.change() as transaction:
        await end_session(transaction, call.caller.user_id or "", session_id)
        await record(transaction, call, "session.ended", "session", session_id, workspace_id=INSTALLATION)
    return Response(status_code=204)


@router.put(
    "/password",
    SESSION,
    status=204,
    errors=[NotLocalError, PasswordWeakError, PasswordWrongError],
    summary="Change your password",
)
async def change_own_password(call: CallIn, body: PasswordBody) -> Response:
    """Your other sessions end; this one stays."""
    user_id = call.caller.user_id or ""
    hashed = await change_password(call, user_id, body.current_password, body.password)
    async with call.change() as session:
        user = await get_user(session, user_id, is_locked=True)
        await end_sessions(session, user, but=call.caller.credential.partition(":")[2])
        await store_password(session, user, hashed, call.now_ms)
        await tell_user(session, author_of(call), "password_changed", user, at_ms=call.now_ms)
    return Response(status_code=204)


@router.post(
    "/totp",
    SESSION,
    errors=[TotpStateError, NotLocalError, CodeWrongError, PasswordWrongError],
    summary="Set up a second factor",
)
async def set_up_totp(call: CallIn, body: TotpBody) -> TotpAnswer:
    """First without `code`, for a secret to put into an authenticator; then with a code that it shows."""
    if body.code is None:
        await _prove(call, body.current_password)
    async with call.change() as session:
        user = await get_user(session, call.caller.user_id or "", is_locked=True)
        if body.code is None:
            secret, url = await begin_totp(session, call, user)
            return TotpAnswer(enabled=False, secret=secret, url=url)
        await finish_totp(session, call, user, body.code)
        await tell_user(session, author_of(call), "totp_enabled", user, at_ms=call.now_ms)
    return TotpAnswer(enabled=True)


@router.delete("/totp", SESSION, status=204, errors=[PasswordWrongError], summary="Switch your second factor off")
async def switch_totp_off(call: CallIn, body: ProofBody) -> Response:
    """Your password proves that it is you."""
    await _prove(call, body.current_password)
    async with call.change() as session:
        user = await get_user(session, call.caller.user_id or "", is_locked=True)
        if await remove_totp(session, user.id):
            await tell_user(session, author_of(call), "totp_disabled", user, at_ms=call.now_ms)
    return Response(status_code=204)


async def _prove(call: Call, current: str | None) -> None:
    async with call.read() as session:
        user = await get_user(session, call.caller.user_id or "")
        stored = await find_password(session, user.id)
    if stored is not None and stored.hash is not None:
        await prove_present_password(call, user, stored, current)
