"""A message to send, as bytes: MIME by the standard library, the fields for people by us.

The library's writing of addresses and texts has had faults that let a name or a subject become something else; ours is short, and what it
writes is read back in a property test.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final

from flowforge.kit.mail.addresses import MailAddress
from flowforge.kit.mail.errors import MailError, MailFault
from flowforge.kit.mail.plain_text import make_plain_text
from flowforge.kit.mail.words import encode_text, holds_control, write_field
from flowforge.kit.objects import clean_media_type, clean_name
from flowforge.kit.units import format_size

MAIL_MAX_BYTES: Final = 25 * 1024 * 1024
"""As it is transmitted: base64 makes a third more of an attachment."""
RECIPIENTS_MAX: Final = 100
HEADER_MAX_CHARACTERS: Final = 8_192
_POLICY: Final = SMTP.clone(cte_type="7bit")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_HEADER_NAME: Final = re.compile(r"[!-9;-~]{1,76}")
_FREE_HEADERS: Final = frozenset(
    {
        "auto-submitted", "comments", "feedback-id", "importance", "in-reply-to", "keywords", "organization", "precedence", "priority",
        "references", "require-recipient-valid-since", "sensitivity",
    }
)  # fmt: skip
_CONTENT_ID: Final = re.compile(r"[A-Za-z0-9._+-]{1,64}(@[A-Za-z0-9.-]{1,100})?")


@dataclass(frozen=True, slots=True)
class MailFile:
    """An attachment. The name loses folders and control characters."""

    name: str
    media_type: str
    data: bytes = field(repr=False)
    charset: str | None = None
    """Of a text, where it is known."""


@dataclass(frozen=True, slots=True)
class InlineImage:
    """A file that the HTML shows as `cid:…`."""

    cid: str
    file: MailFile


@dataclass(frozen=True, slots=True)
class Letter:
    """What is to be sent. At least one of `text` and `html`; from HTML alone a plain text is derived."""

    to: tuple[MailAddress, ...]
    subject: str
    text: str | None = None
    html: str | None = None
    sender: MailAddress | None = None
    cc: tuple[MailAddress, ...] = ()
    bcc: tuple[MailAddress, ...] = ()
    reply_to: tuple[MailAddress, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    attachments: tuple[MailFile, ...] = ()
    images: tuple[InlineImage, ...] = ()


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message ready to go: from whom, to whom, and the bytes, which name no blind copies."""

    message_id: str
    sender: MailAddress
    recipients: tuple[MailAddress, ...]
    data: bytes = field(repr=False)
    blind: tuple[MailAddress, ...] = ()

    @property
    def needs_utf8(self) -> bool:
        return self.sender.needs_utf8 or any(recipient.needs_utf8 for recipient in self.recipients)


def find_header_fault(name: str, value: str) -> MailError | None:
    """Why a field may not be added to a message; None if it may. `X-…`, `List-…`, those of replies and a few more are free."""
    if not _HEADER_NAME.fullmatch(name):
        return MailError(MailFault.HEADER_INVALID, f"The header {name[:80]!r} is no name of a header.")
    if holds_control(value) or len(value) > HEADER_MAX_CHARACTERS:
        return MailError(
            MailFault.HEADER_INVALID,
            f"The header {name} holds a line break or another control character, or more than {HEADER_MAX_CHARACTERS} characters.",
        )
    lowered = name.lower()
    if lowered in _FREE_HEADERS or lowered.startswith(("x-", "list-")):
        return None
    return MailError(
        MailFault.HEADER_RESERVED,
        f"The header {name} is set by FlowForge or by the mail server; X-…, List-…, In-Reply-To and References can be given.",
    )


