"""A message that came in, as values."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from flowforge.kit.mail.addresses import MailAddress, read_addresses
from flowforge.kit.mail.charsets import decode_text
from flowforge.kit.mail.mime import Budget, Part, read_field, split_message
from flowforge.kit.mail.words import decode_words, unfold

INLINE_TEXT_MAX_BYTES: Final = 1024 * 1024
"""A text above this is an attachment, not a body."""
ADDRESSES_MAX: Final = 1_000
_DATE_MAX_CHARACTERS: Final = 200
_IDS_MAX: Final = 200
_BODY_TYPES: Final = frozenset({"text/plain", "text/html"})


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A part that is no body: an attachment, or an image that the HTML shows."""

    name: str
    media_type: str
    cid: str | None
    is_inline: bool
    part: Part = field(repr=False)

    def read(self) -> bytes:
        return self.part.decode()


@dataclass(frozen=True, slots=True)
class ReceivedMail:
    """A message. Texts have lines ended by LF; `date` is RFC 3339 in UTC, None where the field is missing or nonsense.

    `headers` holds every field by its name in lower case, decoded, in the order of the message. `is_cut` says that it had more parts than
    are read.
    """

    sender: tuple[MailAddress, ...]
    to: tuple[MailAddress, ...]
    cc: tuple[MailAddress, ...]
    bcc: tuple[MailAddress, ...]
    reply_to: tuple[MailAddress, ...]
    subject: str
    date: str | None
    message_id: str | None
    in_reply_to: str | None
    references: tuple[str, ...]
    text: str | None
    html: str | None
    headers: dict[str, list[str]]
    attachments: tuple[ReceivedFile, ...]
    is_cut: bool


def read_mail(data: bytes) -> ReceivedMail:
    """Reads a message; never fails, whatever the bytes are.

    Body texts are the `text/plain` and `text/html` parts that are neither named nor marked as attachments; of several of a kind (a text
    before and after an image, a list's footer) the texts are joined. HTML is given as it is: whoever shows it must clean it.
    """
    budget = Budget()
    root = split_message(data, budget)
    texts: dict[str, list[str]] = {"text/plain": [], "text/html": []}
    files: list[ReceivedFile] = []
    for part in _list_leaves(root):
        body = _read_body(part, root)
        if body is not None:
            texts["text/html" if part.content_type.value == "text/html" else "text/plain"].append(body)
        elif part.start < part.end or part.name:
            files.append(_describe(part, len(files) + 1))

    def addresses(name: str) -> tuple[MailAddress, ...]:
        return tuple(read_addresses(root.find(name) or "")[:ADDRESSES_MAX])

    return ReceivedMail(
        sender=addresses("from"),
        to=addresses("to"),
        cc=addresses("cc"),
        bcc=addresses("bcc"),
        reply_to=addresses("reply-to"),
        subject=read_field(root, "subject") or "",
        date=_read_date(root.find("date")),
        message_id=next(iter(_read_ids(root.find("message-id"))), None),
        in_reply_to=next(iter(_read_ids(root.find("in-reply-to"))), None),
        references=tuple(_read_ids(root.find("references")))[:_IDS_MAX],
        text=_join(texts["text/plain"]),
        html=_join(texts["text/html"]),
        headers=_collect_headers(root),
        attachments=tuple(files),
        is_cut=budget.parts == 0,
    )


def _list_leaves(root: Part) -> Iterator[Part]:
    waiting = [root]
    while waiting:
        part = waiting.pop()
        if part.children:
            waiting.extend(reversed(part.children))
        else:
            yield part


def _read_body(part: Part, root: Part) -> str | None:
    """The text of a part that is a body; None for a file. A message that calls itself a multipart and has no parts is a text."""
    is_text = part.content_type.value in _BODY_TYPES or (part is root and part.content_type.value.startswith("multipart/"))
    if not is_text or part.disposition.value == "attachment" or part.name or part.end - part.start > INLINE_TEXT_MAX_BYTES * 3:
        return None
    data = part.decode()
    if len(data) > INLINE_TEXT_MAX_BYTES:
        return None
    text = decode_text(data, part.content_type.parameters.get("charset")).replace("\r\n", "\n").replace("\r", "\n")
    return text.replace("\0", "")


def _describe(part: Part, number: int) -> ReceivedFile:
    media_type = part.content_type.value
    cid = (part.find("content-id") or "").strip().strip("<>").strip()
    return ReceivedFile(
        name=part.name or _invent_name(media_type, number),
        media_type=media_type,
        cid=unfold(cid) or None,
        is_inline=part.disposition.value == "inline" or (bool(cid) and part.disposition.value != "attachment"),
        part=part,
    )


_ENDINGS: Final = {
    "message/rfc822": ".eml",
    "text/plain": ".txt",
    "text/html": ".html",
    "text/calendar": ".ics",
    "image/jpeg": ".jpg",
}


def _invent_name(media_type: str, number: int) -> str:
    # Start-up cost: the table of media types is read from the machine's files.
    from mimetypes import guess_extension

    return f"part-{number}{_ENDINGS.get(media_type) or guess_extension(media_type) or '.bin'}"


def _join(texts: list[str]) -> str | None:
    return "\n".join(texts) if texts else None


def _read_date(value: str | None) -> str | None:
    if value is None:
        return None
    try:
        moment = parsedate_to_datetime(unfold(value)[:_DATE_MAX_CHARACTERS])
        # "-0000" says that the zone is unknown (RFC 5322, 3.3): the time is then taken as UTC.
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError, AttributeError):
        return None
    return moment.isoformat().replace("+00:00", "Z")


def _read_ids(value: str | None) -> list[str]:
    """The ids `<…>` of a field; a text without any brackets is one id by itself."""
    text = unfold(value or "")
    found = [piece.partition(">")[0].strip() for piece in text.split("<")[1:] if ">" in piece]
    ids = [f"<{inner}>" for inner in found if inner]
    return ids or [f"<{word}>" for word in text.split()[:1]]


def _collect_headers(root: Part) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for name, value in root.fields:
        headers.setdefault(name.lower(), []).append(decode_words(value))
    return headers
