"""Failed sign-ins: 10 of an account or 20 of an address within a minute, then nobody gets in there for a while, doubling to 15 minutes.

They are counted in the database, so that all processes count together, and before the password is looked at, so that a hundred tried at
once are a hundred. A sign-in that succeeds takes its own count back.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.identity.models_accounts import SignInFailureRow
from flowforge.web.errors import RateLimitedError

ACCOUNT_FAILURES_MAX: Final = 10
ADDRESS_FAILURES_MAX: Final = 20
MAILS_MAX: Final = 5
_WINDOW_MS: Final = 60_000
_BLOCK_MS: Final = 60_000
_BLOCK_MAX_MS: Final = 15 * 60_000
_FORGET_AFTER_MS: Final = 60 * 60_000
"""A row that was not touched for so long counts for nothing any more."""


def make_scopes(email_key: str, address: str) -> dict[str, int]:
    """What is counted in one attempt, with how many failures each may have. Stored as digests: the table tells nobody who tries."""
    return {_name("account", email_key): ACCOUNT_FAILURES_MAX, _name("address", address): ADDRESS_FAILURES_MAX}


def make_mail_scopes(email_key: str, address: str) -> dict[str, int]:
    """What is counted where somebody asks for a mail: so that nobody fills another's mailbox."""
    return {_name("mail", email_key): MAILS_MAX, _name("mails", address): ADDRESS_FAILURES_MAX}


def _name(kind: str, what: str) -> str:
    return f"{kind}:{hashlib.sha256(what.encode()).hexdigest()[:40]}"


async def count_attempt(session: AsyncSession, scopes: Mapping[str, int], now_ms: int) -> None:
    """Counts an attempt as failed until `forgive_attempt`. Commit it before the password is looked at.

    Raises:
        RateLimitedError: one of the scopes is blocked; nothing is counted.
    """
    # In one order, so that two attempts never wait for each other.
    rows = [await _lock(session, scope, now_ms) for scope in sorted(scopes)]
    blocked_until = max(row.blocked_until for row in rows)
    if blocked_until > now_ms:
        raise RateLimitedError(-(-(blocked_until - now_ms) // 1000))
    for row in rows:
        _count(row, scopes[row.scope], now_ms)
    await session.flush()


def _count(row: SignInFailureRow, most: int, now_ms: int) -> None:
    if now_ms - row.since >= _WINDOW_MS:
        if now_ms - row.since >= _FORGET_AFTER_MS:
            row.strikes = 0
        row.since, row.failures = now_ms, 0
    row.failures += 1
    if row.failures >= most:
        row.blocked_until = now_ms + min(_BLOCK_MS << min(row.strikes, 10), _BLOCK_MAX_MS)
        row.strikes += 1
        row.since, row.failures = now_ms, 0


async def forgive_attempt(session: AsyncSession, scopes: Mapping[str, int], now_ms: int) -> None:
    """The attempt succeeded: the account begins anew, the address has one failure less."""
    for scope in sorted(scopes):
        row = await _lock(session, scope, now_ms)
        if scope.startswith("account:"):
            row.failures = row.strikes = row.blocked_until = 0
        elif row.failures:
            row.failures -= 1
        elif row.blocked_until > now_ms:
            # This attempt was the one that filled the measure, and was none of a stranger.
            row.blocked_until, row.strikes, row.failures = 0, max(row.strikes - 1, 0), ADDRESS_FAILURES_MAX - 1
    await session.flush()


async def take_back_attempt(session: AsyncSession, scopes: Mapping[str, int], now_ms: int) -> None:
    """The attempt was right as far as it went. Failures before it still count: whoever knows a password may be guessing codes."""
    for scope in sorted(scopes):
        row = await _lock(session, scope, now_ms)
        row.failures = max(row.failures - 1, 0)
    await session.flush()


async def forget_failures(session: AsyncSession, before_ms: int) -> None:
    """Removes what counts for nothing any more."""
    await session.execute(
        delete(SignInFailureRow)
        .where(SignInFailureRow.since < before_ms - _FORGET_AFTER_MS)
        .execution_options(synchronize_session=False)
    )


async def _lock(session: AsyncSession, scope: str, now_ms: int) -> SignInFailureRow:
    query = select(SignInFailureRow).where(SignInFailureRow.scope == scope).with_for_update()
    query = query.execution_options(populate_existing=True)
    row = (await session.scalars(query)).one_or_none()
    if row is not None:
        return row
    fresh = SignInFailureRow(scope=scope, since=now_ms, failures=0, strikes=0, blocked_until=0)
    try:
        async with session.begin_nested():
            session.add(fresh)
    except IntegrityError:
        return (await session.scalars(query)).one()
    return fresh
