"""Links that are good once, for a short time: to sign in, to set a password, to confirm an account."""

import hmac
from typing import Any, Final, cast

from sqlalchemy import CursorResult, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.identity.errors_accounts import LinkInvalidError
from flowforge.identity.models_accounts import NOT_DELETED_MS, OneTimeLinkRow, UserRow
from flowforge.identity.random_secrets import SECRET_LENGTH, digest_secret, draw_secret
from flowforge.identity.types_accounts import LinkPurpose
from flowforge.kit.settings import Settings

SIGN_IN_LINK_MS: Final = 10 * 60_000
"""Of the link that `up` prints."""
HANDED_LINK_MS: Final = 24 * 3_600_000
"""Of a link that an operator makes and passes on."""
MAILED_LINK_MS: Final = 30 * 60_000
SIGN_IN_PATH: Final = "/sign-in"
_FRAGMENTS: Final = {LinkPurpose.SIGN_IN: "token", LinkPurpose.RESET: "reset", LinkPurpose.REGISTER: "confirm"}
"""What the page does with a token: it sends `token` at once, and the others, which come by mail, when somebody asks it to."""


def make_link_url(settings: Settings, token: str, purpose: LinkPurpose) -> str:
    """The address of a link: below PUBLIC_URL, or on this machine; never what a request says.

    The token is in the part that browsers send to no server.
    """
    base = settings.public_url or f"http://127.0.0.1:{settings.port}"
    name = _FRAGMENTS[purpose]
    return f"{base}{SIGN_IN_PATH}#{name}={token}"


async def make_link(session: AsyncSession, user: UserRow, purpose: LinkPurpose, *, now_ms: int, lives_ms: int) -> str:
    """The token of a new link; it is stored only as a digest. Links of the same purpose that were made before are void."""
    await session.execute(
        delete(OneTimeLinkRow)
        .where(OneTimeLinkRow.user_id == user.id, OneTimeLinkRow.purpose == purpose, OneTimeLinkRow.used_at.is_(None))
        .execution_options(synchronize_session=False)
    )
    token = draw_secret()
    session.add(
        OneTimeLinkRow(
            digest=digest_secret(token),
            purpose=purpose,
            user_id=user.id,
            epoch=user.epoch,
            created_at=now_ms,
            expires_at=now_ms + lives_ms,
        )
    )
    await session.flush()
    return token


async def spend_link(session: AsyncSession, token: str, purposes: frozenset[LinkPurpose], now_ms: int) -> UserRow:
    """The person of a link, which is good no more from now on.

    Raises:
        LinkInvalidError: it is not good: used, expired, unknown, of another purpose, or its person may not sign in.
    """
    if len(token) != SECRET_LENGTH or not token.isascii():
        raise LinkInvalidError
    digest = digest_secret(token)
    row = await session.get(OneTimeLinkRow, digest)
    if row is None or not hmac.compare_digest(row.digest, digest) or row.purpose not in purposes:
        raise LinkInvalidError
    statement = (
        update(OneTimeLinkRow)
        .where(OneTimeLinkRow.digest == digest, OneTimeLinkRow.used_at.is_(None), OneTimeLinkRow.expires_at > now_ms)
        .values(used_at=now_ms)
        .execution_options(synchronize_session=False)
    )
    # Of two that come at once one changes the row.
    if cast("CursorResult[Any]", await session.execute(statement)).rowcount != 1:
        raise LinkInvalidError
    user = (await session.scalars(select(UserRow).where(UserRow.id == row.user_id).with_for_update())).one_or_none()
    if user is None or user.deleted_at != NOT_DELETED_MS or user.disabled_at is not None or user.epoch != row.epoch:
        raise LinkInvalidError
    return user


async def forget_links(session: AsyncSession, before_ms: int) -> None:
    """Removes links that have expired."""
    await session.execute(
        delete(OneTimeLinkRow).where(OneTimeLinkRow.expires_at < before_ms).execution_options(synchronize_session=False)
    )
