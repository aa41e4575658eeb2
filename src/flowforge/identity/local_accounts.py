"""Local accounts: registered, their passwords set, forgotten and set anew, and their second factors."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit.service import author_of
from flowforge.identity.emails import make_email_key, read_email
from flowforge.identity.errors_accounts import (
    CodeWrongError,
    LocalAccountsOffError,
    NotLocalError,
    PasswordWrongError,
    RegistrationOffError,
    TotpStateError,
)
from flowforge.identity.letters import queue_letter
from flowforge.identity.links import HANDED_LINK_MS, MAILED_LINK_MS, make_link, make_link_url, spend_link
from flowforge.identity.models_accounts import LOCAL_ISSUER, PasswordRow, UserRow
from flowforge.identity.passwords import PasswordHasher, check_password
from flowforge.identity.people import NewPerson, create_person, find_local_user, find_password
from flowforge.identity.revocations import bump
from flowforge.identity.sessions import end_sessions
from flowforge.identity.telling_users import tell_user
from flowforge.identity.throttling import count_attempt, forgive_attempt, make_mail_scopes, make_scopes
from flowforge.identity.totp import draw_totp_secret, find_totp_step, make_totp_url, seal_totp_secret
from flowforge.identity.types_accounts import LinkPurpose
from flowforge.identity.user_views import is_active
from flowforge.web.calls import Call

_RESET_SUBJECT: Final = "Set your FlowForge password"
_RESET_TEXT: Final = (
    "Somebody, perhaps you, has asked to set the password of your FlowForge account.\n\n"
    "To set it, open this link within 30 minutes. It works once:\n\n{url}\n\n"
    "If it was not you, do nothing: your password stays as it is.\n"
)
_REGISTER_SUBJECT: Final = "Confirm your FlowForge account"
_REGISTER_TEXT: Final = (
    "Somebody, perhaps you, has made a FlowForge account with this email.\n\n"
    "To confirm that it is yours, open this link within a day. It works once:\n\n{url}\n\n"
    "If it was not you, do nothing: nobody can sign in to an account that was not confirmed.\n"
)


async def register(call: Call, email: str, password: str, name: str | None) -> None:
    """Makes an account that nobody can sign in to until the link in a mail was opened. An email that has one gets a mail that says so.

    Raises:
        RegistrationOffError, LocalAccountsOffError: nobody registers here.
        EmailInvalidError, PasswordWeakError: the input is not acceptable.
        RateLimitedError: too many mails were asked for.
    """
    settings = call.parts.settings
    if not settings.registration:
        raise RegistrationOffError
    if not settings.local_accounts:
        raise LocalAccountsOffError
    address = read_email(email)
    check_password(password, address)
    await _count_mail(call, address)
    hashed = await call.port(PasswordHasher).hash(password)
    async with call.change() as session:
        user = await find_local_user(session, make_email_key(address))
        if user is not None:
            await _send_reset(session, call, user)
            return
        person = NewPerson(address, name or address.partition("@")[0])
        user = await create_person(session, person, now_ms=call.now_ms, by="anonymous")
        session.add(PasswordRow(user_id=user.id, hash=hashed, changed_at=call.now_ms))
        await tell_user(
            session, author_of(call), "created", user, at_ms=call.now_ms, after={"email": user.email, "name": user.name}
        )
        token = await make_link(session, user, LinkPurpose.REGISTER, now_ms=call.now_ms, lives_ms=HANDED_LINK_MS)
        text = _REGISTER_TEXT.format(url=make_link_url(settings, token, LinkPurpose.REGISTER))
        await queue_letter(session, call.parts.keyring, to=user.email, subject=_REGISTER_SUBJECT, text=text, now_ms=call.now_ms)


async def ask_for_reset(call: Call, email: str) -> None:
    """Sends a link to set the password, if there is such an account; nobody is told whether.

    Raises:
        LocalAccountsOffError: nobody signs in with a password here.
        EmailInvalidError: it is no email.
        RateLimitedError: too many mails were asked for.
    """
    if not call.parts.settings.local_accounts:
        raise LocalAccountsOffError
    address = read_email(email)
    await _count_mail(call, address)
    async with call.change() as session:
        user = await find_local_user(session, make_email_key(address))
        await _send_reset(session, call, user)


async def _count_mail(call: Call, address: str) -> None:
    async with call.change() as session:
        await count_attempt(session, make_mail_scopes(make_email_key(address), call.caller.address), call.now_ms)


async def _send_reset(session: AsyncSession, call: Call, user: UserRow | None) -> None:
    keyring, to, text = call.parts.keyring, "", _RESET_TEXT
    if user is not None and is_active(user):
        to = user.email
        token = await make_link(session, user, LinkPurpose.RESET, now_ms=call.now_ms, lives_ms=MAILED_LINK_MS)
        text = _RESET_TEXT.format(url=make_link_url(call.parts.settings, token, LinkPurpose.RESET))
    await queue_letter(session, keyring, to=to, subject=_RESET_SUBJECT, text=text, now_ms=call.now_ms)


async def confirm_reset(session: AsyncSession, call: Call, token: str, password: str, hashed: str) -> UserRow:
    """Sets the password by the link of a mail. All sessions of the person end, and the email is confirmed.

    Raises:
        LinkInvalidError: the link is not good.
        PasswordWeakError: the password holds the email; the link stays good.
    """
    user = await spend_link(session, token, frozenset({LinkPurpose.RESET}), call.now_ms)
    check_password(password, user.email)
    await end_sessions(session, user)
    user.is_confirmed = True
    await store_password(session, user, hashed, call.now_ms)
    return user


async def change_password(call: Call, user_id: str, current: str | None, password: str) -> str:
    """The hash of a new password, once the present one was proven; counted as a sign-in is.

    Raises:
        NotLocalError: the person signs in by a provider.
        PasswordWeakError, PasswordWrongError, RateLimitedError
    """
    async with call.read() as session:
        user = await session.get(UserRow, user_id)
        stored = await find_password(session, user_id)
    if user is None or user.issuer != LOCAL_ISSUER:
        raise NotLocalError
    check_password(password, user.email)
    if stored is not None and stored.hash is not None:
        await prove_present_password(call, user, stored, current)
    return await call.port(PasswordHasher).hash(password)


async def prove_present_password(call: Call, user: UserRow, stored: PasswordRow | None, current: str | None) -> None:
    """Raises PasswordWrongError, or RateLimitedError where it was wrong too often."""
    scopes = make_scopes(user.email_key, call.caller.address)
    async with call.change() as session:
        await count_attempt(session, scopes, call.now_ms)
    is_right, _ = await call.port(PasswordHasher).verify(current or "", None if stored is None else stored.hash)
    if not is_right:
        raise PasswordWrongError
    async with call.change() as session:
        await forgive_attempt(session, scopes, call.now_ms)


async def store_password(session: AsyncSession, user: UserRow, hashed: str, now_ms: int) -> None:
    """Puts a hash where the person's was."""
    stored = await session.get(PasswordRow, user.id, with_for_update=True)
    if stored is None:
        session.add(PasswordRow(user_id=user.id, hash=hashed, changed_at=now_ms))
    else:
        stored.hash, stored.changed_at = hashed, now_ms
    await bump(session)
    await session.flush()


