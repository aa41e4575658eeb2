"""Which person here a provider's person is."""

from typing import ClassVar, Final

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.identity.assignments import assign_role
from flowforge.identity.emails import make_email_key, read_email
from flowforge.identity.errors_accounts import EmailInvalidError
from flowforge.identity.models_accounts import UserRow
from flowforge.identity.oidc_tokens import Person
from flowforge.identity.owners import list_owner_ids
from flowforge.identity.people import NewPerson, bind_person, create_person, find_local_user, find_person
from flowforge.identity.permissions import OWNER
from flowforge.identity.revocations import bump
from flowforge.identity.user_views import is_active
from flowforge.kit.errors import Detail, NotPermittedError
from flowforge.kit.settings import Settings

_NAME_MAX: Final = 255


class EmailMissingError(NotPermittedError):
    """The provider does not say how to reach the person."""

    code: ClassVar[str] = "FORBIDDEN"

    def __init__(self) -> None:
        message = "The provider tells no email of you; let its administrator give the scope email to this application."
        super().__init__(message, [Detail("", message, "email_missing")])


class PersonDisabledError(NotPermittedError):
    code: ClassVar[str] = "FORBIDDEN"

    def __init__(self) -> None:
        message = "Your account is disabled here; ask an administrator."
        super().__init__(message, [Detail("", message, "user_disabled")])


async def settle_person(
    session: AsyncSession, settings: Settings, person: Person, *, default_role: str, now_ms: int
) -> tuple[UserRow, str]:
    """The person that signs in, and what happened: `known`, `bound` (an unconfirmed person turned out to be this one) or `created`.

    Raises:
        EmailMissingError, EmailTakenError: a new person cannot be made of what the provider says.
        PersonDisabledError: the person may not sign in.
    """
    await bump(session)
    row, what = await _find_or_make(session, person, now_ms)
    if not is_active(row):
        raise PersonDisabledError
    if what == "created" and default_role:
        await assign_role(session, row.id, default_role, at_ms=now_ms, actor="system")
    if _is_first_owner(settings, person) and not await list_owner_ids(session):
        await assign_role(session, row.id, OWNER, at_ms=now_ms, actor="system")
    return row, what


async def _find_or_make(session: AsyncSession, person: Person, now_ms: int) -> tuple[UserRow, str]:
    known = await find_person(session, person.issuer, person.subject)
    if known is not None:
        return known, "known"
    email = _read_email(person)
    if person.is_email_verified:
        waiting = await find_local_user(session, make_email_key(email))
        # Somebody who is confirmed has an account already, and an email that another party vouches for is no key to it.
        if waiting is not None and not waiting.is_confirmed and is_active(waiting):
            await bind_person(session, waiting, person.issuer, person.subject, now_ms)
            return waiting, "bound"
    name = "".join(letter for letter in person.name if letter.isprintable())[:_NAME_MAX].strip()
    made = NewPerson(
        email=email,
        name=name or email.partition("@")[0],
        is_confirmed=True,
        issuer=person.issuer,
        subject=person.subject,
    )
    return await create_person(session, made, now_ms=now_ms, by="system"), "created"


def _read_email(person: Person) -> str:
    try:
        return read_email(person.email or "")
    except EmailInvalidError:
        raise EmailMissingError from None


def _is_first_owner(settings: Settings, person: Person) -> bool:
    wanted = settings.first_owner_email
    return (
        wanted is not None
        and person.email is not None
        and person.is_email_verified
        and make_email_key(person.email) == make_email_key(wanted)
    )
