"""Email addresses of people: as they are written to, and as they are compared."""

import unicodedata
from typing import Final

from flowforge.identity.errors_accounts import EmailInvalidError
from flowforge.kit.mail.addresses import parse_address
from flowforge.kit.mail.errors import MailError

_MOST_CHARACTERS: Final = 320


def read_email(text: str) -> str:
    """The bare address, its domain in ASCII.

    Raises:
        EmailInvalidError: it is none.
    """
    try:
        address = parse_address(text.strip()).address
    except MailError:
        raise EmailInvalidError from None
    if len(address) > _MOST_CHARACTERS or "@" not in address:
        raise EmailInvalidError
    return address


def make_email_key(email: str) -> str:
    """The form in which two writings of one address are equal: upper and lower case do not count."""
    return unicodedata.normalize("NFC", email).casefold()[:_MOST_CHARACTERS]
