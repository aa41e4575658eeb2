"""Which hosts, addresses and ports a request may go to: the public internet, and what EGRESS_ALLOW lists."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from flowforge.kit.egress.addresses import Address, Network, is_public, is_reachable_by_name, unwrap
from flowforge.kit.egress.errors import EgressFault
from flowforge.kit.errors import Detail, ValidationError

PUBLIC_PORTS: Final = frozenset({80, 443, *range(8000, 9000)})
"""Ports that any public host may be called on. An allow-list, because the ports on which something other than HTTP answers (SSH 22, SMTP
25, PostgreSQL 5432, Redis 6379, memcached 11211, and many more) are too many to deny one by one; 8000 to 8999 are where HTTP services
live that are not on 80 and 443. Others are opened by an entry `host:port`."""

INNER_DOMAINS: Final = frozenset({"corp", "home", "internal", "intranet", "lan", "local", "localdomain", "localhost", "private"})
"""Top-level domains that are reserved or used for what is inside (RFC 6761, RFC 6762, RFC 8375, ICANN's `internal`)."""

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
HOST_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_PORT: Final = re.compile(r"[0-9]{1,5}")
_BROAD_SECOND_LEVEL: Final = frozenset({"ac", "co", "com", "edu", "gov", "net", "or", "org"})
_WIDEST_PREFIX_BITS: Final = {4: 8, 6: 7}


@dataclass(frozen=True, slots=True)
class AllowEntry:
    """One entry of the list: a host (with `is_suffix`, every host below it) or a network; without `port`, any port."""

    host: str | None
    network: Network | None
    port: int | None
    is_suffix: bool = False

    def matches(self, host: str, address: Address, port: int) -> bool:
        if self.network is not None:
            return self.port in {None, port} and (unwrap(address) in self.network or address in self.network)
        return self.matches_name(host, port) and is_reachable_by_name(address)

    def matches_name(self, host: str, port: int) -> bool:
        if self.host is None or self.port not in {None, port}:
            return False
        return host.endswith(f".{self.host}") if self.is_suffix else host == self.host


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """What may be called. Without entries: public addresses on `PUBLIC_PORTS`."""

    entries: tuple[AllowEntry, ...] = ()

    @classmethod
    def parse(cls, written_entries: Iterable[str]) -> "EgressPolicy":
        """The policy of EGRESS_ALLOW's entries: host, `*.host` or CIDR, each with an optional `:port` (IPv6: `[…]:port`).

        An entry without a port opens every port. An entry that is a name opens loopback and private addresses, not link-local, metadata,
        multicast and reserved ones: those need an entry that is an address.

        Raises:
            ValidationError: an entry is not of that form, or as wide as `*.com`, `*.co.uk` or `0.0.0.0/0`; all are named at once.
        """
        entries: list[AllowEntry] = []
        faults: list[Detail] = []
        for written in filter(None, (part.strip() for part in written_entries)):
            try:
                entries.append(_parse_entry(written.lower()))
            except ValueError as error:
                faults.append(Detail(field="EGRESS_ALLOW", message=f"{written!r} {error}.", code="egress_allow_invalid"))
        if faults:
            raise ValidationError(f"EGRESS_ALLOW: {' '.join(fault.message for fault in faults)}", faults)
        return cls(tuple(entries))

    def find_fault(
        self, host: str, address: Address, port: int, usual_ports: frozenset[int] = PUBLIC_PORTS
    ) -> EgressFault | None:
        """Why the host, which resolved to the address, may not be called on the port; None if it may.

        `usual_ports` are those that a public host may be called on; by default those of HTTP.
        """
        if any(entry.matches(host, address, port) for entry in self.entries):
            return None
        if not is_public(address):
            return EgressFault.DENIED
        return None if port in usual_ports else EgressFault.PORT_DENIED

    def find_name_fault(self, host: str, port: int) -> EgressFault | None:
        """Why a host whose address is not known here, because a proxy will look it up, may not be called; None if it may.

        Names that only mean something inside (`localhost`, one without a dot, those of `INNER_DOMAINS`) need an entry that names them.
        """
        if any(entry.matches_name(host, port) for entry in self.entries):
            return None
        if "." not in host or host.rpartition(".")[2] in INNER_DOMAINS or host.endswith(".home.arpa"):
            return EgressFault.DENIED
        return None if port in PUBLIC_PORTS else EgressFault.PORT_DENIED


def _parse_entry(text: str) -> AllowEntry:
    subject, port = _split_port(text)
    network = _find_network(subject)
    if network is not None:
        if network.prefixlen < _WIDEST_PREFIX_BITS[network.version]:
            raise ValueError("is wider than a policy should be; name the networks that you mean")
        return AllowEntry(None, network, port)
    is_suffix = subject.startswith("*.")
    host = subject.removeprefix("*.").removesuffix(".")
    if not HOST_NAME.fullmatch(host):
        raise ValueError("is no host, *.host or CIDR, with an optional :port")
    if is_suffix and _is_too_broad(host.split(".")):
        raise ValueError("would open a whole registry's hosts; write *.name.tld")
    return AllowEntry(host, None, port, is_suffix)


def _split_port(text: str) -> tuple[str, int | None]:
    if text.startswith("["):
        subject, _, rest = text[1:].partition("]")
        return subject, _parse_port(rest.removeprefix(":")) if rest else None
    if text.count(":") == 1:
        subject, _, port = text.partition(":")
        return subject, _parse_port(port)
    return text, None


def _parse_port(text: str) -> int:
    if not _PORT.fullmatch(text) or not 1 <= int(text) <= 65535:
        raise ValueError("has a port that is no number from 1 to 65535")
    return int(text)


def _find_network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _is_too_broad(labels: list[str]) -> bool:
    return len(labels) < 2 or (len(labels) == 2 and len(labels[1]) == 2 and labels[0] in _BROAD_SECOND_LEVEL)
