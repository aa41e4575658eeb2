"""From which address a request came, and by which scheme, where proxies stand between."""

import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final

_HOPS_MAX: Final = 20
"""What stands further left in X-Forwarded-For was written by whoever asked."""
_WITH_PORT: Final = re.compile(r"\[([0-9A-Fa-f:.]{2,45})\](?::\d{1,5})?|(\d{1,3}(?:\.\d{1,3}){3}):\d{1,5}")

Scope = Mapping[str, Any]


def find_address(scope: Scope, trusted: str) -> str:
    """The IP address that a request came from, in its short form; an IPv4 address inside an IPv6 one is written as IPv4.

    `trusted`: the setting TRUSTED_PROXIES. X-Forwarded-For is believed as far as proxies that are listed have written it: from the right
    to the left, up to the first address that is none of theirs. Without a peer (a Unix socket) the address is empty.
    """
    address = normalize_address(_find_peer(scope))
    if not trusted or not is_trusted(address, trusted):
        return address
    for hop in _list_hops(scope):
        written = normalize_address(hop)
        if not written:
            break
        address = written
        if not is_trusted(written, trusted):
            break
    return address


def is_https(scope: Scope, trusted: str) -> bool:
    """Whether the one who asked used https: to us, or to a proxy that is trusted and says so (X-Forwarded-Proto)."""
    if scope.get("scheme") in {"https", "wss"}:
        return True
    if not trusted or not is_trusted(normalize_address(_find_peer(scope)), trusted):
        return False
    told = [value for name, value in scope["headers"] if name == b"x-forwarded-proto"]
    return len(told) == 1 and told[0].strip().lower() == b"https"


def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own."""
    return address == "::1" or address.startswith("127.")


@lru_cache(maxsize=4_096)
def normalize_address(text: str) -> str:
    """One way to write each address; empty where the text is none. A port after it is taken off."""
    match = _WITH_PORT.fullmatch(text.strip())
    bare = (match[1] or match[2]) if match else text.strip()
    try:
        address = ip_address(bare)
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or IPv6Address(int(address)))
    return str(address)


@lru_cache(maxsize=4_096)
def is_trusted(address: str, trusted: str) -> bool:
    """Whether TRUSTED_PROXIES lists the address."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return any(found.version == network.version and found in network for network in parse_networks(trusted))


@cache
def parse_networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """The networks of a comma list of addresses and networks (CIDR).

    Raises:
        ValueError: one of them is none.
    """
    return tuple(ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())


def _find_peer(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def _list_hops(scope: Scope) -> Iterator[str]:
    """What X-Forwarded-For names, the nearest first."""
    told = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
    yield from reversed(told.decode("latin-1").split(",")[-_HOPS_MAX:])
