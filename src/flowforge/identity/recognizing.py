"""From a credential to the person behind it, by what the database says now."""

from dataclasses import dataclass, field
from typing import Protocol

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.identity.access_tokens import AccessTokens
from flowforge.identity.credentials import SentCredential
from flowforge.identity.keys import find_key, read_key_permissions
from flowforge.identity.models_accounts import ApiKeyRow, SessionRow, UserRow
from flowforge.identity.session_contents import SessionContents
from flowforge.identity.sessions import find_session, find_token_session, needs_touch, read_session
from flowforge.identity.types_accounts import LiveSession
from flowforge.identity.user_views import is_active
from flowforge.kit.database.session import Sessions
from flowforge.kit.keyring import Keyring
from flowforge.kit.settings import Settings
from flowforge.web.callers import Caller, CredentialKind


class ProviderTokens(Protocol):
    """Access tokens of OpenID Connect providers (OIDC_AUDIENCE), where those are taken as credentials."""

    async def find_person(self, token: str) -> tuple[str, int] | None:
        """The id of the person whom a provider's token names, and when it expires (ms); None: it is not good."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """Whose credential it is, and what it allows.

    `workspace_id`, `permissions`: a key's; None: not bound by it. `csrf`: what a browser's changes must bring; None for what no browser
    sends by itself. `touch`: the session whose use is to be stored.
    """

    user_id: str
    kind: CredentialKind
    credential: str
    tier: str
    expires_at_ms: int
    workspace_id: str | None = None
    permissions: frozenset[str] | None = None
    csrf: str | None = field(default=None, repr=False)
    touch: SessionRow | None = field(default=None, repr=False)


class Recognizer:
    """Looks credentials up. `providers`: None where only our own tokens are taken."""

    def __init__(
        self,
        settings: Settings,
        keyring: Keyring,
        tokens: AccessTokens,
        contents: SessionContents,
        providers: ProviderTokens | None = None,
    ) -> None:
        self._settings = settings
        self._contents = contents
        self._keyring = keyring
        self._tokens = tokens
        self._providers = providers

    async def find_known(self, sessions: Sessions, sent: SentCredential, now_ms: int) -> Known | None:
        """Whoever sent a session, a key or a token; None: it is not good, and nobody is told why.

        Raises:
            StorageError: what is to be known of it cannot be asked for now.
        """
        match sent.kind:
            case CredentialKind.KEY:
                async with sessions() as session:
                    return await self._find_by_key(session, sent.text, now_ms)
            case CredentialKind.SESSION:
                return await self._find_by_session(sessions, sent.text, now_ms)
            case CredentialKind.TOKEN:
                async with sessions() as session:
                    return await self._find_by_token(session, sent.text, now_ms)
            case CredentialKind.BASIC | CredentialKind.NONE:
                return None

    async def is_still_good(self, session: AsyncSession, caller: Caller, now_ms: int) -> bool:
        """Whether a caller who was admitted some time ago could come again with the same credential: for streams that stay open."""
        user = await session.get(UserRow, caller.user_id or "")
        if user is None or not is_active(user):
            return False
        _, _, row_id = caller.credential.partition(":")
        if caller.kind is CredentialKind.KEY:
            key = await session.get(ApiKeyRow, row_id)
            return key is not None and key.revoked_at is None and key.expires_at > now_ms
        if not row_id.startswith("ses_"):
            return True
        # An open stream is a use of its session: idleness does not end it.
        query = select(SessionRow.digest).where(
            SessionRow.id == row_id, SessionRow.expires_at > now_ms, SessionRow.epoch == user.epoch
        )
        return await session.scalar(query) is not None

    async def _find_by_key(self, session: AsyncSession, text: str, now_ms: int) -> Known | None:
        found = await find_key(session, text, now_ms) if self._settings.api_keys else None
        if found is None or not is_active(found[1]):
            return None
        row, user = found
        return Known(
            user_id=user.id,
            kind=CredentialKind.KEY,
            credential=f"key:{row.id}",
            tier=row.tier or self._settings.rate_tier,
            expires_at_ms=row.expires_at,
            workspace_id=row.workspace_id,
            permissions=read_key_permissions(row),
        )

    async def _find_by_session(self, sessions: Sessions, text: str, now_ms: int) -> Known | None:
        async with sessions() as session:
            row = await find_session(session, text, now_ms)
        live = None if row is None else await read_session(self._contents, self._keyring, self._settings, row, now_ms)
        if row is None or live is None:
            return None
        ends_at_ms = min(live.expires_at_ms, live.used_at_ms + self._settings.session_idle_ms)
        return Known(
            user_id=live.user_id,
            kind=CredentialKind.SESSION,
            credential=f"session:{live.id}",
            tier=self._settings.rate_tier,
            expires_at_ms=ends_at_ms,
            csrf=live.csrf,
            touch=row if needs_touch(live, self._settings, now_ms) else None,
        )

    async def _find_by_token(self, session: AsyncSession, text: str, now_ms: int) -> Known | None:
        claims = self._tokens.read(text, now_ms)
        if claims is None:
            return await self._find_by_provider(session, text)
        found = await find_token_session(session, claims.session_id, now_ms)
        if found is None or found[1].id != claims.user_id or found[1].epoch != claims.epoch:
            return None
        row = found[0]
        live = LiveSession(row.id, row.user_id, "", row.expires_at, row.used_at)
        return Known(
            user_id=live.user_id,
            kind=CredentialKind.TOKEN,
            credential=f"token:{live.id}",
            tier=self._settings.rate_tier,
            expires_at_ms=claims.expires_at_s * 1000,
            touch=row if needs_touch(live, self._settings, now_ms) else None,
        )

    async def _find_by_provider(self, session: AsyncSession, text: str) -> Known | None:
        found = None if self._providers is None else await self._providers.find_person(text)
        if found is None:
            return None
        user_id, expires_at_ms = found
        user = await session.get(UserRow, user_id)
        if user is None or not is_active(user):
            return None
        return Known(user_id, CredentialKind.TOKEN, "token:provider", self._settings.rate_tier, expires_at_ms)
