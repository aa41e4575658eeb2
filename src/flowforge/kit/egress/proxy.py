"""A proxy between us and the outside, as the administrator set it."""

import asyncio
import re
import ssl
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from flowforge.kit.egress.addresses import write_endpoint
from flowforge.kit.egress.errors import EgressError, EgressFault
from flowforge.kit.errors import Detail, ValidationError

if TYPE_CHECKING:
    from flowforge.kit.egress.urls import Target

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] (\d{3})(?: |\r\n)")


@dataclass(frozen=True, slots=True)
class Proxy:
    """`authorization` is the value of Proxy-Authorization, which nobody but the proxy is sent."""

    host: str
    port: int
    authorization: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> "Proxy":
        """Reads `http://[user:password@]host:port`, user and password percent-encoded.

        Raises:
            ValidationError: it is not of that form. The message does not hold it, for the password's sake.
        """
        try:
            parts = urlsplit(url.strip())
            host, port = parts.hostname, parts.port
        except ValueError:
            raise _invalid() from None
        if parts.scheme != "http" or not host or not port or parts.path.strip("/") or parts.query or parts.fragment:
            raise _invalid()
        return cls(host, port, _write_authorization(parts.username, parts.password))

    @property
    def endpoint(self) -> str:
        return write_endpoint(self.host, self.port)

    def blame(self, what: str) -> EgressError:
        return EgressError(EgressFault.CONNECTION_FAILED, f"The proxy {self.endpoint} {what}; see EGRESS_PROXY.")


def _write_authorization(user: str | None, password: str | None) -> str | None:
    if user is None:
        return None
    return "Basic " + b64encode(f"{unquote(user)}:{unquote(password or '')}".encode()).decode()


def _invalid() -> ValidationError:
    message = "EGRESS_PROXY is no proxy; write http://host:port or http://user:password@host:port."
    return ValidationError(message, [Detail(field="EGRESS_PROXY", message=message, code="egress_proxy_invalid")])


async def open_tunnel(proxy: Proxy, streams: Streams, target: "Target", tls: ssl.SSLContext | None) -> Streams:
    """Has the proxy connect to the target, and begins TLS with the target through it, if there is to be some.

    Raises:
        EgressError: `connection_failed`, with the proxy's name.
        ssl.SSLError, OSError: TLS with the target failed.
    """
    reader, writer = streams
    lines = [f"CONNECT {target.endpoint} HTTP/1.1", f"Host: {target.endpoint}"]
    if proxy.authorization is not None:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    try:
        writer.write("\r\n".join([*lines, "", ""]).encode())
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise proxy.blame("answered with too much") from None
    except (asyncio.IncompleteReadError, OSError):
        raise proxy.blame("closed the connection") from None
    _check_answer(proxy, head)
    if tls is not None:
        await writer.start_tls(tls, server_hostname=target.host)
    return streams


def _check_answer(proxy: Proxy, head: bytes) -> None:
    status = _STATUS_LINE.match(head)
    if status is None:
        raise proxy.blame("did not answer in HTTP")
    if status[1] == b"407":
        raise proxy.blame("asks for another user or password (407)")
    if not status[1].startswith(b"2"):
        raise proxy.blame(f"refused to connect, with the status {status[1].decode()}")
