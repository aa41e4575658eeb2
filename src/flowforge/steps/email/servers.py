"""What the operations that speak to a mail server share."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, Final

from pydantic import Field

from flowforge.kit.egress import EgressError
from flowforge.kit.mail.errors import MailError, MailFault
from flowforge.kit.mail.servers import IMAP_SCHEMES, SMTP_SCHEMES, MailServer, parse_server
from flowforge.operations import MAY_SECRET, ErrorCode, FatalError, RetryableError, StrictModel
from flowforge.steps.outbound import ADDRESS_ERRORS, explain_egress

_NOT_BY_DEFAULT: Final = frozenset({MailFault.TLS, MailFault.PROTOCOL})

SERVER_ERRORS: Final = (
    *(error for error in ADDRESS_ERRORS if error.code != "connection_failed"),
    ErrorCode(
        "connection_failed", "The mail server was not found, not reached, or closed the connection too early.", retryable=True
    ),
    ErrorCode("mail_timeout", "The mail server did not answer in time.", retryable=True),
    ErrorCode("tls", "The mail server's certificate is not trusted, or it offers no encryption where some is required."),
    ErrorCode("mail_auth", "The mail server refused the user, password or token; retried where it says that this is temporary."),
    ErrorCode("mail_server_error", "The mail server refused a command; retried where it says that this is temporary."),
    ErrorCode("server_invalid", "The URL of the mail server cannot be read, or would send a password unprotected."),
)


class ServerParameters(StrictModel):
    """A mail server and how to sign in there."""

    url: Annotated[str, MAY_SECRET] = Field(
        description=(
            "The server: smtps://host:465 or smtp://host:587, imaps://host:993 or imap://host:143, with user:password@ if need be. "
            "Without the s encryption is asked for (STARTTLS) and required; ?tls=none leaves it out."
        ),
        min_length=8,
    )
    user: Annotated[str | None, MAY_SECRET] = Field(default=None, description="The user name, where it is not in the URL.")
    password: Annotated[str | None, MAY_SECRET] = Field(default=None, description="The password, where it is not in the URL.")
    token: Annotated[str | None, MAY_SECRET] = Field(
        default=None, description="An OAuth 2.0 access token, used in place of a password (XOAUTH2)."
    )
    authority: Annotated[str | None, MAY_SECRET] = Field(
        default=None, description="Certificates in PEM that are trusted besides the usual ones."
    )


def read_server(given: ServerParameters, schemes: tuple[str, ...]) -> MailServer:
    """The server. Raises MailError (`server_invalid`), which shows no secret."""
    return parse_server(
        given.url, schemes, user=given.user, password=given.password, token=given.token, authority=given.authority
    )


@contextmanager
def explain_failures() -> Generator[None]:
    """Makes step errors of what goes wrong with mail servers.

    Raises:
        FatalError, RetryableError: with a code of `SERVER_ERRORS`, or another one of the mail kit.
    """
    try:
        yield
    except MailError as error:
        raise explain_mail(error) from error
    except EgressError as error:
        raise explain_egress(error) from error


def name_server(parameters: Mapping[str, Any]) -> str:
    """The host and port, for the effects ledger and for secrets that are bound to hosts. Raises ValueError for a URL that cannot be read.

    The URL is read by the parser whose result is connected to: another one might see another host.
    """
    try:
        return parse_server(str(parameters["server"]["url"]), (*SMTP_SCHEMES, *IMAP_SCHEMES)).place
    except MailError as error:
        raise ValueError(error.message) from error


def explain_mail(error: MailError) -> FatalError | RetryableError:
    """The step's error for one of the mail kit: the same code and sentence, with the server's replies as details."""
    details: Any = {
        **({} if error.status is None else {"status": error.status}),
        **({} if not error.replies else {"rejected": list_replies(error.replies)}),
    }
    if error.is_temporary:
        return RetryableError(error.message, code=error.fault.value, details=details or None)
    if error.fault in _NOT_BY_DEFAULT:
        return RetryableError(error.message, code=error.fault.value, details=details or None, by_default=False)
    return FatalError(error.message, code=error.fault.value, details=details or None)


def list_replies(replies: tuple[tuple[str, int, str], ...]) -> list[dict[str, str | int]]:
    """Refused recipients as values."""
    return [{"address": address, "status": status, "message": message} for address, status, message in replies]
