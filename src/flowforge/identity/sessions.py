"""Sessions: rows of the server, of which the browser holds a random number only. What a row tells of where somebody was is sealed."""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any, Final, cast

from sqlalchemy import CursorResult, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.identity.errors_accounts import SessionNotFoundError
from flowforge.identity.models_accounts import RefreshTokenRow, SessionRow, UserRow
from flowforge.identity.random_secrets import SECRET_LENGTH, digest_secret, draw_secret
from flowforge.identity.revocations import bump
from flowforge.identity.types_accounts import LiveSession, SessionKind, SessionSummary, SignedInSession
from flowforge.identity.user_views import describe_user, is_active
from flowforge.kit.border import decode, encode
from flowforge.kit.keyring import Keyring, Place, Sealed, UnreadableError
from flowforge.kit.settings import Settings
from flowforge.kit.telemetry.logs import get_logger
from flowforge.kit.values import JsonObject
from flowforge.web.calls import Call

_USER_AGENT_MAX_CHARACTERS: Final = 300
_TOUCH_EVERY_MS: Final = 60_000
"""A session's last use is stored at most this often."""
_CSRF: Final = b"flowforge csrf"

logger = get_logger("identity")


async def open_session(session: AsyncSession, call: Call, user: UserRow, *, method: str, user_agent: str = "") -> SignedInSession:
    """A new session of a person, under an id that nobody knew before. `method`: `password`, `link`, `oidc:<provider>`.

    The caller commits, then puts `token` and `csrf` into cookies (`cookies.set_session_cookies`).
    """
    token, expires_at_ms = draw_secret(), call.now_ms + call.parts.settings.session_max_ms
    row, secret = make_session_row(
        call, user, SessionKind.BROWSER, digest=digest_secret(token), method=method, user_agent=user_agent
    )
    row.expires_at = expires_at_ms
    session.add(row)
    user.signed_in_at = call.now_ms
    await session.flush()
    return SignedInSession(row.id, describe_user(user), token, make_csrf_token(secret, row.id), call.now_ms, expires_at_ms)


def make_session_row(
    call: Call, user: UserRow, kind: SessionKind, *, digest: str, method: str, user_agent: str
) -> tuple[SessionRow, str]:
    """A row, whose `expires_at` is to be set, and the secret that its CSRF token is made with."""
    secret = draw_secret()
    told: JsonObject = {
        "secret": secret,
        "method": method,
        "address": call.caller.address,
        "user_agent": user_agent[:_USER_AGENT_MAX_CHARACTERS],
    }
    session_id = call.make_id("ses")
    sealed = call.parts.keyring.seal(encode(told), _place(digest))
    row = SessionRow(
        digest=digest,
        id=session_id,
        user_id=user.id,
        kind=kind,
        epoch=user.epoch,
        key_id=sealed.key_id,
        sealed=sealed.data,
        created_at=call.now_ms,
        used_at=call.now_ms,
        expires_at=0,
    )
    return row, secret


def make_csrf_token(secret: str, session_id: str) -> str:
    """An HMAC over the session, by a secret that only its sealed row has: whoever plants a cookie cannot make the token to it."""
    return hmac.new(secret.encode(), _CSRF + session_id.encode(), hashlib.sha256).hexdigest()


async def find_session(
    session: AsyncSession, keyring: Keyring, settings: Settings, token: str, now_ms: int
) -> tuple[LiveSession, UserRow] | None:
    """The session that a cookie names, and its person; None where there is none that may be used now."""
    if len(token) != SECRET_LENGTH or not token.isascii():
        return None
    found = await _find_row(session, SessionRow.digest == digest_secret(token), SessionKind.BROWSER, now_ms)
    if found is None or now_ms - found[0].used_at >= settings.session_idle_ms:
        return None
    row, user = found
    told = _open(keyring, row)
    if told is None:
        return None
    csrf = make_csrf_token(str(told["secret"]), row.id)
    return LiveSession(row.id, row.user_id, csrf, row.expires_at, row.used_at), user


async def find_token_session(session: AsyncSession, session_id: str, now_ms: int) -> tuple[LiveSession, UserRow] | None:
    """The sign-in that an access token is of, and its person; None where it has ended."""
    found = await _find_row(session, SessionRow.id == session_id, SessionKind.TOKEN, now_ms)
    if found is None:
        return None
    row, user = found
    return LiveSession(row.id, row.user_id, "", row.expires_at, row.used_at), user


