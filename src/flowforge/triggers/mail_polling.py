"""The duty that looks into mailboxes. Nothing on the server is changed; how far was read is stored here, message by message."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from flowforge.kit.border import digest_value
from flowforge.kit.clock import Clock
from flowforge.kit.database.session import Database
from flowforge.kit.egress import EgressError
from flowforge.kit.errors import DependencyError, FlowForgeError, RequestError, StorageError
from flowforge.kit.keyring import Keyring
from flowforge.kit.mail.errors import MailError
from flowforge.kit.mail.mailer import Mailer
from flowforge.kit.objects import ObjectStore
from flowforge.kit.telemetry.logs import get_logger
from flowforge.kit.values import JsonObject
from flowforge.steps.email.messages import describe_mail
from flowforge.triggers.firing import Firing, Occurrence, name_fault
from flowforge.triggers.mail_trigger import name_folder, open_server
from flowforge.triggers.reading import read_trigger
from flowforge.triggers.repository import list_live_triggers
from flowforge.triggers.source_models import MailboxReaderRow
from flowforge.triggers.types import Trigger
from flowforge.vault.errors import VaultError

if TYPE_CHECKING:
    from flowforge.kit.mail.mailbox import Mailbox
    from flowforge.kit.mail.reading import ReceivedFile

POLL_MS: Final = 60_000
"""How often each mailbox is looked into."""
MESSAGES_MAX: Final = 20
"""Messages of one mailbox in one look."""
MESSAGE_MAX_BYTES: Final = 25 * 2**20
_ALL_MAX_BYTES: Final = 50 * 2**20
_PAUSE_MAX_MS: Final = 3_600_000
_AT_ONCE: Final = 4
_FAILURES_MAX: Final = 10

logger = get_logger("triggers.mail")


@dataclass(frozen=True, slots=True)
class _Message:
    uid: int
    data: bytes | None
    """None: it is gone, or above MESSAGE_MAX_BYTES."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What one visit has found. `reached`: messages up to here need not be looked at again."""

    validity: int
    reached: int
    messages: tuple[_Message, ...]
    has_more: bool


@dataclass(frozen=True, slots=True)
class _State:
    """How far a mailbox was read. `validity` None: never. `since_ms`: when it was looked into last, about."""

    validity: int | None
    last_uid: int
    since_ms: int
    failures: int


class MailDuty:
    """Starts a run for each message that comes. Two at once do no harm: a run is unique by trigger and message."""

    def __init__(
        self, database: Database, firing: Firing, mailer: Mailer, objects: ObjectStore, keyring: Keyring, clock: Clock
    ) -> None:
        self._database = database
        self._firing = firing
        self._mailer = mailer
        self._objects = objects
        self._keyring = keyring
        self._clock = clock

    async def run_once(self) -> None:
        """One pass. Raises StorageError where the database or the object store cannot be used."""
        now_ms = self._clock.now_ms()
        async with self._database.read() as session:
            triggers = [read_trigger(row) for row in await list_live_triggers(session, "email")]
            rows = {trigger.id: await session.get(MailboxReaderRow, trigger.id) for trigger in triggers}
        gate = asyncio.Semaphore(_AT_ONCE)

        async def look(trigger: Trigger, row: MailboxReaderRow | None) -> None:
            if row is None or row.digest != digest_value(trigger.config) or row.next_at <= now_ms:
                async with gate:
                    await self._look(trigger, row)

        answers = await asyncio.gather(*(look(trigger, rows[trigger.id]) for trigger in triggers), return_exceptions=True)
        for answer in answers:
            if answer is not None:
                raise answer

    async def _look(self, trigger: Trigger, row: MailboxReaderRow | None) -> None:
        state = _read_state(trigger, row)
        folder = name_folder(trigger.config)
        try:
            async with self._database.read() as session:
                server = await open_server(session, self._keyring, trigger.workspace_id, trigger.config)
            found = await self._mailer.visit(server, lambda mailbox: read_mailbox(mailbox, folder, state))
        except StorageError:
            raise
        except (MailError, EgressError, VaultError) as fault:
            await self._fail(trigger, state, fault)
            return
        has_failed = False
        for message in found.messages:
            if message.data is not None and not await self._start(trigger, found.validity, message.uid, message.data):
                has_failed = True
                break
            await self._store(trigger, found.validity, message.uid, next_at=self._clock.now_ms(), failures=0)
        reached = state.last_uid if has_failed or found.messages else found.reached
        wait_ms = 0 if found.has_more and not has_failed else POLL_MS
        await self._store(trigger, found.validity, reached, next_at=self._clock.now_ms() + wait_ms, failures=0)

    async def _start(self, trigger: Trigger, validity: int, uid: int, data: bytes) -> bool:
        """Whether the message is done with; False: it is tried again."""
        described = await asyncio.to_thread(self._describe, data)
        occurrence = Occurrence(
            trigger,
            {**described, "uid": uid},
            self._clock.now_ms(),
            dedup=f"email:{trigger.id}:{name_message(described, validity, uid)}",
        )
        try:
            await self._firing.fire(occurrence)
        except StorageError:
            raise
        except DependencyError as fault:
            logger.warning("A message started no run yet; it is tried again.", trigger=trigger.id, cause=fault.message)
            return False
        except RequestError as fault:
            logger.warning("A message was refused by its workflow.", trigger=trigger.id, uid=uid, cause=fault.message)
        return True

    def _describe(self, data: bytes) -> JsonObject:
        # Start-up cost: most installations have no trigger of this kind.
        from flowforge.kit.mail.reading import read_mail

        return describe_mail(read_mail(data), self._keep)

    def _keep(self, file: "ReceivedFile") -> tuple[int, JsonObject | None, str | None]:
        data = file.read()
        kept = self._objects.put(data, name=file.name, media_type=file.media_type)
        return len(data), kept.to_json(), None

    async def _fail(self, trigger: Trigger, state: _State, fault: FlowForgeError) -> None:
        """Looks again later and later; the trigger's list of requests tells of the first failure of a row of them."""
        now_ms = self._clock.now_ms()
        logger.warning("A mailbox cannot be looked into.", trigger=trigger.id, cause=fault.message)
        if not state.failures:
            code = fault.fault.value if isinstance(fault, MailError | EgressError) else name_fault(fault)
            self._firing.remember(Occurrence(trigger, {}, now_ms), status=424, error=code)
        failures = min(state.failures + 1, _FAILURES_MAX)
        next_at = now_ms + min(POLL_MS * 2**state.failures, _PAUSE_MAX_MS)
        if state.validity is None:
            # What comes until the mailbox can be opened for the first time starts no run.
            await self._store(trigger, -1, 0, next_at=next_at, failures=failures)
        else:
            await self._store(trigger, state.validity, state.last_uid, next_at=next_at, failures=failures)

    async def _store(self, trigger: Trigger, validity: int, last_uid: int, *, next_at: int, failures: int) -> None:
        digest = digest_value(trigger.config)
        async with self._database.write.begin() as session:
            row = await session.get(MailboxReaderRow, trigger.id, with_for_update=True)
            if row is None:
                row = MailboxReaderRow(trigger_id=trigger.id, digest=digest, validity=validity, last_uid=last_uid)
                session.add(row)
            is_same = row.digest == digest and row.validity == validity
            row.last_uid = max(row.last_uid, last_uid) if is_same else last_uid
            row.digest, row.validity, row.next_at, row.failures = digest, validity, next_at, failures


