"""A lab for each test; what it leaves behind is checked."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.cluster_fixtures import (
    cluster,
    cluster_on_each,
    make_cluster,
    nursery,
    own_mariadb,
    own_postgres,
    own_rabbitmq,
    own_redis,
    shared_mysql,
    shared_postgres,
)
from tests.support.lab import Lab, open_lab
from tests.support.soundness import assert_sound

__all__ = [
    "cluster",
    "cluster_on_each",
    "lab",
    "make_cluster",
    "nursery",
    "own_mariadb",
    "own_postgres",
    "own_rabbitmq",
    "own_redis",
    "shared_mysql",
    "shared_postgres",
]


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with open_lab(tmp_path) as opened:
        yield opened
    assert_sound(opened)
