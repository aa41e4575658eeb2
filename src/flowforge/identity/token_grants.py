"""Signing in for a program: an access token, and a refresh token that gets the next pair. Used twice, a refresh token ends its family."""

from dataclasses import dataclass
from typing import Any, Final, cast

from sqlalchemy import CursorResult, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.identity.access_tokens import ACCESS_TOKEN_MS, AccessTokens
from flowforge.identity.errors_accounts import SessionNotFoundError
from flowforge.identity.models_accounts import RefreshTokenRow, SessionRow, UserRow
from flowforge.identity.random_secrets import digest_secret, draw_secret
from flowforge.identity.sessions import end_session, find_token_session, make_token_row
from flowforge.identity.types_accounts import TokenPair
from flowforge.web.calls import Call

REFRESH_TOKEN_MS: Final = 30 * 86_400_000
_MOST_CHARACTERS: Final = 100


@dataclass(frozen=True, slots=True)
class FamilyEnded:
    """A refresh token came a second time, and its family has ended: commit that, then refuse."""

    user_id: str
    session_id: str


async def grant_tokens(session: AsyncSession, call: Call, user: UserRow, *, method: str, user_agent: str) -> TokenPair:
    """The first pair of a new sign-in."""
    row = make_token_row(call, user, method=method, user_agent=user_agent)
    row.expires_at = call.now_ms + REFRESH_TOKEN_MS
    session.add(row)
    user.signed_in_at = call.now_ms
    return await _make_pair(session, call, user, row.id)


async def refresh_tokens(session: AsyncSession, call: Call, refresh_token: str) -> TokenPair | FamilyEnded | None:
    """The next pair. None: the token is not good. FamilyEnded: it came a second time."""
    row = await _find(session, refresh_token)
    if row is None or row.expires_at <= call.now_ms:
        return None
    found = await find_token_session(session, row.session_id, call.now_ms)
    if found is None:
        return None
    statement = (
        update(RefreshTokenRow)
        .where(RefreshTokenRow.digest == row.digest, RefreshTokenRow.used_at.is_(None))
        .values(used_at=call.now_ms)
        .execution_options(synchronize_session=False)
    )
    if cast("CursorResult[Any]", await session.execute(statement)).rowcount != 1:
        await end_session(session, row.user_id, row.session_id)
        return FamilyEnded(row.user_id, row.session_id)
    await session.execute(
        update(SessionRow)
        .where(SessionRow.id == row.session_id)
        .values(used_at=call.now_ms, expires_at=call.now_ms + REFRESH_TOKEN_MS)
        .execution_options(synchronize_session=False)
    )
    return await _make_pair(session, call, found[1], row.session_id)


async def revoke_tokens(session: AsyncSession, refresh_token: str) -> RefreshTokenRow | None:
    """Ends the family of a refresh token; the row that it had. None, and nothing happens, where it is none of ours (RFC 7009, 2.2)."""
    row = await _find(session, refresh_token)
    if row is None:
        return None
    try:
        await end_session(session, row.user_id, row.session_id)
    except SessionNotFoundError:
        return None
    return row


async def _make_pair(session: AsyncSession, call: Call, user: UserRow, session_id: str) -> TokenPair:
    refresh_token = draw_secret()
    session.add(
        RefreshTokenRow(
            digest=digest_secret(refresh_token),
            session_id=session_id,
            user_id=user.id,
            created_at=call.now_ms,
            expires_at=call.now_ms + REFRESH_TOKEN_MS,
        )
    )
    await session.flush()
    access_token = call.port(AccessTokens).make(user.id, session_id, user.epoch, call.make_id("tok"), call.now_ms)
    return TokenPair(access_token, refresh_token, ACCESS_TOKEN_MS // 1000, session_id, user.id)


async def _find(session: AsyncSession, refresh_token: str) -> RefreshTokenRow | None:
    if len(refresh_token) > _MOST_CHARACTERS:
        return None
    query = select(RefreshTokenRow).where(RefreshTokenRow.digest == digest_secret(refresh_token))
    return (await session.scalars(query)).one_or_none()
