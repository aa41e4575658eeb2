"""`email.parse`."""

from typing import Final, Literal

from pydantic import Field, model_validator

from flowforge.kit.values import JsonObject
from flowforge.operations import (
    ErrorCode,
    Example,
    FatalError,
    FileInput,
    Nature,
    OperationContext,
    StrictModel,
    operation,
    require_one,
)
from flowforge.steps.email.messages import ParsedMessage, describe_mail, inline_content, store_content
from flowforge.steps.encoded import decode_base64
from flowforge.steps.stored import FILE_TOO_LARGE, STORED_ERRORS, read_stored

DATA_MAX_BYTES: Final = 10 * 2**20
FILE_MAX_BYTES: Final = 25 * 2**20


class ParseParameters(StrictModel):
    """A message, exactly one of `data` and `file`."""

    data: str | None = Field(default=None, description="The message as it was sent (RFC 5322), headers first; at most 10 MiB.")
    data_encoding: Literal["text", "base64"] = Field(default="text", description="How `data` is written.")
    file: FileInput | None = Field(
        default=None, description="The message as a file value (.eml), at most 25 MiB; attachments then come as files too."
    )

    @model_validator(mode="after")
    def _check_one(self) -> "ParseParameters":
        require_one(self, "data", "file")
        return self


def parse_file(parameters: ParseParameters, context: OperationContext) -> ParsedMessage:
    """The form for a file: attachments are put into the object store."""
    # Start-up cost: the operation is listed more often than called.
    from flowforge.kit.mail.reading import read_mail

    data = read_stored(context, parameters.file or {}, max_bytes=FILE_MAX_BYTES)
    return ParsedMessage.model_validate(describe_mail(read_mail(data), store_content(context)))


_EXAMPLE: Final = (
    "From: Ada Lovelace <ada@example.com>\r\nTo: shop@example.com\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    "Date: Fri, 2 Jan 2026 04:04:05 +0100\r\nMessage-ID: <1@example.com>\r\n\r\nHello!\r\n"
)
_EXAMPLE_HEADERS: Final[JsonObject] = {
    "from": ["Ada Lovelace <ada@example.com>"],
    "to": ["shop@example.com"],
    "subject": ["Grüße"],
    "date": ["Fri, 2 Jan 2026 04:04:05 +0100"],
    "message-id": ["<1@example.com>"],
}


@operation(
    "email.parse",
    title="Read a mail",
    category="email",
    icon="mail-open",
    nature=Nature.PURE,
    with_file=parse_file,
    errors=(
        ErrorCode("base64_invalid", "The data is no base64."),
        ErrorCode("data_too_large", "The data is larger than 10 MiB; give it as a file."),
        FILE_TOO_LARGE,
        *STORED_ERRORS,
    ),
    examples=(
        Example(
            "A message as text",
            {"data": _EXAMPLE},
            {
                "from": {"name": "Ada Lovelace", "address": "ada@example.com"},
                "to": [{"name": "", "address": "shop@example.com"}],
                "cc": [],
                "bcc": [],
                "reply_to": [],
                "subject": "Grüße",
                "date": "2026-01-02T03:04:05Z",
                "message_id": "<1@example.com>",
                "in_reply_to": None,
                "references": [],
                "text": "Hello!\n",
                "html": None,
                "headers": _EXAMPLE_HEADERS,
                "attachments": [],
                "is_truncated": False,
            },
        ),
    ),
)
def parse(parameters: ParseParameters) -> ParsedMessage:
    """Reads a message (RFC 5322, MIME): who, when, subject, texts, attachments.

    Whatever the bytes are, something comes out: broken encodings are read as far as they go, unknown character sets as UTF-8 or
    Windows-1252, a date that is none is null. At most 1,000 parts and 20 levels are read; what lies deeper is an attachment. A forwarded
    message is an attachment of the type message/rfc822, to be read by another `email.parse`. A text above 1 MiB is an attachment. The HTML
    is the sender's, not cleaned.
    """
    # Start-up cost, as above.
    from flowforge.kit.mail.reading import read_mail

    return ParsedMessage.model_validate(describe_mail(read_mail(_read_data(parameters)), inline_content))


def _read_data(parameters: ParseParameters) -> bytes:
    written = parameters.data or ""
    data = written.encode() if parameters.data_encoding == "text" else decode_base64(written, "data")
    if len(data) > DATA_MAX_BYTES:
        raise FatalError("data: the message is larger than 10 MiB; give it as a file.", code="data_too_large")
    return data
