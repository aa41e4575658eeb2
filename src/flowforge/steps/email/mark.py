"""`email.mark`."""

from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field, field_validator, model_validator

from flowforge.kit.mail.mailer import Mailer
from flowforge.kit.mail.servers import IMAP_SCHEMES
from flowforge.operations import MAY_SECRET, Example, Nature, OperationContext, StrictModel, operation
from flowforge.steps.email.fetch import FOLDER_CHANGED, FOLDER_MISSING, check_text, open_folder
from flowforge.steps.email.servers import (
    SERVER_ERRORS,
    ServerParameters,
    explain_failures,
    name_server,
    read_server,
)

if TYPE_CHECKING:
    from flowforge.kit.mail.mailbox import Mailbox

_UID_MAX: Final = 2**32 - 1
Uid = Annotated[int, Field(ge=1, le=_UID_MAX)]


class MarkParameters(StrictModel):
    """Which messages, and what becomes of them."""

    server: Annotated[ServerParameters, MAY_SECRET] = Field(description="The IMAP server and the user whose mailbox it is.")
    folder: str = Field(default="INBOX", description="The folder that the messages are in.", max_length=500)
    uids: list[Uid] = Field(description="The numbers of the messages, as `email.fetch` gave them.", max_length=1_000)
    uid_validity: int = Field(
        description="The `uid_validity` that came with them; the step fails if it has changed.", ge=0, le=_UID_MAX
    )
    seen: bool | None = Field(default=None, description="true marks them as seen, false as not seen.")
    flagged: bool | None = Field(default=None, description="true sets the flag, false takes it away.")
    move_to: str | None = Field(default=None, description="A folder to move them to.", max_length=500)
    delete: bool = Field(default=False, description="Whether to delete them for good.")

    @field_validator("folder", "move_to")
    @classmethod
    def _check_folder(cls, folder: str | None) -> str | None:
        return check_text(folder)

    @model_validator(mode="after")
    def _check_change(self) -> "MarkParameters":
        if self.seen is None and self.flagged is None and self.move_to is None and not self.delete:
            raise ValueError("give at least one of seen, flagged, move_to and delete")
        if self.move_to is not None and self.delete:
            raise ValueError("give move_to or delete, not both")
        return self


class MarkResult(StrictModel):
    """What was marked."""

    count: int = Field(description="How many numbers were sent to the server; messages that are gone are passed over by it.")


@operation(
    "email.mark",
    title="Mark, move or delete mail",
    category="email",
    icon="mail-check",
    nature=Nature.EFFECT,
    errors=(FOLDER_MISSING, FOLDER_CHANGED, *SERVER_ERRORS),
    target=name_server,
    examples=(
        Example(
            "What was handled is marked as seen",
            {
                "server": {
                    "url": "imaps://imap.example.com",
                    "user": "shop@example.com",
                    "password": "${{ secrets.MAIL_PASSWORD }}",
                },
                "uids": [101],
                "uid_validity": 1767322800,
                "seen": True,
            },
            {"count": 1},
        ),
    ),
)
async def mark(parameters: MarkParameters, context: OperationContext) -> MarkResult:
    """Marks messages of a mailbox as seen or flagged, moves them to a folder, or deletes them.

    Put it behind the steps that handle what `email.fetch` gave: what is not marked comes again, so nothing is lost. Doing it twice does no
    harm. A folder to move to must exist. Where the server cannot delete single messages (no UIDPLUS), they are marked as deleted, and go
    when somebody tidies the folder.
    """
    with explain_failures():
        server = read_server(parameters.server, IMAP_SCHEMES)
        if not parameters.uids:
            return MarkResult(count=0)
        return await context.service(Mailer).visit(server, lambda mailbox: _mark(mailbox, parameters))


def _mark(mailbox: "Mailbox", parameters: MarkParameters) -> MarkResult:
    uids = sorted(set(parameters.uids))
    open_folder(mailbox, parameters.folder, parameters.uid_validity, is_readonly=False)
    if parameters.seen is not None:
        mailbox.mark(uids, flag=r"\Seen", is_set=parameters.seen)
    if parameters.flagged is not None:
        mailbox.mark(uids, flag=r"\Flagged", is_set=parameters.flagged)
    if parameters.move_to is not None:
        mailbox.move(uids, parameters.move_to)
    if parameters.delete:
        mailbox.delete(uids)
    return MarkResult(count=len(uids))
