"""Which person here a provider's person is."""

from dataclasses import replace
from typing import ClassVar, Final

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit.service import INSTALLATION, Author, author_of, record_as
from flowforge.identity.assignments import assign_role
from flowforge.identity.emails import make_email_key, read_email
from flowforge.identity.errors_accounts import EmailInvalidError
from flowforge.identity.models_accounts import UserRow
from flowforge.identity.oidc_tokens import Person
from flowforge.identity.owners import list_owner_ids
from flowforge.identity.people import NewPerson, bind_person, create_person, find_local_user, find_person
from flowforge.identity.permissions import OWNER
from flowforge.identity.revocations import bump
from flowforge.identity.telling_users import tell_user
from flowforge.identity.user_views import is_active
from flowforge.kit.errors import Detail, NotPermittedError
from flowforge.kit.settings import Settings
from flowforge.kit.values import JsonObject
from flowforge.web.calls import Call

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


async def settle_person(session: AsyncSession, call: Call, person: Person, *, default_role: str) -> tuple[UserRow, str]:
    """The person that signs in, and what happened: `known`, `bound` (an unconfirmed person turned out to be this one) or `created`.

    Who is made here, and what role is given here, is recorded.

    Raises:
        EmailMissingError, EmailTakenError: a new person cannot be made of what the provider says.
        PersonDisabledError: the person may not sign in.
    """
    await bump(session)
    row, what = await _find_or_make(session, person, call.now_ms)
    if not is_active(row):
        raise PersonDisabledError
    author = replace(author_of(call), actor="system")
    if what == "created":
        await tell_user(session, author, "created", row, at_ms=call.now_ms, after={"email": row.email, "name": row.name})
        if default_role:
            await _give_role(session, author, row, default_role, call.now_ms)
    if _is_first_owner(call.parts.settings, person) and not await list_owner_ids(session):
        await _give_role(session, author, row, OWNER, call.now_ms)
    return row, what


async def _give_role(session: AsyncSession, author: Author, row: UserRow, role: str, now_ms: int) -> None:
    assignment_id = await assign_role(session, row.id, role, at_ms=now_ms, actor="system")
    if assignment_id is not None:
        after: JsonObject = {"principal": row.id, "role": role, "scope": "installation"}
        await record_as(
            session, author, "role.assigned", "role_assignment", assignment_id, after=after, workspace_id=INSTALLATION
        )


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
