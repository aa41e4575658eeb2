"""`email.fetch`."""

from datetime import date
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field, field_validator

from flowforge.kit.mail.mailer import Mailer
from flowforge.kit.mail.servers import IMAP_SCHEMES
from flowforge.kit.units import format_size
from flowforge.kit.values import JsonObject
from flowforge.operations import MAY_SECRET, ErrorCode, Example, FatalError, Nature, OperationContext, StrictModel, operation
from flowforge.steps.email.messages import ParsedMessage, describe_mail, store_content
from flowforge.steps.email.servers import (
    SERVER_ERRORS,
    ServerParameters,
    explain_failures,
    name_server,
    read_server,
)

if TYPE_CHECKING:
    from flowforge.kit.mail.mailbox import Criteria, Mailbox

MESSAGE_MAX_BYTES: Final = 25 * 2**20
ALL_MAX_BYTES: Final = 200 * 2**20
"""Messages of one step together, as they lie on the server; the next step goes on where this one ended."""
INLINE_MAX_BYTES: Final = 4 * 2**20
"""Texts and headers of one step together, so that its output stays below what a step may give."""
_UID_MAX: Final = 2**32 - 1

FOLDER_MISSING: Final = ErrorCode("folder_missing", "The mailbox has no such folder, or it cannot be opened.")
FOLDER_CHANGED: Final = ErrorCode(
    "uid_validity_changed",
    "The folder was made anew, so that numbers from before mean other messages; details.uid_validity is the new one.",
)


def check_text(text: str | None) -> str | None:
    """Refuses what could end a command to the server."""
    if text is not None and any(char < " " or char == "\x7f" for char in text):
        raise ValueError("a line break or another control character cannot be here")
    return text


class Search(StrictModel):
    """Which messages; all that are given must hold."""

    unseen: bool | None = Field(
        default=True, description="true: only messages that nobody has seen; false: only seen ones; null: both."
    )
    flagged: bool | None = Field(default=None, description="Only flagged messages, or only others.")
    sender: str | None = Field(default=None, alias="from", description="A part of the sender's name or address.", max_length=500)
    to: str | None = Field(default=None, description="A part of a recipient's name or address.", max_length=500)
    subject: str | None = Field(default=None, description="A part of the subject.", max_length=500)
    text: str | None = Field(default=None, description="Words anywhere in the message.", max_length=500)
    since: date | None = Field(
        default=None, description="The day from which on it arrived, by the server's calendar: 2026-01-31."
    )
    before: date | None = Field(default=None, description="The day before which it arrived, by the server's calendar.")

    @field_validator("sender", "to", "subject", "text")
    @classmethod
    def _check_text(cls, text: str | None) -> str | None:
        return check_text(text)


class FetchParameters(StrictModel):
    """From where, which messages, and what becomes of them."""

    server: Annotated[ServerParameters, MAY_SECRET] = Field(description="The IMAP server and the user whose mailbox it is.")
    folder: str = Field(
        default="INBOX", description="The folder, with the server's separator: INBOX, Archive/2026.", max_length=500
    )
    search: Search = Field(default_factory=Search, description="Which messages; those that nobody has seen.")
    after_uid: int | None = Field(
        default=None, description="Only messages with a higher number: `last_uid` of the step before.", ge=0, le=_UID_MAX
    )
    uid_validity: int | None = Field(
        default=None, description="The `uid_validity` that came with it; the step fails if it has changed.", ge=0, le=_UID_MAX
    )
    limit: int = Field(default=20, description="The most messages, oldest first.", ge=1, le=500)
    mark_seen: bool = Field(default=False, description="Whether to mark the messages as seen once all are stored.")
    move_to: str | None = Field(default=None, description="A folder to move them to once all are stored.", max_length=500)

    @field_validator("folder", "move_to")
    @classmethod
    def _check_folder(cls, folder: str | None) -> str | None:
        return check_text(folder)


class FetchedMessage(ParsedMessage):
    """A message, with its number in the folder."""

    uid: int = Field(description="Its number in the folder, for as long as `uid_validity` is the same.")
    size: int = Field(description="Its size in bytes, as it lies on the server.")


class SkippedMessage(StrictModel):
    """A message that was left where it is."""

    uid: int = Field(description="Its number in the folder.")
    size: int = Field(description="Its size in bytes.")


class FetchResult(StrictModel):
    """The messages, and how to go on."""

    messages: list[FetchedMessage] = Field(description="The messages, oldest first.")
    skipped: list[SkippedMessage] = Field(description="Messages above 25 MiB, neither read nor marked.")
    last_uid: int | None = Field(
        description="The highest number that was looked at: the next step's `after_uid`; null before the first."
    )
    uid_validity: int = Field(description="Changes when the folder is made anew, and with it all numbers.")
    has_more: bool = Field(description="Whether more messages match than were fetched.")


_MESSAGE: Final[JsonObject] = {
    "from": {"name": "Ada Lovelace", "address": "ada@example.com"},
    "to": [{"name": "", "address": "shop@example.com"}],
    "cc": [],
    "bcc": [],
    "reply_to": [],
    "subject": "Order 42",
    "date": "2026-01-02T03:04:05Z",
    "message_id": "<1@example.com>",
    "in_reply_to": None,
    "references": [],
    "text": "Hello!\n",
    "html": None,
    "headers": {
        "from": ["Ada Lovelace <ada@example.com>"],
        "to": ["shop@example.com"],
        "subject": ["Order 42"],
        "date": ["Fri, 2 Jan 2026 04:04:05 +0100"],
        "message-id": ["<1@example.com>"],
    },
    "attachments": [],
    "is_truncated": False,
    "uid": 101,
    "size": 171,
}


