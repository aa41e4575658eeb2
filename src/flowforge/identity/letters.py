"""Mails about accounts: stored, sealed, in the transaction that has a reason for them, and sent by a duty.

So nobody waits for a mail server, no mail is sent for what was not committed, and a request about an unknown email takes the same time:
it stores a decoy.
"""

from collections.abc import Sequence
from typing import Any, Final, cast

from sqlalchemy import CursorResult, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.identity.models_accounts import LetterRow
from flowforge.kit.border import decode, encode
from flowforge.kit.clock import Clock
from flowforge.kit.database.session import Database
from flowforge.kit.egress import EgressError
from flowforge.kit.errors import StorageError
from flowforge.kit.ids import make_id
from flowforge.kit.keyring import Keyring, Place, Sealed, UnreadableError
from flowforge.kit.mail.addresses import parse_address
from flowforge.kit.mail.composing import Letter
from flowforge.kit.mail.errors import MailError
from flowforge.kit.mail.mailer import Mailer
from flowforge.kit.telemetry.logs import get_logger
from flowforge.kit.values import JsonObject

SEND_EVERY_S: Final = 2
_TAKE_MAX: Final = 20
_TAKEN_MS: Final = 60_000
_RETRY_MS: Final = 15_000
_GIVE_UP_AFTER_MS: Final = 30 * 60_000
"""The links in these mails are no longer good then."""

logger = get_logger("identity")


async def queue_letter(session: AsyncSession, keyring: Keyring, *, to: str, subject: str, text: str, now_ms: int) -> None:
    """A mail that goes out once this is committed. Without `to` it is a decoy, and nothing does."""
    letter_id = make_id("mail")
    told: JsonObject = {"to": to, "subject": subject, "text": text}
    sealed = keyring.seal(encode(told), _place(letter_id))
    session.add(LetterRow(id=letter_id, key_id=sealed.key_id, sealed=sealed.data, created_at=now_ms, due_at=now_ms))
    await session.flush()


class LetterCarrier:
    """Sends what is due. Several processes may: each takes a letter for a minute before it sends it."""

    def __init__(self, database: Database, keyring: Keyring, mailer: Mailer, clock: Clock) -> None:
        self._database = database
        self._keyring = keyring
        self._mailer = mailer
        self._clock = clock

    async def run_once(self) -> None:
        """Sends the letters that are due; what a server refuses for now is tried again, for half an hour.

        Raises:
            StorageError: the database cannot be used now.
        """
        for row in await self._take():
            if await self._send(row):
                async with self._database.write.begin() as session:
                    await session.execute(delete(LetterRow).where(LetterRow.id == row.id))

    async def _take(self) -> list[LetterRow]:
        now_ms = self._clock.now_ms()
        query = select(LetterRow).where(LetterRow.due_at <= now_ms).order_by(LetterRow.due_at).limit(_TAKE_MAX)
        async with self._database.read() as session:
            due: Sequence[LetterRow] = (await session.scalars(query)).all()
        if not due:
            return []
        taken: list[LetterRow] = []
        async with self._database.write.begin() as session:
            for row in due:
                statement = (
                    update(LetterRow)
                    .where(LetterRow.id == row.id, LetterRow.due_at == row.due_at)
                    .values(due_at=now_ms + _TAKEN_MS, attempts=row.attempts + 1)
                    .execution_options(synchronize_session=False)
                )
                if cast("CursorResult[Any]", await session.execute(statement)).rowcount == 1:
                    taken.append(row)
        return taken

    async def _send(self, row: LetterRow) -> bool:
        """Whether nothing is left to do for this letter."""
        try:
            told = decode(self._keyring.open(Sealed(row.key_id, row.sealed), _place(row.id)))
        except UnreadableError as fault:
            logger.error("A mail about an account does not open and is dropped.", letter=row.id, cause=fault.message)
            return True
        if not isinstance(told, dict) or not told["to"]:
            return True
        try:
            letter = Letter(to=(parse_address(str(told["to"])),), subject=str(told["subject"]), text=str(told["text"]))
            await self._mailer.send(letter, key=row.id)
        except (MailError, EgressError, StorageError) as fault:
            return await self._put_back(row, fault)
        return True

    async def _put_back(self, row: LetterRow, fault: MailError | EgressError | StorageError) -> bool:
        now_ms = self._clock.now_ms()
        is_final = isinstance(fault, MailError) and not fault.is_temporary
        if is_final or now_ms - row.created_at > _GIVE_UP_AFTER_MS:
            logger.error("A mail about an account was given up.", letter=row.id, cause=fault.message)
            return True
        logger.warning("A mail about an account waits for its server.", letter=row.id, cause=fault.message)
        async with self._database.write.begin() as session:
            due_at = now_ms + _RETRY_MS * (row.attempts + 1)
            await session.execute(
                update(LetterRow).where(LetterRow.id == row.id).values(due_at=due_at).execution_options(synchronize_session=False)
            )
        return False


def _place(letter_id: str) -> Place:
    return Place(table=LetterRow.__tablename__, row=letter_id, workspace_id="")
