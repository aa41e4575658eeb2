"""Recording who did what. A row is written in the transaction of the change, so that neither is there without the other.

What is recorded waits in the session, and is chained as the last thing before the commit: the head of the chain is the one row that all
writers of an installation lock, so that whoever has it must not wait for any other (two who did would wait for each other), and gives it
back at once.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, SessionTransaction
from sqlalchemy.util import await_only

from flowforge.audit import chain, persons
from flowforge.audit.types import INSTALLATION, Author, Entry, Noted, Personal
from flowforge.kit.clock import SystemClock
from flowforge.kit.errors import InvariantError
from flowforge.kit.keyring import Keyring
from flowforge.kit.values import JsonValue

if TYPE_CHECKING:
    from flowforge.web.calls import Call

__all__ = [
    "INSTALLATION",
    "Author",
    "Personal",
    "author_of",
    "chain_records",
    "erase_person",
    "record",
    "record_as",
    "reencrypt_person_keys",
]

_USER: Final = "user:"
_TEXT_MAX: Final = 200
_ENTITY_MAX: Final = 40
_ACTION_MAX: Final = 80
_WAITING: Final = "flowforge_audit"

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
) -> None:
    """Record in the session's transaction what the call has changed. What cannot be recorded makes the commit fail, and the change with it.

    The rows get their numbers at the commit, in the order of these calls; not for use in a savepoint.
    `action`: like an event, `workflow.published`. `entity`, `entity_id`: what it was done to, `workflow` and `wf_…`. `before`, `after`:
    what of it has changed; never a secret's value; what tells of a person as `Personal(user_id, value)`. `workspace_id`: None: the
    call's; `INSTALLATION`: of no workspace.
    """
    place = call.workspace_id if workspace_id is None else workspace_id
    await record_as(session, author_of(call), action, entity, entity_id, before=before, after=after, workspace_id=place)


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
) -> None:
    """As `record`, for what happens without a call: on the command line, in the background, or before anybody is known.

    `workspace_id`: None or `INSTALLATION`: of no workspace.
    """
    ip = _note_address(author)
    if author.keyring is None and persons.list_persons([ip, before, after]):
        raise InvariantError("A personal value or a person's address is recorded without the key ring; give it to the author.")
    if session.in_nested_transaction():
        raise InvariantError("A savepoint may be taken back without its record; record what it did behind it.")
    entry = Entry(
        no=0,
        workspace_id=workspace_id or None,
        entity=entity[:_ENTITY_MAX],
        entity_id=entity_id[:_TEXT_MAX],
        action=action[:_ACTION_MAX],
        actor=author.actor[:_TEXT_MAX],
        credential=author.credential[:_TEXT_MAX],
        ip=None,
        request_id=author.request_id[:_TEXT_MAX],
        before=None,
        after=None,
        at_ms=SystemClock().now_ms() if author.at_ms is None else author.at_ms,
        hash="",
    )
    _list_waiting(session).append(_Waiting(entry, author.keyring, ip, before, after))
    # What does not fit the tables is told here, where the caller can say what it means.
    await session.flush()


async def chain_records(session: AsyncSession) -> None:
    """Chain now what was recorded in this session, for who needs the end of the chain in the same transaction."""
    waiting = _list_waiting(session)
    if not waiting:
        return
    await session.flush()
    head = await chain.lock_head(session)
    entries: list[Entry] = []
    for entry, keyring, ip, before, after in waiting:
        keys = await persons.make_keys(session, keyring, persons.list_persons([ip, before, after]), entry.at_ms)
        sealed = [persons.seal_values(noted, keys) for noted in (ip, before, after)]
        entries.append(replace(entry, ip=sealed[0], before=sealed[1], after=sealed[2]))
    await chain.append(session, head, entries)
    waiting.clear()


def author_of(call: "Call") -> Author:
    """Whoever makes this call."""
    caller = call.caller
    return Author(caller.actor, caller.credential, caller.address, call.request_id, call.now_ms, call.parts.keyring)


async def erase_person(session: AsyncSession, user_id: str, *, at_ms: int) -> None:
    """Destroy the person's key: what the log holds of that person is unreadable from then on, and the chain still verifies.

    Copies of the database from before still hold the key; so it is only gone when they are.
    """
    await persons.destroy_key(session, user_id, at_ms)


class _Waiting(NamedTuple):
    """A row that is not chained yet, and what is to be sealed for it."""

    entry: Entry
    keyring: Keyring | None
    ip: Personal | JsonValue
    before: Noted | None
    after: Noted | None


def _list_waiting(session: AsyncSession) -> list[_Waiting]:
    waiting: list[_Waiting] | None = session.info.get(_WAITING)
    if waiting is not None:
        return waiting
    session.info[_WAITING] = waiting = []

    def chain_at_commit(_session: Session) -> None:
        # A savepoint that is given up for good tells of a commit, too.
        if not session.in_nested_transaction():
            await_only(chain_records(session))

    def forget(_session: Session, transaction: SessionTransaction) -> None:
        if transaction.parent is None:
            waiting.clear()

    event.listen(session.sync_session, "before_commit", chain_at_commit)
    event.listen(session.sync_session, "after_transaction_end", forget)
    return waiting


def _note_address(author: Author) -> Personal | JsonValue:
    """A person's address tells where that person was."""
    if author.address and author.actor.startswith(_USER):
        return Personal(author.actor.removeprefix(_USER), author.address)
    return author.address or None
