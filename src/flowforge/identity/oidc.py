"""Sign-in by an OpenID Connect provider: authorization code flow with PKCE (RFC 6749, RFC 7636, RFC 9207)."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from flowforge.audit.service import INSTALLATION, Author, record_as
from flowforge.identity.models_accounts import UserRow
from flowforge.identity.oidc_calls import CodeRefusedError, Discovery, ProviderCalls, ProviderFailedError, Tokens
from flowforge.identity.oidc_people import settle_person
from flowforge.identity.oidc_providers import Providers
from flowforge.identity.oidc_settings import Provider
from flowforge.identity.oidc_state import UNDER_WAY_MS, SignInState, read_next
from flowforge.identity.oidc_tokens import (
    Person,
    TokenRefusedError,
    complete_person,
    read_issuer,
    read_key_id,
    verify_access_token,
    verify_id_token,
)
from flowforge.identity.people import find_person
from flowforge.identity.sessions import beginning, open_session
from flowforge.identity.types_accounts import SignedInSession
from flowforge.identity.user_views import is_active
from flowforge.kit.clock import Clock
from flowforge.kit.database.session import Database
from flowforge.kit.settings import Settings
from flowforge.kit.telemetry.logs import get_logger
from flowforge.kit.values import JsonObject
from flowforge.web.calls import Call
from flowforge.web.errors import BadRequestError, NotSignedInError

_SCOPE: Final = "openid email profile"

logger = get_logger("identity")


class ProviderRefusedError(NotSignedInError):
    """The provider, or what it has sent, does not prove who somebody is (401)."""

    def __init__(self) -> None:
        super().__init__("The sign-in was not confirmed by the provider; sign in again.", reason="provider_refused")


@dataclass(frozen=True, slots=True)
class Return:
    """What the browser brings back from the provider. None: it is not there."""

    code: str | None
    issuer: str | None
    error: str | None


def make_redirect_uri(settings: Settings, provider: Provider) -> str:
    """Where the provider sends the browser back to: by our settings, whatever a request says."""
    base = settings.public_url or f"http://127.0.0.1:{settings.port}"
    return f"{base}/api/v1/auth/oidc/{provider.name}/callback"


async def begin_sign_in(call: Call, name: str, following: str | None) -> tuple[SignInState, str]:
    """The sign-in to remember, and the provider's page to go to.

    Raises:
        ProviderNotFoundError, ProviderFailedError: it cannot begin.
    """
    providers = call.port(Providers)
    provider = await providers.get_provider(name)
    discovery = await providers.discover(provider)
    state = SignInState(provider.name, read_next(following), call.now_ms + UNDER_WAY_MS)
    asked = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": make_redirect_uri(call.parts.settings, provider),
        "scope": _SCOPE,
        "state": state.state,
        "nonce": state.nonce,
        "code_challenge": state.challenge,
        "code_challenge_method": "S256",
    }
    separator = "&" if "?" in discovery.authorization_endpoint else "?"
    return state, f"{discovery.authorization_endpoint}{separator}{urlencode(asked)}"


async def finish_sign_in(call: Call, state: SignInState, returned: Return, *, user_agent: str) -> SignedInSession:
    """A session for whom the provider vouches for. `state` is spent already.

    Raises:
        ProviderNotFoundError: it was taken away meanwhile.
        ProviderRefusedError: it does not vouch, or what came is not from it.
        ProviderFailedError: it cannot be asked.
        EmailMissingError, EmailTakenError, PersonDisabledError: the person may not sign in here.
    """
    providers = call.port(Providers)
    provider = await providers.get_provider(state.provider)
    discovery = await providers.discover(provider)
    _check_issuer(discovery, returned.issuer)
    if returned.error is not None:
        raise ProviderRefusedError
    if not returned.code:
        raise BadRequestError("The provider has sent no code.", reason="code_missing", field="code")
    person = await _ask_person(call, provider, discovery, state, returned.code)
    default_role, method = await providers.find_default_role(), f"oidc:{provider.name}"
    async with beginning(call, method, user_agent) as new, call.change() as session:
        row, what = await settle_person(session, call, person, default_role=default_role)
        opened = await open_session(session, call, row, new)
        told: JsonObject = {"method": method, "person": what, "session_id": opened.id}
        author = _make_author(call, row, opened)
        await record_as(session, author, "user.signed_in", "user", row.id, after=told, workspace_id=INSTALLATION)
    return opened


async def _ask_person(call: Call, provider: Provider, discovery: Discovery, state: SignInState, code: str) -> Person:
    providers = call.port(Providers)
    try:
        tokens = await providers.calls.exchange_code(
            provider,
            discovery,
            code=code,
            verifier=state.verifier,
            redirect_uri=make_redirect_uri(call.parts.settings, provider),
        )
        token = tokens.id_token
        keys = await providers.find_keys(provider, read_key_id(token))
        now_s = call.now_ms // 1000
        person = verify_id_token(token, keys, discovery, client_id=provider.client_id, nonce=state.nonce, now_s=now_s)
        return await _complete(providers.calls, provider, discovery, tokens, person)
    except CodeRefusedError:
        raise ProviderRefusedError from None
    except TokenRefusedError as fault:
        logger.warning("A provider's ID token was refused.", provider=provider.name, cause=str(fault))
        raise ProviderRefusedError from None


async def _complete(calls: ProviderCalls, provider: Provider, discovery: Discovery, tokens: Tokens, person: Person) -> Person:
    """Some providers put the email into no ID token, and tell it at their userinfo endpoint only."""
    if person.email is not None or discovery.userinfo_endpoint is None or tokens.access_token is None:
        return person
    try:
        claims = await calls.fetch_claims(provider, discovery.userinfo_endpoint, tokens.access_token)
    except ProviderFailedError as fault:
        # Who is known here needs no email to be let in.
        logger.warning("A provider did not say more of a person.", provider=provider.name, cause=fault.message)
        return person
    return complete_person(person, claims)


def _check_issuer(discovery: Discovery, given: str | None) -> None:
    """Another provider's answer must not be taken for this one's (RFC 9207)."""
    if given is None and not discovery.names_issuer:
        return
    if given != discovery.issuer:
        raise ProviderRefusedError


def _make_author(call: Call, row: UserRow, opened: SignedInSession) -> Author:
    return Author(
        actor=f"user:{row.id}",
        credential=f"session:{opened.id}",
        address=call.caller.address,
        request_id=call.request_id,
        at_ms=call.now_ms,
        keyring=call.parts.keyring,
    )


class ProviderAccessTokens:
    """Access tokens of providers as credentials, where they have an audience (OIDC_AUDIENCE): what the gate asks."""

    def __init__(self, providers: Providers, database: Database, clock: Clock) -> None:
        self._providers = providers
        self._database = database
        self._clock = clock

    async def find_person(self, token: str) -> tuple[str, int] | None:
        """The id of the person whom a provider's token names, and when it expires (ms); None: it is not good.

        Nobody becomes a person here by a token alone: the first sign-in is made in the browser.

        Raises:
            ProviderFailedError: the provider's keys cannot be had.
        """
        issuer = read_issuer(token)
        provider = await self._find_provider(issuer)
        if provider is None or provider.audience is None:
            return None
        discovery = await self._providers.discover(provider)
        try:
            keys = await self._providers.find_keys(provider, read_key_id(token))
            now_s = self._clock.now_ms() // 1000
            subject, expires_at_s = verify_access_token(token, keys, discovery, audience=provider.audience, now_s=now_s)
        except TokenRefusedError:
            return None
        async with self._database.read() as session:
            row = await find_person(session, discovery.issuer, subject)
        return None if row is None or not is_active(row) else (row.id, expires_at_s * 1000)

    async def _find_provider(self, issuer: str | None) -> Provider | None:
        if issuer is None:
            return None
        for provider in await self._providers.list_providers():
            if provider.issuer.rstrip("/") == issuer.rstrip("/"):
                return provider
        return None
