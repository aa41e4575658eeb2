"""Which IP addresses belong to the public internet.

The tables follow the IANA special-purpose address registries (IPv4 and IPv6) and not `ipaddress.is_global`, whose answer changed
between patch releases of Python.
"""

from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


_REMEMBERED: Final = 4_096
"""Addresses whose reading and judgement are kept: both depend on the address alone, and a host's come again and again."""


def write_endpoint(host: str, port: int) -> str:
    """`host:port`; an IPv6 address stands in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class _Ranges:
    """Networks of one version that do not overlap; asked in half a microsecond, where sixteen `in network` take ten."""

    def __init__(self, networks: Iterable[Network]) -> None:
        ranges = sorted((int(network.network_address), int(network.broadcast_address)) for network in networks)
        self._firsts = [first for first, _ in ranges]
        self._lasts = [last for _, last in ranges]

    def __contains__(self, address: Address) -> bool:
        number = int(address)
        place = bisect_right(self._firsts, number) - 1
        return place >= 0 and number <= self._lasts[place]


_IPV4_NOT_PUBLIC: Final = _Ranges(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # shared address space of carriers; some clouds put their metadata service there
        "127.0.0.0/8",
        "168.63.129.16/32",  # a public number that one cloud uses for its host agent
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments; some clouds put their metadata service there
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_IPV6_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_IPV6_NOT_PUBLIC: Final = _Ranges(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",
        "2002::/16",  # 6to4: what it wraps is judged before
        "3fff::/20",
    )
)
_WRAPPING: Final = _Ranges(IPv6Network(text) for text in ("::/96", "::ffff:0:0/96", "64:ff9b::/96", "2002::/16"))
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_COMPATIBLE: Final = IPv6Network("::/96")
_NAT64: Final = IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR: Final = IPv6Network("2002::/16")

_ONLY_BY_ADDRESS: Final[tuple[Network, ...]] = (
    IPv4Network("0.0.0.0/8"),
    IPv4Network("100.100.100.200/32"),
    IPv4Network("168.63.129.16/32"),
    IPv4Network("169.254.0.0/16"),
    IPv4Network("192.0.0.0/24"),
    IPv4Network("224.0.0.0/3"),
    IPv6Network("fd00:ec2::254/128"),
    IPv6Network("fe80::/10"),
    IPv6Network("ff00::/8"),
)


@lru_cache(_REMEMBERED)
def parse_address(text: str) -> Address | None:
    """The address that the text writes in full (`10.0.0.1`, `::1`, `fe80::1%eth0`, its zone left out); None for anything else."""
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None


def unwrap(address: Address) -> Address:
    """The IPv4 address inside an IPv4-mapped, IPv4-compatible, NAT64 (RFC 6052, well-known prefix) or 6to4 (RFC 3056) one; else itself."""
    if isinstance(address, IPv4Address) or address not in _WRAPPING:
        return address
    if address in _SIX_TO_FOUR:
        return IPv4Address((int(address) >> 80) & 0xFFFFFFFF)
    if address in _MAPPED or address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _COMPATIBLE and int(address) > 1:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


@lru_cache(_REMEMBERED)
def is_public(address: Address) -> bool:
    """Whether the address, unwrapped, is globally reachable unicast.

    An IPv4-compatible address is never public: the form is dead, and nothing honest uses it. Nor is one behind a local NAT64 prefix
    (`64:ff9b:1::/48`), which lies outside global unicast.
    """
    if isinstance(address, IPv6Address) and address in _COMPATIBLE:
        return False
    inner = unwrap(address)
    if isinstance(inner, IPv4Address):
        return inner not in _IPV4_NOT_PUBLIC
    return inner in _IPV6_GLOBAL_UNICAST and inner not in _IPV6_NOT_PUBLIC


def is_reachable_by_name(address: Address) -> bool:
    """False for link-local, metadata, multicast and reserved addresses: a name in the allow-list does not open those."""
    inner = unwrap(address)
    return not any(inner in network for network in _ONLY_BY_ADDRESS)
