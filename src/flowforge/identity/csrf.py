"""Whether a request of a browser was made by one of our own pages."""

import hmac
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from flowforge.kit.settings import Settings
from flowforge.web.errors import CsrfError

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK_HOSTS: Final = ("127.0.0.1", "localhost", "[::1]")
_OUR_SITES: Final = frozenset({"same-origin", "same-site", "none"})
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def check_origin(connection: HTTPConnection, settings: Settings) -> None:
    """For sign-ins, which have no session yet: an Origin that is sent must be ours.

    Raises:
        CsrfError: it is another site's.
    """
    origins, sites = _list_values(connection, b"origin"), _list_values(connection, b"sec-fetch-site")
    if any(not is_our_origin(origin, connection, settings) for origin in origins):
        raise CsrfError
    if any(site not in _OUR_SITES for site in sites):
        raise CsrfError


def check_change(connection: HTTPConnection, settings: Settings, csrf: str | None) -> None:
    """For changes with a credential that a browser adds by itself. `csrf`: the token of the session, which must come back in a header.

    Raises:
        CsrfError: the token is missing or of another session, or the request came from another site, or from none that it tells.
    """
    if not _list_values(connection, b"origin") and not _list_values(connection, b"sec-fetch-site"):
        raise CsrfError
    check_origin(connection, settings)
    if csrf is None:
        return
    sent = _list_values(connection, b"x-csrf-token")
    if len(sent) != 1 or not hmac.compare_digest(sent[0].encode(), csrf.encode()):
        raise CsrfError


def is_our_origin(origin: str, connection: HTTPConnection, settings: Settings) -> bool:
    """Whether an Origin is that of PUBLIC_URL or PORTAL_URL, or loopback with our port."""
    allowed = {_make_origin(url) for url in (settings.public_url, settings.portal_url) if url is not None}
    port = settings.port or _find_port(connection)
    allowed.update(f"http://{host}:{port}" for host in _LOOPBACK_HOSTS)
    return origin in allowed


def _make_origin(url: str) -> str:
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    default = _DEFAULT_PORTS.get(parts.scheme)
    return f"{parts.scheme}://{host}" if parts.port in {None, default} else f"{parts.scheme}://{host}:{parts.port}"


def _find_port(connection: HTTPConnection) -> int:
    server: Any = connection.scope.get("server")
    return int(server[1] or 0) if server else 0


def _list_values(connection: HTTPConnection, name: bytes) -> Sequence[str]:
    return [value.decode("latin-1") for key, value in connection.scope["headers"] if key == name]
