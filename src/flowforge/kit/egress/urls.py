"""URLs, read once by the parser whose result is then connected to."""

import re
from dataclasses import dataclass
from typing import Final

import httpx2

from flowforge.kit.egress.addresses import Address, parse_address, write_endpoint
from flowforge.kit.egress.errors import EgressError, EgressFault

URL_CHARACTERS_MAX: Final = 8_192
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_HOST_NAME: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")
_ODD_ADDRESS: Final = re.compile(r"[0-9.]+(:[0-9]*)?")
"""Four numbers, one of them with a leading zero or too large: some read it as octal, so it could mean any address."""
_NO_HOST: Final = re.compile(r"[/?#@\\\s\x00-\x1f\x7f]")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes. `host` is lower-case ASCII without a final dot, `path` the path and query as they are sent."""

    scheme: str
    host: str
    port: int
    path: bytes
    address: Address | None
    """The host itself, if it is an address in full; other spellings of one (`127.1`) are left to the resolver."""

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """The Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def endpoint(self) -> str:
        """Host and port, as an entry of EGRESS_ALLOW names them."""
        return write_endpoint(self.host, self.port)

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path.decode('ascii')}"


def parse_target(url: str) -> Target:
    """Reads an absolute URL; its fragment is left out.

    Raises:
        EgressError: `scheme` (other than http and https), `header_invalid` (control characters), `url_invalid` (all else).
    """
    if _CONTROL.search(url):
        raise EgressError(EgressFault.HEADER_INVALID, "The URL holds a line break or another control character.")
    if len(url) > URL_CHARACTERS_MAX or "\\" in url or url != url.strip():
        raise _invalid("it is too long, holds a backslash, or begins or ends with white space")
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        if _ODD_ADDRESS.fullmatch(_authority_of(url)):
            raise EgressError(
                EgressFault.DENIED, "The URL writes an IP address in an odd way; write four plain decimal numbers."
            ) from None
        raise _invalid(str(error).rstrip(".")) from None
    if parsed.scheme not in _DEFAULT_PORTS:
        raise EgressError(EgressFault.SCHEME, f"The URL's scheme is {parsed.scheme[:20]!r}; only http and https can be called.")
    if parsed.userinfo or "@" in _authority_of(url):
        raise _invalid("it holds a user name before an @; give credentials as auth")
    return _make_target(parsed)


def parse_endpoint(host: str, port: int) -> Target:
    """Reads a host and a port that are to be connected to, by the same rules as those of a URL; an IPv6 address may have its brackets.

    Raises:
        EgressError: `url_invalid`; `egress_denied` for an address that is written in an odd way.
    """
    written = f"[{host}]" if ":" in host and not host.startswith("[") else host
    invalid = EgressError(
        EgressFault.URL_INVALID,
        f"{host[:260]!r} is no host that can be connected to; write a name such as db.example.com, or an address.",
    )
    if _NO_HOST.search(written) or not 1 <= port <= 65535 or (":" in written and not written.endswith("]")):
        raise invalid
    try:
        return parse_target(f"http://{written}:{port}/")
    except EgressError as error:
        if error.fault is not EgressFault.DENIED:
            raise invalid from None
        raise EgressError(
            EgressFault.DENIED, f"{host!r} writes an IP address in an odd way; write four plain decimal numbers."
        ) from None


def _make_target(parsed: httpx2.URL) -> Target:
    written = parsed.raw_host.decode("ascii").lower()
    address = parse_address(written)
    host = str(address) if address is not None else written.removesuffix(".")
    if address is None and not (len(host) <= 253 and _HOST_NAME.fullmatch(host)):
        raise _invalid("it has no host, or one with characters that a host cannot have")
    port = _DEFAULT_PORTS[parsed.scheme] if parsed.port is None else parsed.port
    if not 1 <= port <= 65535:
        raise _invalid("its port is not between 1 and 65535")
    return Target(parsed.scheme, host, port, parsed.raw_path or b"/", address)


def join_target(base: Target, location: str) -> Target:
    """Where a redirect leads. Raises as `parse_target`."""
    try:
        joined = str(httpx2.URL(base.url).join(location))
    except httpx2.InvalidURL as error:
        raise _invalid(str(error).rstrip(".")) from None
    return parse_target(joined)


def _authority_of(url: str) -> str:
    return re.split(r"[/?#]", url.partition("//")[2], maxsplit=1)[0]


def _invalid(why: str) -> EgressError:
    return EgressError(EgressFault.URL_INVALID, f"The URL cannot be called: {why}.")
