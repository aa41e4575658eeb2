"""`/auth`: signing in and out, with cookies for browsers and with tokens for programs."""

from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from fastapi import Request, Response
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit.service import INSTALLATION, record, record_as
from flowforge.identity.cookies import clear_session_cookies, set_session_cookies
from flowforge.identity.csrf import check_origin
from flowforge.identity.endpoints.forms_accounts import USER_AGENT, Code, Email, Password, SignedInAnswer, Token
from flowforge.identity.errors_accounts import (
    CodeRequiredError,
    LinkInvalidError,
    LocalAccountsOffError,
    RefreshInvalidError,
    RegistrationOffError,
    SessionRequiredError,
    SignInFailedError,
)
from flowforge.identity.links import spend_link
from flowforge.identity.local_accounts import ask_for_reset, confirm_reset, register
from flowforge.identity.models_accounts import UserRow
from flowforge.identity.oidc_providers import Providers
from flowforge.identity.passwords import PasswordHasher, check_password
from flowforge.identity.sessions import NewSession, beginning, end_session, get_own_session, open_session
from flowforge.identity.signing_in import finish_sign_in, make_author, prove_password, record_sign_in
from flowforge.identity.telling_users import tell_user
from flowforge.identity.token_grants import FamilyEnded, grant_tokens, refresh_tokens, revoke_tokens
from flowforge.identity.types_accounts import LinkPurpose, SignedInSession, TokenPair
from flowforge.kit.signing import SigningKeys
from flowforge.web.answers import make_json
from flowforge.web.bodies import Answer, Body, Title
from flowforge.web.callers import OPEN, SESSION, CredentialKind
from flowforge.web.calls import Call, CallIn
from flowforge.web.errors import CsrfError
from flowforge.web.routing import Router

router: Final = Router("auth", "/auth")
key_router: Final = Router("auth", "/.well-known", is_root=True)

_SIGN_IN: Final = frozenset({LinkPurpose.SIGN_IN, LinkPurpose.REGISTER})


class LoginBody(Body):
    """`code`: of the second factor, where the account has one."""

    email: Email
    password: Password
    code: Code | None = None


class LinkBody(Body):
    token: Token = Field(description="The token behind `#token=` of a one-time link.")


class RegisterBody(Body):
    email: Email
    password: Password
    name: Title | None = Field(default=None, examples=["Anna Berg"])


class ResetBody(Body):
    email: Email


class ConfirmBody(Body):
    token: Token = Field(description="The token behind `#reset=` of the link in the mail.")
    password: Password


class RefreshBody(Body):
    refresh_token: Token


class AcceptedAnswer(Answer):
    """The same for everybody, whether there is such an account or not."""

    message: str = Field(examples=["If there is such an account, a mail is on its way."])


class ProviderAnswer(Answer):
    """`GET /auth/oidc/{name}/login` begins a sign-in by it."""

    name: str = Field(examples=["default"])
    title: str = Field(examples=["Single sign-on"])


class ConfigAnswer(Answer):
    local_accounts: bool = Field(description="People may sign in with email and password.")
    registration: bool = Field(description="Whoever comes may make an account.")
    providers: list[ProviderAnswer]


class TokenAnswer(Answer):
    """`access_token` goes behind `Authorization: Bearer`; `refresh_token` gets the next pair, once."""

    access_token: str
    refresh_token: str
    token_type: str = Field(default="Bearer")
    expires_in_seconds: int = Field(examples=[900])

    @classmethod
    def of(cls, pair: TokenPair) -> "TokenAnswer":
        return cls(access_token=pair.access_token, refresh_token=pair.refresh_token, expires_in_seconds=pair.expires_in_s)


class KeySetAnswer(Answer):
    """A JSON Web Key Set (RFC 7517)."""

    keys: list[dict[str, str]]


@router.get("/config", OPEN, summary="How people sign in here")
async def show_config(call: CallIn) -> ConfigAnswer:
    """What a sign-in page needs to know."""
    settings, providers = call.parts.settings, call.parts.ports.get(Providers)
    known = await providers.list_providers() if isinstance(providers, Providers) else ()
    return ConfigAnswer(
        local_accounts=settings.local_accounts,
        registration=settings.registration and settings.local_accounts,
        providers=[ProviderAnswer(name=provider.name, title=provider.title) for provider in known],
    )