def _read_state(trigger: Trigger, row: MailboxReaderRow | None) -> _State:
    if row is None or row.digest != digest_value(trigger.config):
        return _State(None, 0, 0, 0)
    validity = None if row.validity < 0 else row.validity
    return _State(validity, row.last_uid, row.next_at - POLL_MS, row.failures)


def read_mailbox(mailbox: "Mailbox", folder: str, state: _State) -> _Look:
    """The messages that are new. The first time there are none: what lies in the folder starts no run. Blocks."""
    # Start-up cost: most installations have no trigger of this kind.
    from flowforge.kit.mail.mailbox import Criteria

    mailbox.select(folder, is_readonly=True)
    if state.validity is None:
        return _Look(mailbox.uid_validity, max(mailbox.search(Criteria()), default=0), (), has_more=False)
    if state.validity == mailbox.uid_validity:
        uids, reached = mailbox.search(Criteria(after_uid=state.last_uid)), state.last_uid
    else:
        # The folder was made anew, with other numbers: what came of late is looked at again, and known by its Message-ID.
        since = datetime.fromtimestamp(max(state.since_ms, 0) / 1_000, UTC).date() - timedelta(days=1)
        uids, reached = mailbox.search(Criteria(since=since)), 0
    chosen = uids[:MESSAGES_MAX]
    messages = _read_messages(mailbox, chosen)
    return _Look(mailbox.uid_validity, reached, tuple(messages), has_more=len(messages) < len(uids))


def _read_messages(mailbox: "Mailbox", uids: Sequence[int]) -> list[_Message]:
    sizes = mailbox.read_sizes(uids)
    left_bytes, found = _ALL_MAX_BYTES, list[_Message]()
    for uid in uids:
        size = sizes.get(uid, 0)
        if found and size > left_bytes:
            break
        if size > MESSAGE_MAX_BYTES:
            logger.warning("A message is too large to start a run.", uid=uid, size_bytes=size)
        data = None if size > MESSAGE_MAX_BYTES else mailbox.read(uid)
        left_bytes -= len(data or b"")
        found.append(_Message(uid, data))
    return found


def name_message(message: JsonObject, validity: int, uid: int) -> str:
    """What makes a message the same one: its Message-ID, else its number in this folder."""
    message_id = message.get("message_id")
    if isinstance(message_id, str) and message_id:
        return hashlib.sha256(message_id.encode(errors="replace")).hexdigest()
    return f"{validity}.{uid}"
