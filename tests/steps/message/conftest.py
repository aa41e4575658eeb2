from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from tests.steps.message.calls import SECRET
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
async def attempts(server: EffectServer, tmp_path: Path) -> AsyncGenerator[Attempts]:
    """`api.example` leads to the server."""
    world = World(ports={80: server.port})
    world.names.set("api.example", [PUBLIC_ADDRESS])
    client = world.make_client(limits=Limits(http_total_ms=500, http_idle_ms=500))
    yield Attempts({**make_services(tmp_path, client), TokenCache: TokenCache(ManualClock())}, secrets=(SECRET,))
    await client.aclose()