async def begin_totp(session: AsyncSession, call: Call, user: UserRow) -> tuple[str, str]:
    """A new secret and its `otpauth:` address; it counts once `finish_totp` has seen a code of it. Raises TotpStateError, NotLocalError."""
    stored = await session.get(PasswordRow, user.id, with_for_update=True)
    if user.issuer != LOCAL_ISSUER:
        raise NotLocalError
    if stored is None:
        stored = PasswordRow(user_id=user.id, changed_at=call.now_ms)
        session.add(stored)
    if stored.totp_since is not None:
        raise TotpStateError("Your second factor is on; switch it off first to set up another.")
    secret = draw_totp_secret()
    seal_totp_secret(stored, secret, call.parts.keyring)
    await session.flush()
    return secret, make_totp_url(secret, user.email)


async def finish_totp(session: AsyncSession, call: Call, user: UserRow, code: str) -> None:
    """From now on sign-ins need a code. Raises TotpStateError, CodeWrongError."""
    stored = await session.get(PasswordRow, user.id, with_for_update=True)
    if stored is None or stored.totp_sealed is None or stored.totp_since is not None:
        raise TotpStateError("Ask for a secret first, without a code.")
    step = find_totp_step(stored, code, call.parts.keyring, call.now_ms)
    if step is None:
        raise CodeWrongError
    stored.totp_since, stored.totp_step = call.now_ms, step
    await session.flush()


async def remove_totp(session: AsyncSession, user_id: str) -> bool:
    """Sign-ins need no code any more. False where that was so."""
    stored = await session.get(PasswordRow, user_id, with_for_update=True)
    if stored is None or stored.totp_sealed is None:
        return False
    was_on = stored.totp_since is not None
    stored.totp_key_id = stored.totp_sealed = stored.totp_since = None
    await session.flush()
    return was_on
