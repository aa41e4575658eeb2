"""The world that the examples of objects speak of: a bucket `reports` at `https://s3.example.com`."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.attempts import Attempts
from tests.support.s3 import open_trusted_bucket

from flowforge.steps.object.places import EXAMPLE_STORE
from flowforge.steps.object.put import put


@asynccontextmanager
async def open_world(folder: Path) -> AsyncGenerator[Attempts]:
    async with open_trusted_bucket(folder) as bucket:
        await bucket.attempts.call(put, {"store": EXAMPLE_STORE, "key": "orders/42.json", "data": '{"id":42}'})
        yield bucket.attempts
