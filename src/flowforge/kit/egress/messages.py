"""Requests and responses of the guarded client, and the checks that need no network."""

import re
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Final

from flowforge.kit.egress.errors import EgressError, EgressFault

Headers = tuple[tuple[str, str], ...]

DEPTH_HEADER: Final = "FlowForge-Depth"
DEPTH_MAX: Final = 5
RETRY_AFTER_MAX_MS: Final = 3_600_000

_METHOD: Final = re.compile(r"[A-Z]{1,20}")
_METHODS_REFUSED: Final = frozenset({"CONNECT", "TRACE"})
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_RESERVED: Final = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "flowforge-depth",
        "host",
        "http2-settings",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_RESERVED_PREFIXES: Final = ("proxy-", ":")
_KEPT_ACROSS_HOSTS: Final = frozenset(
    {"accept", "accept-encoding", "accept-language", "content-type", "idempotency-key", "user-agent", DEPTH_HEADER.lower()}
)


@dataclass(frozen=True, slots=True)
class BodySource:
    """A body that is sent piece by piece. `open` begins it from its first byte; it is called again for a redirect that keeps the body."""

    size_bytes: int
    open: Callable[[], AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """What we show to a server that asks who we are: the certificate, with those between it and its authority, and its private key."""

    certificate_pem: str
    key_pem: str = field(repr=False)
    key_password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class EgressRequest:
    """One request. `depth` counts the FlowForge calls that led to it; `follows_redirects` false hands a redirect back as it is.

    `client_certificate` is shown to the host of `url` and to no other that a redirect leads to. `authority_pem` holds certificates of
    authorities that are trusted beside the usual ones. With `http2`, HTTP/2 is offered to an https server, which may choose it.
    """

    method: str
    url: str
    headers: Headers = ()
    body: bytes | BodySource | None = None
    depth: int = 0
    follows_redirects: bool = True
    client_certificate: ClientCertificate | None = None
    authority_pem: str | None = None
    http2: bool = False


@dataclass(frozen=True, slots=True)
class EgressResponse:
    """A complete answer, decoded. Header names are lower-case, repeated ones joined by `, `. `url` is the one that answered in the end.

    `retry_after_ms` is the server's Retry-After, at most 1 h; None if there is none, or it makes no sense, or has passed.
    `http_version` is what was spoken: `HTTP/1.1`, `HTTP/2`.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    url: str
    retry_after_ms: int | None = None
    http_version: str = "HTTP/1.1"


def check_method(method: str) -> None:
    if not _METHOD.fullmatch(method) or method in _METHODS_REFUSED:
        raise EgressError(EgressFault.HEADER_INVALID, f"The method {method[:40]!r} cannot be sent; use one such as GET or POST.")


def find_header_fault(name: str, value: str) -> EgressError | None:
    """Why a caller may not set the header; None if it may."""
    if not _HEADER_NAME.fullmatch(name):
        return EgressError(EgressFault.HEADER_INVALID, f"{name[:40]!r} cannot be the name of a header.")
    if _is_reserved(name):
        return EgressError(EgressFault.HEADER_RESERVED, f"The header {name} is set by FlowForge itself; leave it out.")
    if _CONTROL.search(value):
        return EgressError(EgressFault.HEADER_INVALID, f"The header {name} holds a line break or another control character.")
    return None


def check_headers(headers: Headers) -> None:
    for name, value in headers:
        fault = find_header_fault(name, value)
        if fault is not None:
            raise fault


def _is_reserved(name: str) -> bool:
    lowered = name.lower()
    return lowered in _RESERVED or lowered.startswith(_RESERVED_PREFIXES)


def keep_harmless_headers(headers: Headers) -> Headers:
    """What may go along when a redirect leads to another host: nothing that could be a credential."""
    return tuple((name, value) for name, value in headers if name.lower() in _KEPT_ACROSS_HOSTS)


def join_headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def read_retry_after(value: str | None, now_ms: int) -> int | None:
    """Milliseconds from now, at most 1 h, of a Retry-After header: seconds or an HTTP date. None for anything else and for the past."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:10]) * 1000, RETRY_AFTER_MAX_MS)
    try:
        after_ms = int(parsedate_to_datetime(text).timestamp() * 1000) - now_ms
    except (ValueError, OverflowError):
        return None
    return min(after_ms, RETRY_AFTER_MAX_MS) if after_ms > 0 else None
