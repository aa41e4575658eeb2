"""People: looked up, made, changed, disabled, deleted, brought back, and erased."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.identity.emails import make_email_key, read_email
from flowforge.identity.errors_accounts import EmailTakenError, OwnersOnlyError, UserNotFoundError, UserStateError
from flowforge.identity.models_accounts import (
    LOCAL_ISSUER,
    NOT_DELETED_MS,
    ApiKeyRow,
    ExternalIdentityRow,
    KeyUsageRow,
    OneTimeLinkRow,
    PasswordRow,
    RefreshTokenRow,
    SessionRow,
    UserRow,
)
from flowforge.identity.owners import keep_owner, list_owner_ids
from flowforge.identity.revocations import bump
from flowforge.identity.sessions import end_sessions
from flowforge.kit.border import encode
from flowforge.kit.ids import is_id, make_id
from flowforge.kit.values import JsonObject
from flowforge.web.calls import Call
from flowforge.web.selecting import Selection

ERASED_NAME: Final = "Erased person"
_ERASED_DOMAIN: Final = "erased.invalid"


@dataclass(frozen=True, slots=True)
class NewPerson:
    """A person to make. `is_confirmed`: it is known that the email is the person's own."""

    email: str
    name: str
    is_confirmed: bool = False
    issuer: str = LOCAL_ISSUER
    subject: str | None = None


async def find_local_user(session: AsyncSession, email_key: str) -> UserRow | None:
    """The person without provider who has this email, whatever its state but deleted."""
    query = select(UserRow).where(
        UserRow.issuer == LOCAL_ISSUER, UserRow.email_key == email_key, UserRow.deleted_at == NOT_DELETED_MS
    )
    return (await session.scalars(query)).one_or_none()


async def find_person(session: AsyncSession, issuer: str, subject: str) -> UserRow | None:
    """The person whom a provider knows under this subject."""
    query = select(UserRow).where(UserRow.issuer == issuer, UserRow.subject == subject, UserRow.deleted_at == NOT_DELETED_MS)
    return (await session.scalars(query)).one_or_none()


async def find_password(session: AsyncSession, user_id: str) -> PasswordRow | None:
    """The password and second factor of a person."""
    return await session.get(PasswordRow, user_id)


async def get_user(session: AsyncSession, subject: str, *, include_deleted: bool = False, is_locked: bool = False) -> UserRow:
    """A person by id, or by email among those without provider. Raises UserNotFoundError."""
    query = select(UserRow)
    if is_id(subject, "usr"):
        query = query.where(UserRow.id == subject)
    else:
        query = query.where(UserRow.issuer == LOCAL_ISSUER, UserRow.email_key == make_email_key(subject))
    if not include_deleted:
        query = query.where(UserRow.deleted_at == NOT_DELETED_MS)
    if is_locked:
        query = query.with_for_update().execution_options(populate_existing=True)
    row = (await session.scalars(query.order_by(UserRow.deleted_at.desc()).limit(1))).one_or_none()
    if row is None:
        raise UserNotFoundError(subject)
    return row


async def list_users(session: AsyncSession, selection: Selection, *, include_deleted: bool = False) -> Sequence[UserRow]:
    query = select(UserRow)
    if not include_deleted:
        query = query.where(UserRow.deleted_at == NOT_DELETED_MS)
    return (await session.scalars(selection.narrow(query))).all()


async def create_person(session: AsyncSession, person: NewPerson, *, now_ms: int, by: str) -> UserRow:
    """A new person, without rights and without password.

    Raises:
        EmailInvalidError: the email is none.
        EmailTakenError: a living person of the same issuer has it.
    """
    email = read_email(person.email)
    email_key = make_email_key(email)
    row = UserRow(
        id=make_id("usr"),
        issuer=person.issuer,
        subject=person.subject or email_key,
        email=email,
        email_key=email_key,
        name=person.name,
        is_confirmed=person.is_confirmed,
        created_at=now_ms,
        created_by=by,
        updated_at=now_ms,
    )
    session.add(row)
    await _store(session, email)
    return row


async def bind_person(session: AsyncSession, row: UserRow, issuer: str, subject: str, now_ms: int) -> None:
    """An unconfirmed person turns out to be a provider's: from now on the provider alone vouches.

    Whatever somebody may have set up under the email before (a password, sessions, links) is void.
    """
    await end_sessions(session, row)
    await session.execute(delete(PasswordRow).where(PasswordRow.user_id == row.id))
    row.issuer, row.subject, row.is_confirmed, row.updated_at = issuer, subject, True, now_ms
    await _store(session, row.email)