def compose(letter: Letter, sender: MailAddress, *, key: str, now_ms: int) -> Envelope:
    """The message. The same `key` gives the same Message-ID, by which receivers know a second copy.

    Raises:
        MailError: `header_invalid` (a line break in the subject, a field that cannot be), `header_reserved`, `address_invalid` (no
            recipient, or more than RECIPIENTS_MAX), `mail_too_large`.
    """
    recipients = _collect_recipients(letter)
    _check_fields(letter)
    files = [*letter.attachments, *(image.file for image in letter.images)]
    _check_size(sum(len(file.data) for file in files) * 4 // 3)
    digest = hashlib.sha256(key.encode()).hexdigest()[:32]
    message_id = f"<{digest}@{sender.domain}>"
    head = "".join(_write_head(letter, sender, message_id, now_ms)).encode()
    body = _make_body(letter)
    for number, part in enumerate(part for part in body.walk() if part.is_multipart()):
        part.set_boundary(f"=_{digest}_{number}")
    data = head + body.as_bytes(policy=_POLICY)
    _check_size(len(data))
    return Envelope(message_id, sender, recipients, data, letter.bcc)


def with_blind_copies(envelope: Envelope) -> bytes:
    """The bytes with the field Bcc, for the sender's own copy (RFC 5322, 3.6.3)."""
    if not envelope.blind:
        return envelope.data
    return _write_addresses("Bcc", envelope.blind).encode() + envelope.data


def _collect_recipients(letter: Letter) -> tuple[MailAddress, ...]:
    found = {recipient.address: recipient for recipient in (*letter.to, *letter.cc, *letter.bcc)}
    if not found:
        raise MailError(MailFault.ADDRESS_INVALID, "The mail has no recipient; give to, cc or bcc.")
    if len(found) > RECIPIENTS_MAX:
        raise MailError(
            MailFault.ADDRESS_INVALID,
            f"The mail has {len(found)} recipients; at most {RECIPIENTS_MAX} are taken, send it in several steps.",
        )
    return tuple(found.values())


def _check_fields(letter: Letter) -> None:
    if holds_control(letter.subject):
        raise MailError(MailFault.HEADER_INVALID, "The subject holds a line break or another control character; it is one line.")
    for name, value in letter.headers:
        fault = find_header_fault(name, value)
        if fault is not None:
            raise fault
    for image in letter.images:
        if not _CONTENT_ID.fullmatch(image.cid):
            raise MailError(MailFault.HEADER_INVALID, f"The cid {image.cid[:80]!r} may hold letters, digits and . _ + - only.")


def _check_size(size_bytes: int) -> None:
    if size_bytes > MAIL_MAX_BYTES:
        raise MailError(
            MailFault.TOO_LARGE,
            f"The mail has {format_size(size_bytes)} with its attachments, and may have {format_size(MAIL_MAX_BYTES)}; send a link.",
        )


def _write_head(letter: Letter, sender: MailAddress, message_id: str, now_ms: int) -> Iterator[str]:
    moment = datetime.fromtimestamp(now_ms // 1000, UTC)
    yield write_field("Date", format_datetime(moment))
    yield _write_addresses("From", (sender,))
    for name, addresses in (("Reply-To", letter.reply_to), ("To", letter.to), ("Cc", letter.cc)):
        if addresses:
            yield _write_addresses(name, addresses)
    if not letter.to and not letter.cc:
        yield "To: undisclosed-recipients:;\r\n"
    yield write_field("Message-ID", message_id)
    yield write_field("Subject", encode_text(letter.subject))
    if not any(name.lower() == "auto-submitted" for name, _ in letter.headers):
        # So that nobody's holiday notice answers a machine (RFC 3834, 5).
        yield write_field("Auto-Submitted", "auto-generated")
    for name, value in letter.headers:
        yield write_field(name, encode_text(value))


def _write_addresses(name: str, addresses: tuple[MailAddress, ...]) -> str:
    return write_field(name, ", ".join(address.write() for address in addresses))


def _make_body(letter: Letter) -> EmailMessage:
    body = EmailMessage(policy=_POLICY)
    text = letter.text if letter.text is not None or letter.html is None else make_plain_text(letter.html)
    if text is not None:
        _set_text(body, text, "plain")
    if letter.html is not None:
        html = EmailMessage(policy=_POLICY)
        _set_text(html, letter.html, "html")
        for image in letter.images:
            _add_file(html, image.file, cid=f"<{image.cid}>")
        body.make_alternative()
        del html["MIME-Version"]
        body.attach(html)
    for file in letter.attachments:
        _add_file(body, file, cid=None)
    return body


def _set_text(part: EmailMessage, text: str, subtype: str) -> None:
    # Control characters may not stand in a message as they are.
    encoding = "quoted-printable" if _CONTROL.search(text) else None
    part.set_content(text.replace("\r\n", "\n").replace("\r", "\n"), subtype=subtype, charset="utf-8", cte=encoding)


def _add_file(part: EmailMessage, file: MailFile, *, cid: str | None) -> None:
    main_type, _, subtype = clean_media_type(file.media_type).partition("/")
    encoding = "base64"
    if main_type in {"message", "multipart"}:
        # Only an encoding that changes nothing may stand on a message in a message (RFC 2046, 5.2.1); what needs one goes as bytes.
        if f"{main_type}/{subtype}" == "message/rfc822" and _is_transparent(file.data):
            encoding = "7bit"
        else:
            main_type, subtype = "application", "octet-stream"
    data = file.data if encoding == "base64" else re.sub(rb"\r?\n", b"\n", file.data)
    add = part.add_attachment if cid is None else part.add_related
    disposition = "attachment" if cid is None else "inline"
    parameters = {"charset": file.charset} if file.charset is not None and main_type == "text" else None
    name = clean_name(file.name)
    add(
        data,
        maintype=main_type,
        subtype=subtype,
        params=parameters,
        cte=encoding,
        disposition=disposition,
        filename=name,
        cid=cid,
    )


def _is_transparent(data: bytes) -> bool:
    """Whether the bytes are lines of at most 998 ASCII characters."""
    return (
        data.isascii()
        and b"\0" not in data
        and all(len(line) <= 998 for line in re.split(rb"\r?\n", data))
        and b"\r" not in (data.replace(b"\r\n", b"\n"))
    )