@router.post(
    "/login",
    OPEN,
    errors=[SignInFailedError, CodeRequiredError, LocalAccountsOffError, CsrfError],
    summary="Sign in with email and password",
)
async def log_in(call: CallIn, request: Request, body: LoginBody) -> SignedInAnswer:
    """Begins a session, whose two cookies come with the answer. 401 says the same whatever was wrong; `code_required`: send `code`, too."""
    check_origin(request, call.parts.settings)
    proof = await prove_password(call, body.email, body.password, body.code)
    async with _beginning(call, request, "password") as new, call.change() as session:
        user = await finish_sign_in(session, call, proof)
        begun = await _begin(session, call, user, new)
    set_session_cookies(request, call.parts.settings, begun)
    return SignedInAnswer.of(begun)


@router.post("/link", OPEN, errors=[LinkInvalidError, CsrfError], summary="Sign in with a one-time link")
async def use_link(call: CallIn, request: Request, body: LinkBody) -> SignedInAnswer:
    """Used, expired and unknown links get one and the same answer."""
    check_origin(request, call.parts.settings)
    async with _beginning(call, request, "link") as new, call.change() as session:
        user = await spend_link(session, body.token, _SIGN_IN, call.now_ms)
        user.is_confirmed = True
        begun = await _begin(session, call, user, new)
    set_session_cookies(request, call.parts.settings, begun)
    return SignedInAnswer.of(begun)


@router.post("/logout", SESSION, status=204, summary="Sign out")
async def log_out(call: CallIn, request: Request) -> Response:
    """Ends the session (or the sign-in that the access token is of), and takes the cookies away."""
    session_id = _name_session(call)
    async with call.change() as session:
        await end_session(session, call.caller.user_id or "", session_id)
        await record(session, call, "session.ended", "session", session_id, workspace_id=INSTALLATION)
    if call.caller.kind is CredentialKind.SESSION:
        clear_session_cookies(request, call.parts.settings)
    return Response(status_code=204)


@router.get("/session", SESSION, summary="Who is signed in")
async def show_session(call: CallIn) -> SignedInAnswer:
    """The person of this session, and when it ends at the latest."""
    async with call.read() as session:
        return SignedInAnswer.of(await get_own_session(session, call.caller.user_id or "", _name_session(call)))


@router.post("/session/extend", SESSION, errors=[SessionRequiredError], summary="Begin the session anew")
async def extend_session(call: CallIn, request: Request) -> SignedInAnswer:
    """Another session takes the place of this one, with new cookies, and lasts from now on."""
    if call.caller.kind is not CredentialKind.SESSION:
        raise SessionRequiredError
    async with _beginning(call, request, "extended") as new, call.change() as session:
        user_id, session_id = call.caller.user_id or "", _name_session(call)
        present = await get_own_session(session, user_id, session_id)
        await end_session(session, user_id, session_id)
        user = await session.get_one(UserRow, present.user.id)
        begun = await _begin(session, call, user, new)
    set_session_cookies(request, call.parts.settings, begun)
    return SignedInAnswer.of(begun)


@router.post(
    "/register",
    OPEN,
    status=202,
    errors=[RegistrationOffError, LocalAccountsOffError, CsrfError],
    summary="Make an account for yourself",
)
async def register_account(call: CallIn, request: Request, body: RegisterBody) -> AcceptedAnswer:
    """Only where REGISTRATION is on. The account is good once the link in the mail was opened, and has no role."""
    check_origin(request, call.parts.settings)
    await register(call, body.email, body.password, body.name)
    return AcceptedAnswer(message="A mail is on its way; open the link in it.")


@router.post(
    "/password-reset", OPEN, status=202, errors=[LocalAccountsOffError, CsrfError], summary="Ask for a link to set your password"
)
async def ask_for_password_reset(call: CallIn, request: Request, body: ResetBody) -> AcceptedAnswer:
    """The link is good for 30 minutes, once."""
    check_origin(request, call.parts.settings)
    await ask_for_reset(call, body.email)
    return AcceptedAnswer(message="If there is such an account, a mail is on its way.")