async def _find_row(session: AsyncSession, where: Any, kind: SessionKind, now_ms: int) -> tuple[SessionRow, UserRow] | None:
    query = select(SessionRow, UserRow).join(UserRow, UserRow.id == SessionRow.user_id).where(where)
    found = (await session.execute(query)).one_or_none()
    if found is None:
        return None
    row, user = found[0], found[1]
    is_live = row.kind == kind and row.expires_at > now_ms and row.epoch == user.epoch and is_active(user)
    return (row, user) if is_live else None


def needs_touch(live: LiveSession, settings: Settings, now_ms: int) -> bool:
    """Whether the session's last use is to be stored."""
    return now_ms - live.used_at_ms >= min(_TOUCH_EVERY_MS, settings.session_idle_ms // 4)


async def touch_session(session: AsyncSession, session_id: str, now_ms: int) -> None:
    """Stores that the session was used now."""
    await session.execute(
        update(SessionRow)
        .where(SessionRow.id == session_id, SessionRow.used_at < now_ms)
        .values(used_at=now_ms)
        .execution_options(synchronize_session=False)
    )


async def list_sessions(session: AsyncSession, keyring: Keyring, user_id: str, now_ms: int) -> list[SessionSummary]:
    """Those of a person that have not expired, the newest first."""
    query = select(SessionRow).where(SessionRow.user_id == user_id, SessionRow.expires_at > now_ms)
    rows: Sequence[SessionRow] = (await session.scalars(query.order_by(SessionRow.id.desc()))).all()
    return [_summarize(row, _open(keyring, row) or {}) for row in rows]


async def get_own_session(session: AsyncSession, user_id: str, session_id: str) -> SignedInSession:
    """Who is signed in by a session, and until when; its token and its CSRF token are not told again. Raises SessionNotFoundError."""
    query = select(SessionRow, UserRow).join(UserRow, UserRow.id == SessionRow.user_id)
    found = (await session.execute(query.where(SessionRow.id == session_id, SessionRow.user_id == user_id))).one_or_none()
    if found is None:
        raise SessionNotFoundError(session_id)
    row: SessionRow = found[0]
    return SignedInSession(row.id, describe_user(found[1]), "", "", row.created_at, row.expires_at)


async def end_session(session: AsyncSession, user_id: str, session_id: str) -> None:
    """Ends one session of a person: refused from the next request on, and its refresh tokens too.

    Raises:
        SessionNotFoundError: the person has no such session.
    """
    await bump(session)
    statement = delete(SessionRow).where(SessionRow.id == session_id, SessionRow.user_id == user_id)
    gone = await session.execute(statement.execution_options(synchronize_session=False))
    if cast("CursorResult[Any]", gone).rowcount != 1:
        raise SessionNotFoundError(session_id)
    await _end_families(session, RefreshTokenRow.session_id == session_id)


async def end_sessions(session: AsyncSession, user: UserRow, *, but: str = "") -> None:
    """Ends all sessions of a person. Without `but` (a session to keep) also whatever was issued to the person before: tokens and links."""
    await bump(session)
    statement = delete(SessionRow).where(SessionRow.user_id == user.id, SessionRow.id != but)
    await session.execute(statement.execution_options(synchronize_session=False))
    await _end_families(session, RefreshTokenRow.user_id == user.id, RefreshTokenRow.session_id != but)
    if not but:
        user.epoch += 1
    await session.flush()


async def _end_families(session: AsyncSession, *where: Any) -> None:
    await session.execute(delete(RefreshTokenRow).where(*where).execution_options(synchronize_session=False))


async def forget_sessions(session: AsyncSession, before_ms: int) -> None:
    """Removes what has expired."""
    for table in (RefreshTokenRow, SessionRow):
        await session.execute(delete(table).where(table.expires_at < before_ms).execution_options(synchronize_session=False))


def _summarize(row: SessionRow, told: JsonObject) -> SessionSummary:
    return SessionSummary(
        id=row.id,
        kind=row.kind,
        method=str(told.get("method", "")),
        address=str(told.get("address", "")),
        user_agent=str(told.get("user_agent", "")),
        created_at_ms=row.created_at,
        used_at_ms=row.used_at,
        expires_at_ms=row.expires_at,
    )


def _open(keyring: Keyring, row: SessionRow) -> JsonObject | None:
    try:
        told = decode(keyring.open(Sealed(row.key_id, row.sealed), _place(row.digest)))
    except UnreadableError as fault:
        logger.error("A session does not open; it is refused.", alarm="session_corrupt", session=row.id, cause=fault.message)
        return None
    return told if isinstance(told, dict) else None


def _place(digest: str) -> Place:
    return Place(table=SessionRow.__tablename__, row=digest, workspace_id="")