@operation(
    "email.fetch",
    title="Fetch mail",
    category="email",
    icon="inbox",
    nature=Nature.EFFECT,
    errors=(FOLDER_MISSING, FOLDER_CHANGED, *SERVER_ERRORS),
    target=name_server,
    examples=(
        Example(
            "What nobody has seen yet",
            {
                "server": {
                    "url": "imaps://imap.example.com",
                    "user": "shop@example.com",
                    "password": "${{ secrets.MAIL_PASSWORD }}",
                },
                "search": {"subject": "Order"},
            },
            {"messages": [_MESSAGE], "skipped": [], "last_uid": 101, "uid_validity": 1767322800, "has_more": False},
            varies=True,
        ),
    ),
)
async def fetch(parameters: FetchParameters, context: OperationContext) -> FetchResult:
    """Fetches messages from a mailbox over IMAP, oldest first, each as `email.parse` gives it, with attachments as files.

    Nothing on the server is changed before every message is read and stored. To lose nothing and handle nothing twice, either hand
    `last_uid` and `uid_validity` on as the next step's `after_uid` and `uid_validity`, with `unseen` null; or mark by
    `email.mark` what was handled. With `mark_seen` or `move_to` a process that is killed after the server has marked and before the step
    is recorded leaves messages marked that no run has seen. Messages above 25 MiB are skipped; one step fetches at most 200 MiB.
    """
    with explain_failures():
        server = read_server(parameters.server, IMAP_SCHEMES)
        return await context.service(Mailer).visit(server, lambda mailbox: _fetch(mailbox, parameters, context))


def _fetch(mailbox: "Mailbox", parameters: FetchParameters, context: OperationContext) -> FetchResult:
    open_folder(mailbox, parameters.folder, parameters.uid_validity, is_readonly=not _is_changing(parameters))
    uids = mailbox.search(_write_criteria(parameters))
    # Skipped ones do not count against the limit, but nobody wants the sizes of a million messages.
    looked_at = uids[: parameters.limit * 2]
    sizes = mailbox.read_sizes(looked_at)
    messages: list[FetchedMessage] = []
    skipped: list[SkippedMessage] = []
    last_uid = parameters.after_uid
    left_bytes, left_inline_bytes = ALL_MAX_BYTES, INLINE_MAX_BYTES
    for uid in looked_at:
        size = sizes.get(uid, 0)
        if len(messages) == parameters.limit or (messages and (size > left_bytes or left_inline_bytes <= 0)):
            break
        message = None if size > MESSAGE_MAX_BYTES else _read(mailbox, uid, context)
        if message is not None:
            messages.append(message)
            left_bytes -= message.size
            left_inline_bytes -= _measure(message)
        elif size > MESSAGE_MAX_BYTES:
            skipped.append(SkippedMessage(uid=uid, size=size))
        last_uid = uid
    _dispose(mailbox, parameters, [message.uid for message in messages])
    if skipped:
        context.log(
            "warning", f"{len(skipped)} messages above {format_size(MESSAGE_MAX_BYTES)} were left in {parameters.folder}."
        )
    return FetchResult(
        messages=messages,
        skipped=skipped,
        last_uid=last_uid,
        uid_validity=mailbox.uid_validity,
        has_more=bool(uids) and last_uid is not None and uids[-1] > last_uid,
    )


def open_folder(mailbox: "Mailbox", folder: str, uid_validity: int | None, *, is_readonly: bool) -> None:
    """Opens the folder, if its numbers still mean what they did. Raises FatalError (`uid_validity_changed`)."""
    mailbox.select(folder, is_readonly=is_readonly)
    if uid_validity is not None and uid_validity != mailbox.uid_validity:
        raise FatalError(
            f"The folder {folder!r} was made anew: uid_validity is {mailbox.uid_validity} and was {uid_validity}; begin without after_uid.",
            code=FOLDER_CHANGED.code,
            details={"uid_validity": mailbox.uid_validity},
        )


def _write_criteria(parameters: FetchParameters) -> "Criteria":
    # Start-up cost: the library takes 30 ms to import.
    from flowforge.kit.mail.mailbox import Criteria

    search = parameters.search
    return Criteria(
        unseen=search.unseen,
        flagged=search.flagged,
        sender=search.sender,
        to=search.to,
        subject=search.subject,
        text=search.text,
        since=search.since,
        before=search.before,
        after_uid=parameters.after_uid,
    )


def _read(mailbox: "Mailbox", uid: int, context: OperationContext) -> FetchedMessage | None:
    # Start-up cost: the operation is listed more often than called.
    from flowforge.kit.mail.reading import read_mail

    data = mailbox.read(uid)
    if data is None:
        return None
    described = describe_mail(read_mail(data), store_content(context))
    return FetchedMessage.model_validate({**described, "uid": uid, "size": len(data)})


def _measure(message: FetchedMessage) -> int:
    headers = sum(len(value) for values in message.headers.values() for value in values)
    return headers + len((message.text or "").encode()) + len((message.html or "").encode())


def _is_changing(parameters: FetchParameters) -> bool:
    return parameters.mark_seen or parameters.move_to is not None


def _dispose(mailbox: "Mailbox", parameters: FetchParameters, uids: list[int]) -> None:
    if parameters.mark_seen:
        mailbox.mark(uids, flag=r"\Seen", is_set=True)
    if parameters.move_to is not None:
        mailbox.move(uids, parameters.move_to)
