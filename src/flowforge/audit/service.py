"""Recording who did what. A row is written in the transaction of the change, so that neither is there without the other."""

from typing import TYPE_CHECKING, Final

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit import chain, persons
from flowforge.audit.types import INSTALLATION, Author, Entry, Noted, Personal
from flowforge.kit.clock import SystemClock
from flowforge.kit.values import JsonValue

if TYPE_CHECKING:
    from flowforge.web.calls import Call

__all__ = ["INSTALLATION", "Author", "Personal", "author_of", "erase_person", "record", "record_as", "reencrypt_person_keys"]

_USER: Final = "user:"
_TEXT_MAX: Final = 200
_ENTITY_MAX: Final = 40
_ACTION_MAX: Final = 80

reencrypt_person_keys = persons.reencrypt_keys
PersonReencryption = persons.PersonReencryption


async def record(
    session: AsyncSession,
    call: "Call",
    action: str,
    entity: str,
    entity_id: str,
    *,
    before: Noted | None = None,
    after: Noted | None = None,
    workspace_id: str | None = None,
) -> int:
    """Record in the session's transaction what the call has changed, and give the row's number. What fails here undoes the change too.

    Call it last: it writes what the session still holds back, and from then on every other writer of the log waits for the commit.
    `action`: like an event, `workflow.published`. `entity`, `entity_id`: what it was done to, `workflow` and `wf_…`. `before`, `after`:
    what of it has changed; never a secret's value; what tells of a person as `Personal(user_id, value)`. `workspace_id`: None: the
    call's; `INSTALLATION`: of no workspace.
    """
    place = call.workspace_id if workspace_id is None else workspace_id
    return await record_as(session, author_of(call), action, entity, entity_id, before=before, after=after, workspace_id=place)


async def record_as(
    session: AsyncSession,
    author: Author,
    action: str,
    entity: str,
    entity_id: str,
    *,
    before: Noted | None = None,
    after: Noted | None = None,
    workspace_id: str | None = None,
) -> int:
    """As `record`, for what happens without a call: on the command line, in the background, or before anybody is known.

    `workspace_id`: None or `INSTALLATION`: of no workspace.
    """
    await session.flush()
    head = await chain.lock_head(session)
    at_ms = SystemClock().now_ms() if author.at_ms is None else author.at_ms
    ip = _note_address(author)
    keys = await persons.make_keys(session, author.keyring, persons.list_persons([ip, before, after]), at_ms)
    entry = Entry(
        no=0,
        workspace_id=workspace_id or None,
        entity=entity[:_ENTITY_MAX],
        entity_id=entity_id[:_TEXT_MAX],
        action=action[:_ACTION_MAX],
        actor=author.actor[:_TEXT_MAX],
        credential=author.credential[:_TEXT_MAX],
        ip=persons.seal_values(ip, keys),
        request_id=author.request_id[:_TEXT_MAX],
        before=persons.seal_values(before, keys),
        after=persons.seal_values(after, keys),
        at_ms=at_ms,
        hash="",
    )
    return (await chain.append(session, head, entry)).no


def author_of(call: "Call") -> Author:
    """Whoever makes this call."""
    caller = call.caller
    return Author(caller.actor, caller.credential, caller.address, call.request_id, call.now_ms, call.parts.keyring)


async def erase_person(session: AsyncSession, user_id: str, *, at_ms: int) -> None:
    """Destroy the person's key: what the log holds of that person is unreadable from then on, and the chain still verifies.

    Copies of the database from before still hold the key; so it is only gone when they are.
    """
    await persons.destroy_key(session, user_id, at_ms)


def _note_address(author: Author) -> Personal | JsonValue:
    """A person's address tells where that person was."""
    if author.address and author.actor.startswith(_USER):
        return Personal(author.actor.removeprefix(_USER), author.address)
    return author.address or None
