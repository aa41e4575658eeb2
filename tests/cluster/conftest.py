from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from tests.cluster.places import KINDS, Place, open_place
from tests.support.cluster_fixtures import make_cluster, nursery, own_redis, shared_postgres

__all__ = ["make_cluster", "nursery", "own_redis", "place", "shared_postgres"]


@pytest.fixture(params=KINDS)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Place]:
    """A database of the test's own, on each kind."""
    async with open_place(request.param, tmp_path) as opened:
        yield opened
