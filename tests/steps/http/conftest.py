from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from tests.steps.http.calls import SECRET
from tests.support.attempts import Attempts, make_services
from tests.support.clock import ManualClock
from tests.support.network import PUBLIC_ADDRESS, World
from tests.support.servers import EffectServer, serve_http

from flowforge.kit.limits import Limits
from flowforge.steps.http.oauth import TokenCache


@pytest.fixture
async def server() -> AsyncGenerator[EffectServer]:
    async with serve_http() as running:
        yield running


@pytest.fixture
async def other_server() -> AsyncGenerator[EffectServer]:
    """Behind `other.example:8080`."""
    async with serve_http() as running:
        yield running


@pytest.fixture
def clock() -> ManualClock:
    """The clock of the tokens."""
    return ManualClock()


@pytest.fixture
async def attempts(
    server: EffectServer, other_server: EffectServer, clock: ManualClock, tmp_path: Path
) -> AsyncGenerator[Attempts]:
    """`api.example` leads to the server."""
    world = World(ports={80: server.port, 8080: other_server.port})
    world.names.set("api.example", [PUBLIC_ADDRESS])
    world.names.set("other.example", [PUBLIC_ADDRESS])
    limits = Limits(http_total_ms=2_000, http_idle_ms=2_000)
    client = world.make_client(limits=limits)
    services = make_services(tmp_path, client)
    yield Attempts({**services, TokenCache: TokenCache(clock)}, secrets=(SECRET,), limits=limits)
    await client.aclose()