@router.post(
    "/password-reset/confirm",
    OPEN,
    status=204,
    errors=[LinkInvalidError, LocalAccountsOffError, CsrfError],
    summary="Set your password by a link",
)
async def confirm_password_reset(call: CallIn, request: Request, body: ConfirmBody) -> Response:
    """All sessions of the account end; sign in with the new password."""
    check_origin(request, call.parts.settings)
    if not call.parts.settings.local_accounts:
        raise LocalAccountsOffError
    check_password(body.password, "")
    hashed = await call.port(PasswordHasher).hash(body.password)
    async with call.change() as session:
        user = await confirm_reset(session, call, body.token, body.password, hashed)
        await tell_user(session, make_author(call, user.id), "password_reset", user, at_ms=call.now_ms)
    return Response(status_code=204)


@router.post(
    "/token",
    OPEN,
    errors=[SignInFailedError, CodeRequiredError, LocalAccountsOffError, CsrfError],
    summary="Sign a program in with email and password",
)
async def grant_token(call: CallIn, request: Request, body: LoginBody) -> TokenAnswer:
    """An access token for 15 minutes, and a refresh token for 30 days."""
    check_origin(request, call.parts.settings)
    proof = await prove_password(call, body.email, body.password, body.code)
    async with call.change() as session:
        user = await finish_sign_in(session, call, proof)
        pair = await grant_tokens(session, call, user, method="password", user_agent=request.headers.get(USER_AGENT, ""))
        await record_sign_in(session, call, user.id, pair.session_id, "password")
    return TokenAnswer.of(pair)


@router.post("/refresh", OPEN, errors=[RefreshInvalidError, CsrfError], summary="Get the next pair of tokens")
async def refresh(call: CallIn, request: Request, body: RefreshBody) -> TokenAnswer:
    """Each refresh token is good once. One that comes again ends the whole sign-in: somebody else has it, too."""
    check_origin(request, call.parts.settings)
    async with call.change() as session:
        found = await refresh_tokens(session, call, body.refresh_token)
        if isinstance(found, FamilyEnded):
            author = make_author(call, None)
            reason = {"reason": "refresh token used twice", "user_id": found.user_id}
            await record_as(
                session, author, "session.ended", "session", found.session_id, after=reason, workspace_id=INSTALLATION
            )
    if not isinstance(found, TokenPair):
        raise RefreshInvalidError
    return TokenAnswer.of(found)


@router.post("/revoke", OPEN, status=204, errors=[CsrfError], summary="Sign a program out")
async def revoke(call: CallIn, request: Request, body: RefreshBody) -> Response:
    """Ends the sign-in of this refresh token: access tokens of it are refused from the next request on. 204 also for an unknown one."""
    check_origin(request, call.parts.settings)
    async with call.change() as session:
        row = await revoke_tokens(session, body.refresh_token)
        if row is not None:
            author = make_author(call, row.user_id, row.session_id)
            await record_as(session, author, "session.ended", "session", row.session_id, workspace_id=INSTALLATION)
    return Response(status_code=204)


@key_router.get("/jwks.json", OPEN, response_model=KeySetAnswer, summary="The keys that we sign with")
async def list_signing_keys(call: CallIn) -> Response:
    """Public keys, for whoever wants to check our access tokens and audit checkpoints."""
    keys: list[Any] = call.port(SigningKeys).list_public_jwks()
    return make_json({"keys": keys}, headers={"cache-control": "public, max-age=300"})


def _beginning(call: Call, request: Request, method: str) -> AbstractAsyncContextManager[NewSession]:
    return beginning(call, method, request.headers.get(USER_AGENT, ""))


async def _begin(session: AsyncSession, call: Call, user: UserRow, new: NewSession) -> SignedInSession:
    begun = await open_session(session, call, user, new)
    await record_sign_in(session, call, user.id, begun.id, new.method)
    return begun


def _name_session(call: Call) -> str:
    return call.caller.credential.partition(":")[2]
