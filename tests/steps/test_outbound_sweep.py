"""NET-23: every operation that can reach the network, through every place where it is told where to go, is judged by the same guard.

An operation that asks for a service that leads outwards, or imports a library that does, fails `test_net_23_each_operation_that_…`
until it has its line here.
"""

import ast
import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.support.attempts import Attempts, make_services
from tests.support.clock import ManualClock
from tests.support.connections import watch_connections
from tests.support.modules import list_modules, parse_module
from tests.support.network import PUBLIC_ADDRESS, World

from flowforge.kit.egress.tunnel import EgressTunnel
from flowforge.kit.limits import Limits
from flowforge.kit.mail.mailer import Mailer
from flowforge.kit.sandbox.pool import SandboxPool
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import AttemptError, FatalError
from flowforge.steps import load_registry
from flowforge.steps.http.oauth import TokenCache

REGISTRY = load_registry()
LOCAL_SERVICES = {"FileRoots", "ObjectStore"}
"""Services that stay on this machine; asking for any other makes a line here due."""
OUTBOUND_LIBRARIES = set(
    """
    aiohttp aiomysql aiosmtplib asyncpg boto3 ftplib h11 h2 http httpcore httpx imaplib obstore paramiko poplib psycopg pymysql requests
    smtplib socket socketserver ssl telnetlib urllib3 websockets xmlrpc
    """.split()  # noqa: SIM905 (a list of so many quoted words is harder to read)
)
NAMES = {"public.example": [PUBLIC_ADDRESS], "metadata.google.internal": ["169.254.169.254"], "inside.example": ["10.0.0.1"]}
DENIED: Mapping[str, tuple[str, ...]] = {
    "NET-01": ("127.0.0.1", "127.1", "0.0.0.0", "2130706433", "0x7f.1", "0177.0.0.1"),
    "NET-02": ("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]"),
    "NET-03": ("[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::a9fe:a9fe]", "[2002:7f00:1::]", "[fc00::1]"),
    "NET-04": ("169.254.169.254", "100.100.100.200", "100.64.0.1", "192.0.0.192", "metadata.google.internal"),
    "NET-05": (
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "inside.example",
    ),
}
DENIED_PORTS = (22, 25, 6379, 11211, 9000)
"""NET-14; 5432 is the usual port of one kind of server, and is in the list of those that it is not usual for."""

Place = Callable[[str], JsonObject]
"""Parameters that lead to a host, which may have a port."""


def http(url_of: Callable[[str], JsonObject]) -> list[Place]:
    """The places of a parameter that takes a URL, with and without TLS."""
    return [lambda host: url_of(f"http://{host}/x"), lambda host: url_of(f"https://{host}/x")]


def with_url(**more: JsonValue) -> list[Place]:
    """The places of an operation that takes `url`, and of its token's URL."""
    return [
        *http(lambda url: {"url": url, **more}),
        *http(lambda url: {"url": "http://public.example/", **more, "auth": make_oauth(url)}),
    ]


def make_oauth(url: str) -> JsonObject:
    return {"oauth2": {"token_url": url, "client_id": "a", "client_secret": "b"}}


def with_store(**more: JsonValue) -> list[Place]:
    keys: JsonObject = {"bucket": "reports", "access_key": "a", "secret_key": "b"}
    return [
        lambda host: {"store": {**keys, "endpoint": f"http://{host}"}, **more},
        lambda host: {"store": {**keys, "endpoint": f"https://{host}"}, **more},
        lambda host: {"store": f"s3://a:b@{host}/reports", **more},
    ]


def with_database(**more: JsonValue) -> list[Place]:
    return [
        lambda host: {"database": f"postgresql://u:p@{host}/db", **more},
        lambda host: {"database": f"mysql://u:p@{host}/db", **more},
        lambda host: {"database": f"mariadb://u:p@{host}/db", **more},
    ]


