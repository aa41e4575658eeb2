"""From which address a request came, behind proxies that are trusted and none that are not."""

from collections.abc import Iterable, MutableMapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final

from flowforge.kit.errors import Detail, ValidationError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

UNKNOWN: Final = "0.0.0.0"  # noqa: S104 (a name for none, never listened on)
_HOPS_MAX: Final = 20


@lru_cache(maxsize=64)
def read_networks(text: str, setting: str = "TRUSTED_PROXIES") -> tuple[Network, ...]:
    """The networks of a comma list of addresses and CIDR networks.

    Raises:
        ValidationError: one of them is none.
    """
    found: list[Network] = []
    for part in (part.strip() for part in text.split(",")):
        if not part:
            continue
        try:
            found.append(ip_network(part, strict=False))
        except ValueError:
            message = f"{setting}: {part[:80]!r} is neither an address nor a network like 10.0.0.0/8."
            raise ValidationError(message, [Detail(setting, message, "address_invalid")]) from None
    return tuple(found)


@lru_cache(maxsize=4_096)
def read_address(text: str) -> Address | None:
    """The address; that of IPv4 which is written as IPv6 (`::ffff:192.0.2.1`) as what it is. None: the text is none."""
    try:
        address = ip_address(text.strip().removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def is_within(address: Address, networks: Iterable[Network]) -> bool:
    """Whether the address is in one of the networks."""
    return any(address.version == network.version and address in network for network in networks)


def find_address(scope: MutableMapping[str, Any], trusted_proxies: str) -> str:
    """The sender's address: the nearest one that is no trusted proxy. `trusted_proxies`: the setting.

    X-Forwarded-For is read from its right end, and only as far as those who wrote it are trusted; everybody can write the rest.
    """
    client: tuple[str, int] | None = scope.get("client")
    nearest = read_address(client[0]) if client else None
    if nearest is None:
        return UNKNOWN
    proxies = read_networks(trusted_proxies)
    if not proxies or not is_within(nearest, proxies):
        return str(nearest)
    for text in reversed(_list_forwarded(scope)):
        address = read_address(text)
        if address is None:
            break
        nearest = address
        if not is_within(address, proxies):
            break
    return str(nearest)


def _list_forwarded(scope: MutableMapping[str, Any]) -> list[str]:
    texts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return [part.strip() for text in texts for part in text.split(",")][-_HOPS_MAX:]
