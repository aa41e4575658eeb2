"""Where a mail server is, and how to sign in there."""

import re
import ssl
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from flowforge.kit.egress.addresses import write_endpoint
from flowforge.kit.mail.errors import MailError, MailFault

URL_MAX_CHARACTERS: Final = 4_096
_CONTROL_OR_SPACE: Final = re.compile(r"[\x00-\x20\x7f]")
_HOST: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*")


class TlsMode(StrEnum):
    """How a connection becomes private: at once, after a command (STARTTLS), or never."""

    IMPLICIT = "implicit"
    STARTTLS = "starttls"
    NONE = "none"


SMTP_SCHEMES: Final = ("smtp", "smtps")
IMAP_SCHEMES: Final = ("imap", "imaps")
_SCHEMES: Final = {
    "smtps": (465, TlsMode.IMPLICIT),
    "smtp": (587, TlsMode.STARTTLS),
    "imaps": (993, TlsMode.IMPLICIT),
    "imap": (143, TlsMode.STARTTLS),
}


@dataclass(frozen=True, slots=True)
class MailServer:
    """A server of a URL. `token` is an OAuth 2.0 access token, used in place of the password (XOAUTH2). Its text never shows a secret."""

    host: str
    port: int
    tls: TlsMode
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    authority: str | None = field(default=None, repr=False)
    """Certificates in PEM that are trusted besides those of the machine."""

    @property
    def place(self) -> str:
        return write_endpoint(self.host, self.port)

    def make_tls_context(self) -> ssl.SSLContext:
        """Certificates are always checked. Reads files: call it from a thread. Raises MailError where `authority` is none."""
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.authority is not None:
            try:
                context.load_verify_locations(cadata=self.authority)
            except (ssl.SSLError, ValueError):
                raise _refuse("its authority is no certificate in PEM") from None
        return context


def parse_server(
    url: str,
    schemes: tuple[str, ...],
    *,
    user: str | None = None,
    password: str | None = None,
    token: str | None = None,
    authority: str | None = None,
) -> MailServer:
    """The server of `smtp://`, `smtps://`, `imap://` or `imaps://` with `user:password@` (percent-encoded), a port, and `?tls=none`.

    `user`, `password` and `token` given apart win over those of the URL. Without TLS at once, STARTTLS is required, unless the host is
    loopback or `?tls=none` says otherwise; signing in over a connection that is not private is refused.

    Raises:
        MailError: `server_invalid`; the message never shows the URL, which may hold a password.
    """
    if len(url) > URL_MAX_CHARACTERS or _CONTROL_OR_SPACE.search(url):
        raise _refuse("it is too long, or holds a space or a line break")
    if "\\" in url or url.count("@") > 1:
        raise _refuse("it holds a backslash, or an @ in the user or password, which is written %40")
    try:
        parsed = urlsplit(url)
        port = parsed.port
    except ValueError:
        raise _refuse("its host or port cannot be read") from None
    if parsed.scheme not in schemes:
        raise _refuse(f"it begins with none of {', '.join(f'{scheme}://' for scheme in schemes)}")
    if parsed.path not in {"", "/"} or parsed.fragment:
        raise _refuse("something stands behind the port")
    usual_port, mode = _SCHEMES[parsed.scheme]
    host = _read_host(parsed)
    mode = _read_mode(parsed, mode, host)
    server = MailServer(
        host,
        usual_port if port is None else port,
        mode,
        user if user is not None else _unquote(parsed.username),
        password if password is not None else _unquote(parsed.password),
        token,
        authority,
    )
    _check_sign_in(server)
    return server


def _read_host(parsed: SplitResult) -> str:
    host = (parsed.hostname or "").removesuffix(".")
    if not host or len(host) > 253 or not (_HOST.fullmatch(host) or _is_address(host)):
        raise _refuse("it has no host, or one with characters that a host cannot have")
    return host


def _read_mode(parsed: SplitResult, mode: TlsMode, host: str) -> TlsMode:
    options = dict(parse_qsl(parsed.query, keep_blank_values=True))
    asked = options.pop("tls", None)
    if options or asked not in {None, "none", "starttls"} or (asked is not None and mode is TlsMode.IMPLICIT):
        raise _refuse("behind the ? only tls=none or tls=starttls can stand, and not with a scheme that ends in s")
    if asked is not None:
        return TlsMode(asked)
    return TlsMode.NONE if mode is TlsMode.STARTTLS and is_loopback(host) else mode


def _check_sign_in(server: MailServer) -> None:
    if server.port == 0:
        raise _refuse("its port is not between 1 and 65535")
    if (server.password is not None or server.token is not None) and not server.user:
        raise _refuse("it has a password or a token, but no user")
    if server.user and server.tls is TlsMode.NONE and not is_loopback(server.host):
        raise _refuse("it would send a password over a connection that anybody can read; leave tls=none out")
    for secret in (server.user, server.password, server.token):
        if secret is not None and any(char < " " or char == "\x7f" for char in secret):
            raise _refuse("its user, password or token holds a line break or another control character")


def _unquote(part: str | None) -> str | None:
    return None if part is None else unquote(part)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether the host, as it is written, is this machine."""
    return host == "localhost" or (_is_address(host) and ip_address(host).is_loopback)


def _refuse(why: str) -> MailError:
    return MailError(MailFault.SERVER_INVALID, f"The address of the mail server cannot be used: {why}.")
