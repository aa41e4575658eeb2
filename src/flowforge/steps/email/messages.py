"""A message as a value: what `email.parse` and `email.fetch` give."""

from base64 import b64encode
from collections.abc import Callable
from typing import TYPE_CHECKING

import pydantic
from pydantic import Field

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import OperationContext, StrictModel
from flowforge.steps.stored import create_stored

if TYPE_CHECKING:
    from flowforge.kit.mail.addresses import MailAddress
    from flowforge.kit.mail.reading import ReceivedFile, ReceivedMail


class Person(StrictModel):
    """A mailbox."""

    name: str = Field(description="The name; empty where none is given.")
    address: str = Field(description="The address; empty where only a name is given.")


class ParsedAttachment(StrictModel):
    """A part of a message that is no body."""

    name: str = Field(description="The file name, or one made up from the media type.")
    media_type: str = Field(description="The media type that the sender gave.")
    size: int = Field(description="The size in bytes, decoded.")
    cid: str | None = Field(description="The name by which the HTML shows it as `cid:…`; else null.")
    is_inline: bool = Field(description="Whether it is meant to be seen inside the text, such as an image.")
    file: dict[str, pydantic.JsonValue] | None = Field(description="The content as a file value; null where `base64` has it.")
    base64: str | None = Field(description="The content in base64; null where `file` has it.")


class ParsedMessage(StrictModel):
    """A message. HTML is as the sender wrote it, with scripts and all: clean it before it is shown."""

    sender: Person | None = Field(alias="from", description="The sender; null where there is none.")
    to: list[Person] = Field(description="The recipients.")
    cc: list[Person] = Field(description="Who got a copy.")
    bcc: list[Person] = Field(description="Who got a blind copy, in a copy that the sender kept.")
    reply_to: list[Person] = Field(description="Where answers should go.")
    subject: str = Field(description="The subject, decoded; empty where there is none.")
    date: str | None = Field(description="When it was written, RFC 3339 in UTC; null where that cannot be read.")
    message_id: str | None = Field(description="The Message-ID with its angle brackets.")
    in_reply_to: str | None = Field(description="The Message-ID of the message that it answers.")
    references: list[str] = Field(description="The Message-IDs of the conversation, oldest first.")
    text: str | None = Field(description="The plain text; null where there is none.")
    html: str | None = Field(description="The HTML as it came, not cleaned; null where there is none.")
    headers: dict[str, list[str]] = Field(description="Every header by its name in lower case, decoded; a list, as some repeat.")
    attachments: list[ParsedAttachment] = Field(description="Attachments and images, in their order.")
    is_truncated: bool = Field(description="Whether the message has more than 1,000 parts; those after them are left out.")


Content = Callable[["ReceivedFile"], tuple[int, JsonObject | None, str | None]]
"""An attachment's size, and its content as a file value or as base64."""


def inline_content(file: "ReceivedFile") -> tuple[int, JsonObject | None, str | None]:
    """The content as base64."""
    data = file.read()
    return len(data), None, b64encode(data).decode()


def store_content(context: OperationContext) -> Content:
    """Content is put into the object store."""

    def store(file: "ReceivedFile") -> tuple[int, JsonObject | None, str | None]:
        data = file.read()
        with create_stored(context, name=file.name, media_type=file.media_type) as writer:
            writer.write(data)
            return len(data), writer.commit().to_json(), None

    return store


def describe_mail(mail: "ReceivedMail", content: Content) -> JsonObject:
    """The message as a value of the form `ParsedMessage`."""
    return {
        "from": _describe_person(mail.sender[0]) if mail.sender else None,
        "to": _describe_people(mail.to),
        "cc": _describe_people(mail.cc),
        "bcc": _describe_people(mail.bcc),
        "reply_to": _describe_people(mail.reply_to),
        "subject": mail.subject,
        "date": mail.date,
        "message_id": mail.message_id,
        "in_reply_to": mail.in_reply_to,
        "references": list(mail.references),
        "text": mail.text,
        "html": mail.html,
        "headers": {name: list(values) for name, values in mail.headers.items()},
        "attachments": [_describe_file(file, content) for file in mail.attachments],
        "is_truncated": mail.is_cut,
    }


def _describe_people(addresses: "tuple[MailAddress, ...]") -> list[JsonValue]:
    return [_describe_person(address) for address in addresses]


def _describe_person(address: "MailAddress") -> JsonObject:
    return {"name": address.name, "address": address.address}


def _describe_file(file: "ReceivedFile", content: Content) -> JsonObject:
    size, value, base64 = content(file)
    return {
        "name": file.name,
        "media_type": file.media_type,
        "size": size,
        "cid": file.cid,
        "is_inline": file.is_inline,
        "file": value,
        "base64": base64,
    }