def with_mailbox(**more: JsonValue) -> list[Place]:
    return [
        lambda host: {"server": {"url": f"imaps://{host}", "user": "u", "password": "p"}, **more},
        lambda host: {"server": {"url": f"imap://{host}", "user": "u", "password": "p"}, **more},
    ]


MAIL: JsonObject = {"to": "a@example.com", "from": "b@example.com", "subject": "s", "text": "t"}
SMS: JsonObject = {"to": "+4915112345678", "text": "x", "form": {"To": "{to}", "Body": "{text}"}}
PLACES: Mapping[str, list[Place]] = {
    "email.fetch": with_mailbox(),
    "email.mark": with_mailbox(uids=[1], uid_validity=1, seen=True),
    "email.send": [
        lambda host: {**MAIL, "server": {"url": f"smtps://{host}"}},
        lambda host: {**MAIL, "server": {"url": f"smtp://{host}"}},
    ],
    "http.download": with_url(),
    "http.request": [*with_url(), *with_url(response="file"), *with_url(paging={"link": True})],
    "http.upload": [*with_url(path="a.txt"), *with_url(path="a.txt", protocol="tus")],
    "message.slack": [
        *http(lambda url: {"webhook_url": url, "text": "x"}),
        *http(lambda url: {"server": url, "token": "t", "channel": "#a", "text": "x"}),
    ],
    "message.sms": with_url(**SMS),
    "message.teams": http(lambda url: {"webhook_url": url, "text": "x"}),
    "message.telegram": http(lambda url: {"server": url, "token": "t", "chat_id": 1, "text": "x"}),
    "message.webhook": http(lambda url: {"url": url, "data": 1, "secret": "s"}),
    "object.copy": with_store(key="x", to="y"),
    "object.delete": with_store(key="x"),
    "object.get": with_store(key="x"),
    "object.list": with_store(),
    "object.put": with_store(key="x", data="1"),
    "object.stat": with_store(key="x"),
    "script.javascript": http(lambda url: {"source": "return await http.get(input)", "input": url}),
    "script.python": http(lambda url: {"source": "http.get(input)", "input": url}),
    "sql.batch": with_database(statements=[{"statement": "SELECT 1"}]),
    "sql.execute": with_database(statement="SELECT 1"),
    "sql.query": with_database(statement="SELECT 1"),
}
NO_CALLS: Mapping[str, tuple[JsonObject, ...]] = {
    # Calls of these never leave: a sandbox without host functions, and a signature that is computed here.
    "data.jsonata": (
        {"data": {}, "query": "$fetch('http://127.0.0.1/')"},
        {"data": {}, "query": "$eval('$fetch(\"http://127.0.0.1/\")')"},
    ),
    "object.presign": (
        {
            "store": {"bucket": "reports", "access_key": "a", "secret_key": "b", "endpoint": "http://127.0.0.1"},
            "key": "x",
            "expires_in": "1h",
        },
    ),
}


@asynccontextmanager
async def open_network(folder: Path) -> AsyncGenerator[tuple[Attempts, World]]:
    world = World()
    for name, addresses in NAMES.items():
        world.names.set(name, addresses)
    client = world.make_client()
    tunnel = EgressTunnel(client)
    pool = SandboxPool(Limits(), size=1)
    clock = ManualClock()
    services = make_services(folder, client)
    (folder / "work" / "a.txt").write_bytes(b"x")
    own: dict[type, object] = {
        EgressTunnel: tunnel,
        SandboxPool: pool,
        TokenCache: TokenCache(clock),
        Mailer: Mailer(None, None, folder / "mail", client, clock),
    }
    try:
        yield Attempts({**services, **own}), world
    finally:
        await pool.aclose()
        await tunnel.aclose()
        await client.aclose()


