"""`email.send`."""

import asyncio
from collections.abc import Mapping, Sequence
from mimetypes import guess_type
from typing import TYPE_CHECKING, Any, Final

from flowforge.kit.errors import StorageError
from flowforge.kit.mail.errors import MailError
from flowforge.kit.mail.mailer import Mailer
from flowforge.kit.mail.servers import SMTP_SCHEMES
from flowforge.operations import ErrorCode, Example, FatalError, Nature, OperationContext, operation
from flowforge.steps.email.send_parameters import Addresses, Attachment, Image, Rejection, SendParameters, SendResult
from flowforge.steps.email.servers import SERVER_ERRORS, explain_failures, name_server, read_server
from flowforge.steps.encoded import decode_base64
from flowforge.steps.stored import FILE_TOO_LARGE, STORED_ERRORS, explain_storage, find_stored, read_stored

if TYPE_CHECKING:
    from flowforge.kit.mail.addresses import MailAddress
    from flowforge.kit.mail.composing import Letter, MailFile

_ATTACHED_MAX_BYTES: Final = 25 * 2**20
_NAMED_RECIPIENTS: Final = 3

_ERRORS: Final = (
    ErrorCode("address_invalid", "An address cannot be read, or there are none, or more than 100."),
    ErrorCode("header_invalid", "The subject, a header or a cid holds a line break or another character that cannot be there."),
    ErrorCode("header_reserved", "The header is one that FlowForge or the mail server sets."),
    ErrorCode("mail_too_large", "The mail has more than 25 MiB with its attachments, or more than the server takes."),
    ErrorCode("recipients_refused", "The server took none of the recipients; retried where it says that this is temporary."),
    ErrorCode("sender_refused", "The server refused the sender; retried where it says that this is temporary."),
    ErrorCode("message_refused", "The server refused the message; retried where it says that this is temporary."),
    ErrorCode("smtputf8_missing", "An address has letters beyond ASCII before the @, and the server does not know SMTPUTF8."),
    ErrorCode("base64_invalid", "The content of an attachment or image is no base64."),
    ErrorCode("storage_full", "There is no room left on the disk for the outbox.", retryable=True),
    ErrorCode("file_failed", "The outbox folder cannot be written to.", retryable=True),
    *STORED_ERRORS,
    FILE_TOO_LARGE,
    *SERVER_ERRORS,
)


def _name_target(parameters: Mapping[str, Any]) -> str:
    """The server where the step names one, because secrets may be bound to it; else some of the recipients."""
    if parameters.get("server") is not None:
        return name_server(parameters)
    given = [address for field in ("to", "cc", "bcc") for address in _list(parameters.get(field) or [])]
    more = len(given) - _NAMED_RECIPIENTS
    return ", ".join(given[:_NAMED_RECIPIENTS]) + (f" and {more} more" if more > 0 else "")


@operation(
    "email.send",
    title="Send a mail",
    category="email",
    icon="send",
    nature=Nature.EFFECT,
    errors=_ERRORS,
    target=_name_target,
    examples=(
        Example(
            "A text to one person",
            {"to": "Ada Lovelace <ada@example.com>", "subject": "Your order 42", "text": "It is on its way.\n"},
            {
                "message_id": "<5f0c…@localhost>",
                "accepted": ["ada@example.com"],
                "rejected": [],
                "outbox": "mail/20260102T030405000Z-0f5e8a3c91d2.eml",
            },
            varies=True,
        ),
        Example(
            "HTML with a table as an attachment, by a server of its own",
            {
                "from": "Reports <reports@example.com>",
                "to": ["ada@example.com", "grace@example.com"],
                "reply_to": "sales@example.com",
                "subject": "The week",
                "html": "<h1>The week</h1><p>Two orders.</p>",
                "attachments": [{"name": "orders.csv", "text": "id,total\n1,80\n2,120\n"}],
                "server": {
                    "url": "smtps://mail.example.com",
                    "user": "reports@example.com",
                    "password": "${{ secrets.MAIL_PASSWORD }}",
                },
            },
            {
                "message_id": "<9b1d…@example.com>",
                "accepted": ["ada@example.com", "grace@example.com"],
                "rejected": [],
                "outbox": None,
            },
            varies=True,
        ),
    ),
)
async def send(parameters: SendParameters, context: OperationContext) -> SendResult:
    """Sends a mail over SMTP: text and HTML, attachments, images inside the HTML, at most 100 recipients and 25 MiB.

    Where no SMTP server is set the mail is written as an .eml file into the outbox folder `mail/`, so that nothing is needed to try it.
    If the server takes some recipients only, the step succeeds and `rejected` lists the others; if it takes none, the step fails. Every
    attempt carries the same Message-ID, so that a mail which arrives twice, because the connection broke while the server was accepting it,
    can be known. The connection is encrypted unless the server is on this machine, and certificates are always checked.
    """
    try:
        with explain_failures():
            server = None if parameters.server is None else read_server(parameters.server, SMTP_SCHEMES)
            letter = await asyncio.to_thread(_write_letter, parameters, context)
            delivery = await context.service(Mailer).send(letter, key=context.idempotency_key, server=server)
    except StorageError as error:
        raise explain_storage(error) from error
    if delivery.refused:
        context.log("warning", f"The mail server refused {len(delivery.refused)} of the recipients.")
    return SendResult(
        message_id=delivery.message_id,
        accepted=list(delivery.accepted),
        rejected=[
            Rejection(address=refusal.address, status=refusal.status, message=refusal.message) for refusal in delivery.refused
        ],
        outbox=delivery.outbox,
    )


