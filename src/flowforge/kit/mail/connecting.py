"""Sockets to addresses that were judged before."""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from ipaddress import ip_address

from flowforge.kit.mail.errors import MailError, MailFault
from flowforge.kit.mail.servers import MailServer
from flowforge.kit.tls import describe_tls_failure

Place = tuple[str, int]
"""An IP address, judged before, and a port."""


async def find_by_system(server: MailServer) -> list[Place]:
    """Where to find a server that the administrator named: it is not judged.

    Raises:
        MailError: `connection_failed`: the name has no address.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise MailError(MailFault.CONNECTION_FAILED, f"The mail server {server.host} could not be found ({error}).") from error
    return [(str(place[0]), server.port) for *_, place in found]


async def connect(server: MailServer, places: Sequence[Place], timeout_s: float) -> socket.socket:
    """A socket to the first of the places that answers, within the time. The caller closes it.

    Raises:
        MailError: `connection_failed`.
    """
    last_error: Exception | None = None
    for place in places:
        made = _make_socket(place[0])
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.get_running_loop().sock_connect(made, place)
        except (OSError, TimeoutError) as error:
            made.close()
            last_error = error
        except BaseException:
            made.close()
            raise
        else:
            return made
    raise _explain(server, last_error) from last_error


def connect_blocking(server: MailServer, places: Sequence[Place], timeout_s: float) -> socket.socket:
    """As `connect`, for a thread."""
    last_error: OSError | None = None
    for place in places:
        try:
            return socket.create_connection(place, timeout=timeout_s)
        except OSError as error:
            last_error = error
    raise _explain(server, last_error) from last_error


def _make_socket(address: str) -> socket.socket:
    family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setblocking(False)
    return made


def _explain(server: MailServer, error: Exception | None) -> MailError:
    why = "no answer in time" if isinstance(error, TimeoutError) else error
    return MailError(MailFault.CONNECTION_FAILED, f"The mail server {server.place} could not be connected to ({why}).")


def explain_tls(server: MailServer, error: ssl.SSLError) -> MailError:
    """A handshake that failed, as an error that another attempt will not mend."""
    return MailError(MailFault.TLS, f"No trusted connection to the mail server {server.place}: {describe_tls_failure(error)}.")
