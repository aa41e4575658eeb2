"""From where a request came, with proxies between."""

from typing import Any

import pytest

from flowforge.web.addresses import find_address, is_https, is_loopback, parse_networks

TRUSTED = "10.0.0.0/8, 192.168.1.1, fd00::/8"


def make_scope(peer: str | None, *forwarded: str, scheme: str = "http", proto: str | None = None) -> dict[str, Any]:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    if proto is not None:
        headers.append((b"x-forwarded-proto", proto.encode()))
    return {"client": None if peer is None else (peer, 5), "headers": headers, "scheme": scheme}


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["1.1.1.1"], "203.0.113.9"),
        ("10.0.0.1", ["1.1.1.1"], "1.1.1.1"),
        ("10.0.0.1", ["6.6.6.6, 1.1.1.1"], "1.1.1.1"),
        ("10.0.0.1", ["6.6.6.6, 1.1.1.1, 10.2.3.4"], "1.1.1.1"),
        ("10.0.0.1", ["6.6.6.6", "1.1.1.1, 192.168.1.1"], "1.1.1.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("::ffff:10.0.0.1", ["::ffff:1.1.1.1"], "1.1.1.1"),
        ("::ffff:203.0.113.9", [], "203.0.113.9"),
        ("fd00::1", ["2001:DB8:0::1"], "2001:db8::1"),
        ("10.0.0.1", ["[2001:db8::1]:443"], "2001:db8::1"),
        ("10.0.0.1", ["1.1.1.1:8080"], "1.1.1.1"),
        ("10.0.0.1", ["1.1.1.1, nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["unknown, 10.0.0.5"], "10.0.0.5"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["1.1.1.1,"], "10.0.0.1"),
        ("192.168.1.2", ["1.1.1.1"], "192.168.1.2"),
        (None, ["1.1.1.1"], ""),
    ],
)
def test_the_address_is_the_last_one_that_no_proxy_of_ours_has(peer: str | None, forwarded: list[str], found: str):
    assert find_address(make_scope(peer, *forwarded), TRUSTED) == found


def test_nothing_is_believed_where_no_proxy_is_trusted():
    assert find_address(make_scope("127.0.0.1", "1.1.1.1"), "") == "127.0.0.1"


def test_a_long_chain_is_read_from_its_end_only():
    chain = ", ".join(["6.6.6.6"] * 10 + ["10.0.0.9"] * 100)
    assert find_address(make_scope("10.0.0.1", chain), TRUSTED) == "10.0.0.9"


@pytest.mark.parametrize(
    ("peer", "scheme", "proto", "expected"),
    [
        ("203.0.113.9", "https", None, True),
        ("203.0.113.9", "http", "https", False),
        ("10.0.0.1", "http", "https", True),
        ("10.0.0.1", "http", "http", False),
        ("10.0.0.1", "http", "https,http", False),
        ("10.0.0.1", "wss", None, True),
    ],
)
def test_https_is_believed_of_trusted_proxies(peer: str, scheme: str, proto: str | None, expected: bool):
    assert is_https(make_scope(peer, scheme=scheme, proto=proto), TRUSTED) is expected


def test_loopback_and_lists_that_are_none():
    assert is_loopback("127.0.0.53")
    assert is_loopback("::1")
    assert not is_loopback("10.0.0.1")
    with pytest.raises(ValueError, match="nonsense"):
        parse_networks("10.0.0.0/8, nonsense")
