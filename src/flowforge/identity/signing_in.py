"""Signing in with email and password: counted, compared, and only then a session or tokens.

Nobody learns from the answer or from the time that it takes whether there is an account: an unknown email costs the same hash, the same
transactions and the same sentence.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit.service import INSTALLATION, Author, record_as
from flowforge.identity.emails import make_email_key
from flowforge.identity.errors_accounts import CodeRequiredError, LocalAccountsOffError, SignInFailedError
from flowforge.identity.models_accounts import PasswordRow, UserRow
from flowforge.identity.passwords import PasswordHasher
from flowforge.identity.people import find_local_user, find_password
from flowforge.identity.throttling import count_attempt, forgive_attempt, make_scopes, take_back_attempt
from flowforge.identity.totp import find_totp_step
from flowforge.identity.user_views import is_active
from flowforge.kit.values import JsonValue
from flowforge.web.calls import Call

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Proof:
    """A person has proven to be who he says: to be finished in the transaction that begins the session (`finish_sign_in`)."""

    user_id: str
    scopes: Mapping[str, int]
    new_hash: str | None
    totp_step: int | None


async def prove_password(call: Call, email: str, password: str, code: str | None) -> Proof:
    """Whose email and password these are. Two transactions of its own: the attempt is counted, and its failure recorded.

    Raises:
        RateLimitedError: too many have failed, of this account or from this address.
        SignInFailedError: one of them is not right, or the person may not sign in.
        CodeRequiredError: they are right, and the account has a second factor whose code was not sent.
        LocalAccountsOffError: nobody signs in with a password here.
    """
    if not call.parts.settings.local_accounts:
        raise LocalAccountsOffError
    email_key = make_email_key(email.strip())
    scopes = make_scopes(email_key, call.caller.address)
    async with call.change() as session:
        await count_attempt(session, scopes, call.now_ms)
    async with call.read() as session:
        user = await find_local_user(session, email_key)
        stored = None if user is None else await find_password(session, user.id)
    is_right, new_hash = await call.port(PasswordHasher).verify(password, None if stored is None else stored.hash)
    if not is_right or user is None or stored is None or not is_active(user) or not user.is_confirmed:
        await _record_failure(call, None if user is None else user.id)
        raise SignInFailedError
    if stored.totp_since is None:
        return Proof(user.id, scopes, new_hash, None)
    if code is None:
        async with call.change() as session:
            await take_back_attempt(session, scopes, call.now_ms)
        raise CodeRequiredError
    step = find_totp_step(stored, code, call.parts.keyring, call.now_ms)
    if step is None:
        await _record_failure(call, user.id)
        raise SignInFailedError
    return Proof(user.id, scopes, new_hash, step)


async def finish_sign_in(session: AsyncSession, call: Call, proof: Proof) -> UserRow:
    """The person, whom the attempt is not counted against any more. Begin the session in the same transaction.

    Raises:
        SignInFailedError: the person was disabled, or the code was used, at the same moment.
    """
    query = select(UserRow).where(UserRow.id == proof.user_id).with_for_update().execution_options(populate_existing=True)
    user = (await session.scalars(query)).one_or_none()
    stored = await session.get(PasswordRow, proof.user_id, with_for_update=True, populate_existing=True)
    if user is None or stored is None or not is_active(user):
        raise SignInFailedError
    if proof.totp_step is not None:
        if proof.totp_step <= stored.totp_step:
            raise SignInFailedError
        stored.totp_step = proof.totp_step
    if proof.new_hash is not None:
        stored.hash = proof.new_hash
    await forgive_attempt(session, proof.scopes, call.now_ms)
    return user


def make_author(call: Call, user_id: str | None, session_id: str = "") -> Author:
    """Who signs in, for the audit log: the call itself is nobody's yet."""
    return Author(
        actor="anonymous" if user_id is None else f"user:{user_id}",
        credential=f"session:{session_id}" if session_id else "",
        address=call.caller.address,
        request_id=call.request_id,
        at_ms=call.now_ms,
        keyring=call.parts.keyring,
    )


async def record_sign_in(session: AsyncSession, call: Call, user_id: str, session_id: str, method: str) -> None:
    """One row of the audit log: a session has begun."""
    author = make_author(call, user_id, session_id)
    after: dict[str, JsonValue] = {"user_id": user_id, "method": method}
    await record_as(session, author, "session.created", "session", session_id, after=after, workspace_id=INSTALLATION)


async def _record_failure(call: Call, user_id: str | None) -> None:
    call.parts.metrics.server.sign_in_failures.inc()
    async with call.change() as session:
        author = make_author(call, None)
        subject = user_id or UNKNOWN
        await record_as(session, author, "user.sign_in_failed", "user", subject, workspace_id=INSTALLATION)
