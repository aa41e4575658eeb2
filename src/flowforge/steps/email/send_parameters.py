"""What `email.send` takes and gives."""

from collections.abc import Mapping
from typing import Annotated, cast

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from flowforge.operations import MAY_SECRET, FileInput, StrictModel, require_one
from flowforge.steps.email.servers import ServerParameters

Addresses = str | list[str]


def _wrap_file(item: object) -> object:
    """A file value itself stands for an attachment of it."""
    return {"file": cast("object", item)} if isinstance(item, Mapping) and "$file" in item else cast("object", item)


class Attachment(StrictModel):
    """A file to attach: exactly one of `file`, `text` and `base64`. A file value itself can stand in its place."""

    file: FileInput | None = Field(default=None, description="A file value, as a step gave it.")
    text: str | None = Field(default=None, description="The content as text, sent in UTF-8.")
    base64: str | None = Field(default=None, description="The content in base64.")
    name: str | None = Field(default=None, description="The file name; without it the file's own.", max_length=500)
    media_type: str | None = Field(
        default=None, description="The media type, such as application/pdf; without it the file's own, or what the name says.",
        max_length=200,
    )  # fmt: skip

    @model_validator(mode="after")
    def _check_one_content(self) -> "Attachment":
        require_one(self, "file", "text", "base64")
        if self.file is None and self.name is None:
            raise ValueError("give the name of the attachment")
        return self


class Image(StrictModel):
    """An image that the HTML shows as `<img src="cid:…">`: exactly one of `file` and `base64`."""

    cid: str = Field(
        description="The name by which the HTML refers to it: `cid:` and this.", pattern=r"^[A-Za-z0-9._+@-]{1,165}$"
    )
    file: FileInput | None = Field(default=None, description="A file value, as a step gave it.")
    base64: str | None = Field(default=None, description="The content in base64.")
    name: str | None = Field(default=None, description="The file name; without it the file's own, or the cid.", max_length=500)
    media_type: str | None = Field(
        default=None, description="The media type, such as image/png; without it the file's own, or what the name says.",
        max_length=200,
    )  # fmt: skip

    @model_validator(mode="after")
    def _check_one_content(self) -> "Image":
        require_one(self, "file", "base64")
        return self


class SendParameters(StrictModel):
    """A mail. Addresses are written `ada@example.com` or `Ada Lovelace <ada@example.com>`, one or a list."""

    to: Addresses = Field(default_factory=list[str], description="To whom: one address or a list.")
    cc: Addresses = Field(default_factory=list[str], description="Who gets a copy.")
    bcc: Addresses = Field(default_factory=list[str], description="Who gets a copy that the others do not see.")
    sender: str | None = Field(
        default=None, alias="from", description="From whom; without it the installation's MAIL_FROM, else flowforge@localhost."
    )
    reply_to: Addresses = Field(default_factory=list[str], description="Where answers should go.")
    subject: str = Field(description="The subject, one line.", max_length=2_000)
    text: str | None = Field(default=None, description="The plain text; without it one is made of the HTML.")
    html: str | None = Field(default=None, description="The HTML; images come from `images` by `cid:` or from the web.")
    attachments: list[Annotated[Attachment, BeforeValidator(_wrap_file)]] = Field(
        default_factory=list[Attachment], description="Files to attach: file values, texts or base64.", max_length=100
    )
    images: list[Image] = Field(default_factory=list[Image], description="Images inside the HTML.", max_length=100)
    headers: dict[str, str] = Field(
        default_factory=dict[str, str],
        description="More headers: X-…, List-… (List-Unsubscribe), In-Reply-To, References, Auto-Submitted and a few more.",
        max_length=50,
    )
    server: Annotated[ServerParameters | None, MAY_SECRET] = Field(
        default=None,
        description="The SMTP server; without it the installation's SMTP_URL, and without that the mail/ outbox folder.",
    )

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        # Start-up cost: the library of messages takes 15 ms to import.
        from flowforge.kit.mail.composing import find_header_fault

        for name, value in headers.items():
            fault = find_header_fault(name, value)
            if fault is not None:
                raise PydanticCustomError(fault.fault.value, "{reason}", {"reason": fault.message})
        return headers

    @model_validator(mode="after")
    def _check_content(self) -> "SendParameters":
        if self.text is None and not (self.html or "").strip():
            raise ValueError("give text or html")
        cids = [image.cid for image in self.images]
        if len(set(cids)) < len(cids):
            raise ValueError("two images have the same cid")
        missing = [cid for cid in cids if f"cid:{cid}" not in (self.html or "")]
        if missing:
            raise ValueError(f"the html does not show the image cid:{missing[0]}")
        return self


class Rejection(StrictModel):
    """A recipient that the server did not take."""

    address: str = Field(description="The address.")
    status: int = Field(description="The server's reply code: 4yz is temporary, 5yz is for good.")
    message: str = Field(description="The server's words.")


class SendResult(StrictModel):
    """What became of the mail."""

    message_id: str = Field(description="The Message-ID, the same at every attempt of the step.")
    accepted: list[str] = Field(description="The recipients that the server, or the outbox, took.")
    rejected: list[Rejection] = Field(description="The recipients that it refused, where it took others.")
    outbox: str | None = Field(description="Where the mail lies below the data folder, when no server is set; else null.")