async def find_code(attempts: Attempts, name: str, parameters: JsonObject) -> str:
    """How the call ends; a fault of a parameter that names the guard's code counts as that code."""
    try:
        await attempts.call(REGISTRY.get(name), parameters)
    except AttemptError as error:
        codes = (
            [detail["code"] for detail in error.details if isinstance(detail, dict)] if isinstance(error.details, list) else []
        )
        is_final = isinstance(error, FatalError)
        return (error.code if error.code != "invalid_parameters" else str(codes)) + ("" if is_final else " (retried)")
    return "done"


@pytest.mark.parametrize("name", PLACES)
async def test_a09_net_23_what_the_guard_refuses_is_reached_by_no_operation(name: str, tmp_path: Path):
    first, *others = PLACES[name]
    calls = [first(host) for hosts in DENIED.values() for host in hosts]
    calls += [make(hosts[at]) for make in others for hosts in DENIED.values() for at in (0, -1)]
    async with open_network(tmp_path) as (attempts, world):
        with watch_connections() as tried:
            codes = await asyncio.gather(*(find_code(attempts, name, call) for call in calls))
        wrong = [(call, code) for call, code in zip(calls, codes, strict=True) if code != "egress_denied"]
        assert (wrong, world.connected, tried) == ([], [], [])


@pytest.mark.parametrize("name", PLACES)
async def test_net_14_net_23_no_operation_reaches_another_port(name: str, tmp_path: Path):
    ports = DENIED_PORTS if name.startswith("sql.") else (*DENIED_PORTS, 5432)
    calls = [make(f"public.example:{port}") for make in PLACES[name] for port in ports]
    async with open_network(tmp_path) as (attempts, world):
        with watch_connections() as tried:
            codes = await asyncio.gather(*(find_code(attempts, name, call) for call in calls))
        wrong = [(call, code) for call, code in zip(calls, codes, strict=True) if code != "port_denied"]
        assert (wrong, world.connected, tried) == ([], [], [])


@pytest.mark.parametrize(("name", "parameters"), [(name, call) for name, calls in NO_CALLS.items() for call in calls])
async def test_net_23_what_needs_no_network_does_not_use_it(name: str, parameters: JsonObject, tmp_path: Path):
    async with open_network(tmp_path) as (attempts, world):
        with watch_connections() as tried:
            code = await find_code(attempts, name, parameters)
        assert (world.connected, tried, world.names.asked) == ([], [], [])
    assert code == ("done" if name == "object.presign" else "jsonata_invalid")


@pytest.mark.parametrize("name", [name for name in PLACES if not name.startswith("sql.")])
async def test_a_call_that_is_allowed_is_seen_by_the_sweep(name: str, tmp_path: Path):
    """The counter-check: the same parameters with a public host do try to connect. Drivers of databases are seen by their own tests."""
    async with open_network(tmp_path) as (attempts, world):
        world.ports = {80: 1, 443: 1}
        attempts.services[Mailer] = Mailer(
            None, None, tmp_path, world.make_client(), ManualClock(), lead=lambda _: ("127.0.0.1", 1)
        )
        with watch_connections() as tried:
            code = await find_code(attempts, name, PLACES[name][0]("public.example"))
        assert (code.startswith(("connection_failed", "object_failed", "mail_")), bool(tried)) == (True, True), code


def test_net_23_each_operation_that_can_reach_the_network_is_swept():
    connecting = {operation.name for operation in REGISTRY if any(leads_outwards(module) for module in list_modules(operation))}
    assert connecting == {*PLACES, *NO_CALLS}


def leads_outwards(module: str) -> bool:
    for node in ast.walk(parse_module(module)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "service":
            asked = node.args[0]
            if not isinstance(asked, ast.Name) or asked.id not in LOCAL_SERVICES:
                return True
        if isinstance(node, ast.Import) and any(is_outbound(alias.name) for alias in node.names):
            return True
        if isinstance(node, ast.ImportFrom) and is_outbound(node.module or ""):
            return True
    return False


def is_outbound(module: str) -> bool:
    return module.split(".", maxsplit=1)[0] in OUTBOUND_LIBRARIES or module == "urllib.request"
