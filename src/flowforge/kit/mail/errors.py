"""What can go wrong with mail."""

from enum import StrEnum
from typing import Final

from flowforge.kit.errors import DependencyError


class MailFault(StrEnum):
    """Error codes of mail; a step's error carries the same."""

    ADDRESS_INVALID = "address_invalid"
    HEADER_INVALID = "header_invalid"
    HEADER_RESERVED = "header_reserved"
    TOO_LARGE = "mail_too_large"
    SERVER_INVALID = "server_invalid"
    CONNECTION_FAILED = "connection_failed"
    TLS = "tls"
    TIMEOUT = "mail_timeout"
    AUTH = "mail_auth"
    PROTOCOL = "mail_server_error"
    SENDER_REFUSED = "sender_refused"
    RECIPIENTS_REFUSED = "recipients_refused"
    MESSAGE_REFUSED = "message_refused"
    UTF8_MISSING = "smtputf8_missing"
    FOLDER_MISSING = "folder_missing"
    FOLDER_CHANGED = "uid_validity_changed"


ALWAYS_RETRYABLE: Final = frozenset({MailFault.CONNECTION_FAILED, MailFault.TIMEOUT})


class MailError(DependencyError):
    """A mail was not sent or not read; nothing of it was done unless the message says so.

    `is_temporary` says whether the same may succeed later; a server says so with a reply of the class 4yz. `replies` holds what a server
    said of each recipient: address, status, text.
    """

    def __init__(
        self,
        fault: MailFault,
        message: str,
        *,
        is_temporary: bool | None = None,
        status: int | None = None,
        replies: tuple[tuple[str, int, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.fault = fault
        self.is_temporary = fault in ALWAYS_RETRYABLE if is_temporary is None else is_temporary
        self.status = status
        self.replies = replies
