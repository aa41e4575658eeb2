"""Which credential a request brings. Headers come before cookies, two headers are refused, and the query is never looked at."""

import hashlib
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Sequence
from dataclasses import dataclass, field

from flowforge.identity.cookies import find_cookie
from flowforge.identity.keys import looks_like_key
from flowforge.web.callers import CredentialKind
from flowforge.web.errors import BadRequestError, NotSignedInError


@dataclass(frozen=True, slots=True)
class SentCredential:
    """A credential as it was sent; nothing is known about it yet. `mark`: a digest, by which it is remembered."""

    kind: CredentialKind
    text: str = field(repr=False)
    mark: bytes = b""


NOTHING_SENT = SentCredential(CredentialKind.NONE, "")


def read_credential(headers: Sequence[tuple[bytes, bytes]], cookie_name: str) -> SentCredential:
    """What the headers bring.

    Raises:
        BadRequestError: two headers (`credentials`), or two cookies of our name (`cookie_repeated`).
        NotSignedInError: a header that brings nothing we know.
    """
    sent: list[tuple[bytes, bytes]] = []
    cookies: list[bytes] = []
    for name, value in headers:
        if name in {b"authorization", b"x-api-key"}:
            sent.append((name, value))
        elif name == b"cookie":
            cookies.append(value)
    if len(sent) > 1:
        message = "Send one credential: either Authorization or X-API-Key, and once."
        raise BadRequestError(message, reason="credentials", field="Authorization")
    if sent:
        return _read_header(*sent[0])
    token = find_cookie(cookies, cookie_name) if cookies else None
    return NOTHING_SENT if token is None else _make(CredentialKind.SESSION, token)


def read_bearer(text: str) -> SentCredential:
    """An API key or an access token, as it stands behind `Bearer`. Raises NotSignedInError where it is neither."""
    if looks_like_key(text):
        return _make(CredentialKind.KEY, text)
    if text.count(".") == 2:
        return _make(CredentialKind.TOKEN, text)
    raise NotSignedInError


def read_basic(text: str) -> tuple[str, str]:
    """Email and password of a Basic credential (RFC 7617). Raises NotSignedInError where it is none."""
    try:
        email, separator, password = b64decode(text, validate=True).decode().partition(":")
    except (Base64Error, ValueError):
        raise NotSignedInError from None
    if not separator:
        raise NotSignedInError
    return email, password


def _read_header(name: bytes, value: bytes) -> SentCredential:
    text = value.decode("latin-1")
    if name == b"x-api-key":
        if not looks_like_key(text):
            raise NotSignedInError
        return _make(CredentialKind.KEY, text)
    scheme, _, rest = text.partition(" ")
    match scheme.lower():
        case "bearer":
            return read_bearer(rest)
        case "basic":
            return _make(CredentialKind.BASIC, rest)
        case _:
            raise NotSignedInError


def _make(kind: CredentialKind, text: str) -> SentCredential:
    return SentCredential(kind, text, hashlib.sha256(text.encode()).digest())