async def change_user(session: AsyncSession, row: UserRow, changes: Mapping[str, str | JsonObject | None], now_ms: int) -> None:
    """`changes`: new values of `name`, `workspace_id`, `attributes`, and (of people without provider) `email`.

    Raises:
        EmailInvalidError, EmailTakenError: the email cannot be had.
        UserStateError: a provider says what the email is.
    """
    await bump(session)
    for field, value in changes.items():
        if field == "email":
            _change_email(row, str(value))
        elif field == "attributes":
            row.attributes = encode(value).decode()
        else:
            setattr(row, field, value)
    row.updated_at = now_ms
    await _store(session, row.email)


def _change_email(row: UserRow, text: str) -> None:
    if row.issuer != LOCAL_ISSUER:
        raise UserStateError("The email of this person is what the provider says; change it there.", "not_local")
    email = read_email(text)
    row.email, row.email_key = email, make_email_key(email)
    row.subject = row.email_key


async def require_over(session: AsyncSession, call: Call, user_id: str) -> None:
    """Raises OwnersOnlyError where somebody who is no owner would change an owner's account."""
    owners = await list_owner_ids(session)
    if user_id in owners and call.caller.user_id not in owners:
        raise OwnersOnlyError


async def disable_user(session: AsyncSession, row: UserRow, now_ms: int) -> bool:
    """The person cannot sign in or act any more, from the next request on. False where that was so. Raises LastOwnerError."""
    if row.disabled_at is not None:
        return False
    async with keep_owner(session):
        row.disabled_at = row.updated_at = now_ms
        await end_sessions(session, row)
    return True


async def enable_user(session: AsyncSession, row: UserRow, now_ms: int) -> bool:
    """The person may sign in again. False where that was so."""
    if row.disabled_at is None:
        return False
    await bump(session)
    row.disabled_at, row.updated_at = None, now_ms
    await session.flush()
    return True


async def delete_user(session: AsyncSession, row: UserRow, now_ms: int) -> None:
    """The person is gone, and can be restored. Raises LastOwnerError."""
    async with keep_owner(session):
        await end_sessions(session, row)
        row.deleted_at, row.updated_at = await _find_moment(session, row, now_ms), now_ms


async def _find_moment(session: AsyncSession, row: UserRow, now_ms: int) -> int:
    """When the person was deleted; later than others who had the same email or subject, so that each stays one of a kind."""
    same = or_(UserRow.subject == row.subject, UserRow.email_key == row.email_key)
    query = select(func.max(UserRow.deleted_at)).where(UserRow.issuer == row.issuer, UserRow.deleted_at != NOT_DELETED_MS, same)
    return max(now_ms, (await session.scalar(query) or 0) + 1)


async def restore_user(session: AsyncSession, row: UserRow, now_ms: int) -> None:
    """Brings a deleted person back, as it was.

    Raises:
        UserStateError: the person was erased (`user_erased`).
        EmailTakenError: another has the email by now.
    """
    if row.erased_at is not None:
        raise UserStateError("This person was erased, and nothing is left to restore.", "user_erased")
    await bump(session)
    row.deleted_at, row.updated_at = NOT_DELETED_MS, now_ms
    await _store(session, row.email)


async def erase_user(session: AsyncSession, row: UserRow, now_ms: int) -> None:
    """Removes for ever what tells who the person is; the id stays, for what the person did. Raises LastOwnerError."""
    async with keep_owner(session):
        await end_sessions(session, row)
        row.email = row.email_key = f"{row.id}@{_ERASED_DOMAIN}"
        row.issuer, row.subject, row.name, row.attributes = LOCAL_ISSUER, row.email, ERASED_NAME, "{}"
        row.upstream_issuer = row.upstream_id = row.signed_in_at = None
        row.erased_at = row.updated_at = now_ms
        row.disabled_at = row.disabled_at or now_ms
        if row.deleted_at == NOT_DELETED_MS:
            row.deleted_at = now_ms
        keys = select(ApiKeyRow.id).where(ApiKeyRow.user_id == row.id)
        await session.execute(
            delete(KeyUsageRow).where(KeyUsageRow.key_id.in_(keys)).execution_options(synchronize_session=False)
        )
        for table in (PasswordRow, SessionRow, RefreshTokenRow, OneTimeLinkRow, ApiKeyRow, ExternalIdentityRow):
            await session.execute(delete(table).where(table.user_id == row.id).execution_options(synchronize_session=False))


async def _store(session: AsyncSession, email: str) -> None:
    try:
        await session.flush()
    except IntegrityError as fault:
        raise EmailTakenError(email) from fault