def _write_letter(parameters: SendParameters, context: OperationContext) -> "Letter":
    # Start-up cost: the library of messages takes 15 ms to import.
    from flowforge.kit.mail.composing import InlineImage, Letter

    sender = None if parameters.sender is None else _read_addresses("from", parameters.sender)[0]
    to = _read_addresses("to", parameters.to)
    cc = _read_addresses("cc", parameters.cc)
    bcc = _read_addresses("bcc", parameters.bcc)
    _check_declared_size(parameters)
    attachments = tuple(
        _read_file(attachment, attachment.name, f"attachments[{index}]", context)
        for index, attachment in enumerate(parameters.attachments)
    )
    images = tuple(
        InlineImage(
            image.cid, _read_file(image, image.name or (image.cid if image.file is None else None), f"images[{index}]", context)
        )
        for index, image in enumerate(parameters.images)
    )
    return Letter(
        to=to,
        cc=cc,
        bcc=bcc,
        sender=sender,
        reply_to=_read_addresses("reply_to", parameters.reply_to),
        subject=parameters.subject.strip(),
        text=parameters.text,
        html=parameters.html,
        headers=tuple(parameters.headers.items()),
        attachments=attachments,
        images=images,
    )


def _list(addresses: Addresses) -> list[str]:
    return [addresses] if isinstance(addresses, str) else addresses


def _read_addresses(field: str, addresses: Addresses) -> "tuple[MailAddress, ...]":
    # Start-up cost, as above.
    from flowforge.kit.mail.addresses import parse_address

    found: list[MailAddress] = []
    for index, written in enumerate(_list(addresses)):
        try:
            found.append(parse_address(written))
        except MailError as error:
            place = field if isinstance(addresses, str) else f"{field}[{index}]"
            raise FatalError(f"{place}: {error.message}", code=error.fault.value, details={"field": place}) from error
    return tuple(found)


def _check_declared_size(parameters: SendParameters) -> None:
    """Before anything is read: the files say how large they are."""
    lists: tuple[tuple[str, Sequence[Attachment | Image]], ...] = (
        ("attachments", parameters.attachments),
        ("images", parameters.images),
    )
    files = [(f"{name}[{index}].file", item.file) for name, items in lists for index, item in enumerate(items)]
    if sum(find_stored(file, field).size_bytes for field, file in files if file is not None) > _ATTACHED_MAX_BYTES:
        raise FatalError("The attached files have more than 25 MiB together; send links instead.", code="mail_too_large")


def _read_file(item: Attachment | Image, name: str | None, field: str, context: OperationContext) -> "MailFile":
    # Start-up cost, as above.
    from flowforge.kit.mail.composing import MailFile

    if item.file is not None:
        stored = find_stored(item.file, f"{field}.file")
        data = read_stored(context, item.file, f"{field}.file", max_bytes=_ATTACHED_MAX_BYTES)
        return MailFile(name or stored.name, item.media_type or stored.media_type, data)
    if isinstance(item, Attachment) and item.text is not None:
        media_type = item.media_type or guess_type(name or "")[0] or "text/plain"
        return MailFile(name or "file", media_type, item.text.encode(), charset="utf-8")
    media_type = item.media_type or guess_type(name or "")[0] or "application/octet-stream"
    return MailFile(name or "file", media_type, decode_base64(item.base64 or "", f"{field}.base64"))
