from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.attempts import Attempts, make_services
from tests.support.databases import Database, open_database
from tests.support.network import World

from flowforge.kit.egress import EgressClient
from flowforge.kit.paths import FileRoots
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.steps.sql.batch import batch
from flowforge.steps.sql.execute import execute
from flowforge.steps.sql.query import query


@dataclass
class Desk:
    """One database, and the three operations on it."""

    database: Database
    attempts: Attempts
    folder: Path

    async def query(self, statement: str, parameters: JsonValue = None, **more: JsonValue) -> JsonObject:
        return await self._call(query, {"statement": statement, "parameters": parameters, **more})

    async def rows(self, statement: str, parameters: JsonValue = None, **more: JsonValue) -> list[JsonValue]:
        found = (await self.query(statement, parameters, **more))["rows"]
        assert isinstance(found, list)
        return found

    async def value(self, statement: str, parameters: JsonValue = None, **more: JsonValue) -> JsonValue:
        (row,) = await self.rows(statement, parameters, **more)
        assert isinstance(row, dict)
        (value,) = row.values()
        return value

    async def execute(self, statement: str, parameters: JsonValue = None, key: str = "key-1", **more: JsonValue) -> JsonObject:
        return await self._call(execute, {"statement": statement, "parameters": parameters, **more}, key)

    async def batch(self, *statements: JsonObject, key: str = "key-1", **more: JsonValue) -> JsonObject:
        return await self._call(batch, {"statements": [*statements], **more}, key)

    async def _call(self, operation: object, parameters: JsonObject, key: str = "key-1") -> JsonObject:
        found = await self.attempts.call(operation, {"database": self.database.url, **parameters}, key)  # pyright: ignore[reportArgumentType]
        assert isinstance(found, dict)
        return found


def make_places(folder: Path, client: EgressClient) -> dict[type, object]:
    """The usual services; the root `data` is the folder `work`."""
    return {**make_services(folder, client), FileRoots: FileRoots([("data", folder / "work")])}


@pytest.fixture(params=["sqlite", "postgres", "mysql"])
async def desk(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Desk]:
    """Each of the three databases in turn."""
    client = World().make_client(["127.0.0.1"])
    async with open_database(request.param) as database:
        yield Desk(database, Attempts(make_places(tmp_path, client)), tmp_path)
    await client.aclose()


def only(kind: str) -> pytest.MarkDecorator:
    """Runs a test of `desk` on one database alone."""
    return pytest.mark.parametrize("desk", [kind], indirect=True)
