"""Addresses for other protocols than HTTP: judged as those of a URL are."""

import asyncio

import pytest
from tests.support.network import PUBLIC_ADDRESS, World

from flowforge.kit.egress import EgressError, EgressFault
from flowforge.kit.limits import Limits

MAIL = frozenset({25, 465, 587})


@pytest.fixture
def world() -> World:
    world = World()
    world.names.set("mail.example", [PUBLIC_ADDRESS, "2606:2800:220:1::1"])
    world.names.set("inner.example", ["10.0.0.1"])
    return world


async def find(world: World, host: str, port: int = 587, allow: tuple[str, ...] = ()) -> list[str]:
    return await world.make_client(allow).find_addresses(host, port, usual_ports=MAIL)


async def fault_of(world: World, host: str, port: int = 587, allow: tuple[str, ...] = ()) -> EgressFault:
    with pytest.raises(EgressError) as caught:
        await find(world, host, port, allow)
    assert caught.value.message.endswith(".")
    return caught.value.fault


@pytest.mark.parametrize("host", ["mail.example", "MAIL.example.", "Mail.Example"])
async def test_the_addresses_of_a_name_are_found_once(host: str, world: World):
    assert await find(world, host) == [PUBLIC_ADDRESS, "2606:2800:220:1::1"]
    assert world.names.asked == ["mail.example"]
    assert world.connected == []


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (PUBLIC_ADDRESS, PUBLIC_ADDRESS),
        ("2606:2800:220:1::1", "2606:2800:220:1::1"),
        ("[2606:2800:220:1::1]", "2606:2800:220:1::1"),
    ],
)
async def test_an_address_is_its_own(host: str, expected: str, world: World):
    assert await find(world, host) == [expected]
    assert world.names.asked == []


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "0.0.0.0", "2130706433", "0x7f.1", "0177.0.0.1"),
        *("::1", "[::1]", "::ffff:127.0.0.1", "::ffff:7f00:1", "::127.0.0.1", "64:ff9b::a9fe:a9fe", "fe80::1%lo", "fc00::1"),
        *("169.254.169.254", "100.64.0.1", "10.0.0.1", "192.168.0.1", "224.0.0.1", "255.255.255.255", "127。0。0。1"),
    ],
)
async def test_net_01_to_05_an_address_that_is_not_public_is_denied(host: str, world: World):
    assert await fault_of(world, host) is EgressFault.DENIED


@pytest.mark.parametrize("answer", [[PUBLIC_ADDRESS, "fd00::1"], ["10.0.0.1", PUBLIC_ADDRESS]])
async def test_net_06_a_name_is_denied_if_any_of_its_addresses_is(answer: list[str], world: World):
    world.names.set("mixed.example", answer)
    assert await fault_of(world, "mixed.example") is EgressFault.DENIED


@pytest.mark.parametrize(
    "host",
    [
        *("", " ", "a b", "user@mail.example", "mail.example/x", "mail.example?x", "mail.example#x", "mail.example\\x"),
        *("mail.example:25", "http://mail.example", "mail.\nexample", "[::1", "[::1]:25", "::zz", "a..b", "x" * 300),
    ],
)
async def test_net_12_what_is_no_host_is_invalid(host: str, world: World):
    assert await fault_of(world, host) is EgressFault.URL_INVALID
    assert world.names.asked == []


@pytest.mark.parametrize("port", [0, -1, 65536, 99999])
async def test_a_port_out_of_range_is_invalid(port: int, world: World):
    assert await fault_of(world, "mail.example", port) is EgressFault.URL_INVALID


@pytest.mark.parametrize("port", [80, 443, 22, 5432, 8080])
async def test_net_14_only_the_ports_of_the_protocol_are_open(port: int, world: World):
    assert await fault_of(world, "mail.example", port) is EgressFault.PORT_DENIED
    assert await find(world, "mail.example", port, (f"mail.example:{port}",)) == [PUBLIC_ADDRESS, "2606:2800:220:1::1"]


@pytest.mark.parametrize("allow", ["inner.example", "inner.example:587", "10.0.0.0/8"])
async def test_net_22_an_entry_opens_a_private_host(allow: str, world: World):
    assert await find(world, "inner.example", allow=(allow,)) == ["10.0.0.1"]


async def test_f58_an_unknown_name_may_be_tried_again(world: World):
    assert await fault_of(world, "unknown.example") is EgressFault.CONNECTION_FAILED


async def test_a_name_service_that_says_nothing_is_given_up():
    async def say_nothing(host: str, port: int) -> list[str]:
        del host, port
        await asyncio.Event().wait()
        return []

    world = World()
    world.names.resolve = say_nothing
    client = world.make_client(limits=Limits(http_connect_ms=50))
    with pytest.raises(EgressError) as caught:
        await client.find_addresses("mail.example", 25, usual_ports=MAIL)
    assert caught.value.fault is EgressFault.TIMEOUT
