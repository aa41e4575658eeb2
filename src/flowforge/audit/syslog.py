"""Messages of syslog (RFC 5424): over UDP (RFC 5426), TCP with the length before each (RFC 6587, 3.4.1), or a socket of this machine."""

import json
import re
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from flowforge.kit.errors import DependencyError, Detail
from flowforge.kit.values import JsonObject

_FACILITY_AUDIT: Final = 13
_SEVERITY_NOTICE: Final = 5
_PRIORITY: Final = _FACILITY_AUDIT * 8 + _SEVERITY_NOTICE
_APP: Final = "flowforge"
_CHECKPOINT: Final = "audit.checkpoint"
_MESSAGE_MAX_BYTES: Final = 60_000
"""What a datagram takes, with its header."""
_TIMEOUT_S: Final = 10.0
_FAREWELL_S: Final = 1.0
_UNFIT: Final = re.compile(r"[^!-~]")
_PORTS: Final = {"udp": 514, "tcp": 601}


class SyslogError(DependencyError):
    """The syslog server does not take what it is sent."""

    def __init__(self, place: str, reason: str) -> None:
        message = f"The audit log cannot be sent to {place}: {reason}; it is tried again, nothing is left out."
        super().__init__(message, [Detail(field="FLOWFORGE_AUDIT_SYSLOG_URL", message=message, code="syslog_unreachable")])


@dataclass(frozen=True, slots=True)
class SyslogPlace:
    """Where messages go. `host`: for unix the path of the socket."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"unix://{self.host}" if self.scheme == "unix" else f"{self.scheme}://{self.host}:{self.port}"


def read_place(url: str) -> SyslogPlace:
    """The place of AUDIT_SYSLOG_URL, which the settings have checked."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return SyslogPlace("unix", unquote(parts.path), 0)
    return SyslogPlace(parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme])


def send_messages(place: SyslogPlace, lines: Sequence[JsonObject]) -> None:
    """Sends rows or checkpoints, one message each. Blocks.

    Raises:
        SyslogError: the server cannot be reached or does not take them. UDP never tells.
    """
    host = _clean(socket.gethostname(), 255)
    messages = [format_message(line, host) for line in lines]
    try:
        _send(place, messages)
    except OSError as fault:
        raise SyslogError(str(place), fault.strerror or str(fault)) from fault


def format_message(line: JsonObject, host: str) -> bytes:
    """One row or checkpoint as a message. Its text is JSON in ASCII; a row that is too long goes without `before` and `after`."""
    name = _clean(str(line.get("action", _CHECKPOINT)), 32)
    header = f"<{_PRIORITY}>1 {line['time']} {host} {_APP} - {name} - "
    text = _write(line)
    if len(text) > _MESSAGE_MAX_BYTES:
        text = _write({key: value for key, value in line.items() if key not in {"before", "after"}} | {"shortened": True})
    return (header + text).encode()


def _write(line: JsonObject) -> str:
    return json.dumps(line, separators=(",", ":"))


def _send(place: SyslogPlace, messages: Sequence[bytes]) -> None:
    if place.scheme == "tcp":
        with socket.create_connection((place.host, place.port), _TIMEOUT_S) as stream:
            stream.sendall(b"".join(b"%d %b" % (len(message), message) for message in messages))
            stream.shutdown(socket.SHUT_WR)
            stream.settimeout(_FAREWELL_S)
            # A server that has refused what was sent is noticed here; one that does not close its end has taken it.
            with suppress(TimeoutError):
                stream.recv(1)
        return
    with _open_datagrams(place) as sender:
        for message in messages:
            sender.send(message)


def _open_datagrams(place: SyslogPlace) -> socket.socket:
    if place.scheme == "unix":
        family, address = socket.AF_UNIX, place.host
    else:
        family, _, _, _, address = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_DGRAM)[0]
    sender = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sender.settimeout(_TIMEOUT_S)
        sender.connect(address)
    except BaseException:
        sender.close()
        raise
    return sender


def _clean(text: str, length: int) -> str:
    return _UNFIT.sub("_", text)[:length] or "-"
