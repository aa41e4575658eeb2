"""Sessions: rows of the server, of which the browser holds a random number only. What tells of where somebody was is sealed.

That content is kept where `session_contents` says.
"""

import hashlib
import hmac
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, cast

from sqlalchemy import CursorResult, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.identity.errors_accounts import SessionNotFoundError
from flowforge.identity.models_accounts import RefreshTokenRow, SessionRow, UserRow
from flowforge.identity.random_secrets import SECRET_LENGTH, digest_secret, draw_secret
from flowforge.identity.revocations import bump
from flowforge.identity.session_contents import Kept, SessionContents
from flowforge.identity.types_accounts import LiveSession, SessionKind, SessionSummary, SignedInSession
from flowforge.identity.user_views import describe_user, is_active
from flowforge.kit.border import decode, encode
from flowforge.kit.errors import StorageError
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


@dataclass(frozen=True, slots=True)
class NewSession:
    """One that is about to begin: what the browser will hold, and what its row will. `method`: `password`, `link`, `oidc:<provider>`."""

    id: str
    token: str = field(repr=False)
    csrf: str = field(repr=False)
    in_row: Sealed = field(repr=False)
    method: str


@asynccontextmanager
async def beginning(call: Call, method: str, user_agent: str) -> AsyncGenerator[NewSession]:
    """Keeps what a session will hold; taken back where the block, in whose transaction it begins (`open_session`), fails.

    Raises:
        StorageError: it cannot be kept: nobody is signed in, and nothing was used up.
    """
    token, contents = draw_secret(), call.port(SessionContents)
    digest, session_id = digest_secret(token), call.make_id("ses")
    sealed, secret = _seal(call, digest, method, user_agent)
    in_row = await contents.keep(digest, sealed, call.now_ms)
    try:
        yield NewSession(session_id, token, make_csrf_token(secret, session_id), in_row, method)
    except BaseException:
        # What is left is sealed, of no row, and gone after SESSION_IDLE.
        with suppress(StorageError):
            await contents.drop(digest)
        raise


async def open_session(session: AsyncSession, call: Call, user: UserRow, new: NewSession) -> SignedInSession:
    """A new session of a person, under an id that nobody knew before.

    The caller commits, then puts `token` and `csrf` into cookies (`cookies.set_session_cookies`).
    """
    expires_at_ms = call.now_ms + call.parts.settings.session_max_ms
    row = _make_row(call, user, SessionKind.BROWSER, new.id, digest_secret(new.token), new.in_row)
    row.expires_at = expires_at_ms
    session.add(row)
    user.signed_in_at = call.now_ms
    await session.flush()
    return SignedInSession(row.id, describe_user(user), new.token, new.csrf, call.now_ms, expires_at_ms)


def make_token_row(call: Call, user: UserRow, *, method: str, user_agent: str) -> SessionRow:
    """The row of a program's sign-in, whose `expires_at` is to be set; nobody holds what its digest is of."""
    digest = digest_secret(draw_secret())
    sealed, _ = _seal(call, digest, method, user_agent)
    return _make_row(call, user, SessionKind.TOKEN, call.make_id("ses"), digest, sealed)


def _seal(call: Call, digest: str, method: str, user_agent: str) -> tuple[Sealed, str]:
    """What a session holds, and the secret in it that its CSRF token is made with."""
    secret = draw_secret()
    told: JsonObject = {
        "secret": secret,
        "method": method,
        "address": call.caller.address,
        "user_agent": user_agent[:_USER_AGENT_MAX_CHARACTERS],
    }
    return call.parts.keyring.seal(encode(told), _place(digest)), secret


def _make_row(call: Call, user: UserRow, kind: SessionKind, session_id: str, digest: str, in_row: Sealed) -> SessionRow:
    return SessionRow(
        digest=digest,
        id=session_id,
        user_id=user.id,
        kind=kind,
        epoch=user.epoch,
        key_id=in_row.key_id,
        sealed=in_row.data,
        created_at=call.now_ms,
        used_at=call.now_ms,
        expires_at=0,
    )


def make_csrf_token(secret: str, session_id: str) -> str:
    """An HMAC over the session, by a secret that only its sealed row has: whoever plants a cookie cannot make the token to it."""
    return hmac.new(secret.encode(), _CSRF + session_id.encode(), hashlib.sha256).hexdigest()


async def find_session(session: AsyncSession, token: str, now_ms: int) -> SessionRow | None:
    """The row of the session that a cookie names; None where there is none. Whether it may be used its content says (`read_session`)."""
    if len(token) != SECRET_LENGTH or not token.isascii():
        return None
    found = await _find_row(session, SessionRow.digest == digest_secret(token), SessionKind.BROWSER, now_ms)
    return None if found is None else found[0]


async def read_session(
    contents: SessionContents, keyring: Keyring, settings: Settings, row: SessionRow, now_ms: int
) -> LiveSession | None:
    """The session of a row; None where it may not be used any more.

    Raises:
        StorageError: what it holds cannot be asked for now.
    """
    kept = (await contents.find([row])).get(row.digest)
    if kept is None or now_ms - kept.used_at_ms >= settings.session_idle_ms:
        return None
    told = _open(keyring, row, kept)
    if told is None:
        return None
    return LiveSession(row.id, row.user_id, make_csrf_token(str(told["secret"]), row.id), row.expires_at, kept.used_at_ms)


async def find_token_session(session: AsyncSession, session_id: str, now_ms: int) -> tuple[SessionRow, UserRow] | None:
    """The sign-in that an access token is of, and its person; None where it has ended."""
    return await _find_row(session, SessionRow.id == session_id, SessionKind.TOKEN, now_ms)


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


async def list_sessions(call: Call, user_id: str) -> list[SessionSummary]:
    """Those of a person that have not expired, the newest first.

    Raises:
        StorageError: what they hold cannot be asked for now.
    """
    query = select(SessionRow).where(SessionRow.user_id == user_id, SessionRow.expires_at > call.now_ms)
    async with call.read() as session:
        rows = (await session.scalars(query.order_by(SessionRow.id.desc()))).all()
    kept = await call.port(SessionContents).find(rows)
    return [_summarize(call.parts.keyring, row, kept[row.digest]) for row in rows if row.digest in kept]


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


def _summarize(keyring: Keyring, row: SessionRow, kept: Kept) -> SessionSummary:
    told = _open(keyring, row, kept) or {}
    return SessionSummary(
        id=row.id,
        kind=row.kind,
        method=str(told.get("method", "")),
        address=str(told.get("address", "")),
        user_agent=str(told.get("user_agent", "")),
        created_at_ms=row.created_at,
        used_at_ms=kept.used_at_ms,
        expires_at_ms=row.expires_at,
    )


def _open(keyring: Keyring, row: SessionRow, kept: Kept) -> JsonObject | None:
    try:
        told = decode(keyring.open(kept.sealed, _place(row.digest)))
    except UnreadableError as fault:
        logger.error("A session does not open; it is refused.", alarm="session_corrupt", session=row.id, cause=fault.message)
        return None
    return told if isinstance(told, dict) else None


def _place(digest: str) -> Place:
    return Place(table=SessionRow.__tablename__, row=digest, workspace_id="")
