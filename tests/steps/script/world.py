"""The world of the examples of scripts: a shop's server, and the sandbox."""

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import trustme
from tests.support.attempts import Attempts, make_services
from tests.support.network import PUBLIC_ADDRESS, World
from tests.support.servers import EffectServer, json_reply, serve_http

from flowforge.kit.limits import Limits
from flowforge.kit.sandbox.pool import SandboxPool


@asynccontextmanager
async def open_shop(
    folder: Path, *secrets: str, limits: Limits | None = None
) -> AsyncGenerator[tuple[Attempts, EffectServer, World]]:
    """The attempts, the server at https://api.example.com, and the network between them."""
    authority = trustme.CA()
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("api.example.com").configure_cert(server_context)  # pyright: ignore[reportUnknownMemberType] - stubs name an optional package
    trust = ssl.create_default_context()
    authority.configure_trust(trust)  # pyright: ignore[reportUnknownMemberType] - as above
    pool = SandboxPool(limits or Limits(), size=2)
    async with serve_http(server_context) as server:
        server.on("/orders/42", json_reply({"id": 42, "status": "shipped"}))
        world = World(ports={443: server.port})
        world.names.set("api.example.com", [PUBLIC_ADDRESS])
        client = world.make_client(tls=trust)
        yield Attempts({**make_services(folder, client), SandboxPool: pool}, secrets), server, world
        await client.aclose()
    await pool.aclose()


@asynccontextmanager
async def open_world(folder: Path) -> AsyncGenerator[Attempts]:
    async with open_shop(folder) as (attempts, _, _):
        yield attempts
