"""The two cookies of a browser's session: one that names it, and one that its own pages read to send back (CSRF)."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from flowforge.identity.types_accounts import SignedInSession
from flowforge.kit.settings import Settings
from flowforge.web.addresses import is_loopback
from flowforge.web.errors import BadRequestError

_SID: Final = "flowforge_sid"
_CSRF: Final = "flowforge_csrf"
_HOST_ONLY: Final = "__Host-"


def is_plain(settings: Settings) -> bool:
    """Whether people reach this server by http on their own machine, where browsers take no `__Host-` cookies."""
    if settings.public_url is None:
        return True
    parts = urlsplit(settings.public_url)
    return parts.scheme == "http" and (parts.hostname == "localhost" or is_loopback(parts.hostname or ""))


def name_session_cookie(settings: Settings) -> str:
    """The name of the cookie that names a session."""
    return _SID if is_plain(settings) else _HOST_ONLY + _SID


def name_csrf_cookie(settings: Settings) -> str:
    """The name of the cookie that pages read."""
    return _CSRF if is_plain(settings) else _HOST_ONLY + _CSRF


def set_session_cookies(connection: HTTPConnection, settings: Settings, session: SignedInSession) -> None:
    """Lets the answer to this request put both cookies into the browser."""
    age_s = max((session.expires_at_ms - session.created_at_ms) // 1000, 0)
    _add(connection, settings, session.token, session.csrf, age_s)


def clear_session_cookies(connection: HTTPConnection, settings: Settings) -> None:
    """Lets the answer to this request take both cookies away."""
    _add(connection, settings, "", "", 0)


def _add(connection: HTTPConnection, settings: Settings, token: str, csrf: str, age_s: int) -> None:
    secure = "" if is_plain(settings) else "; Secure"
    rules = f"Path=/; Max-Age={age_s}; SameSite=Lax{secure}"
    headers: list[tuple[bytes, bytes]] = connection.scope["state"].setdefault("answer_headers", [])
    headers.append((b"set-cookie", f"{name_session_cookie(settings)}={token}; {rules}; HttpOnly".encode()))
    headers.append((b"set-cookie", f"{name_csrf_cookie(settings)}={csrf}; {rules}".encode()))


def find_cookie(headers: Sequence[bytes], name: str) -> str | None:
    """The value of a cookie in the `Cookie` headers; None where there is none, or an empty one.

    Raises:
        BadRequestError: there are two of that name (`cookie_repeated`): a neighbouring site may have planted one.
    """
    found = [
        value.strip()
        for header in headers
        for key, _, value in (part.partition("=") for part in header.decode("latin-1").split(";"))
        if key.strip() == name
    ]
    if len(found) > 1:
        message = f"The cookie {name} came twice; delete the cookies of this site and sign in again."
        raise BadRequestError(message, reason="cookie_repeated", field="Cookie")
    return found[0] or None if found else None
