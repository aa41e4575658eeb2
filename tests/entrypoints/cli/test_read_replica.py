"""DATABASE_READ_URL: lists and reports read there, and nothing else does. The "replica" here is another database, to tell the two apart."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.entrypoints.cli.conftest import Cli
from tests.support.databases import Database, open_database
from tests.support.documents import make_document


@pytest.fixture
async def databases() -> AsyncIterator[tuple[Database, Database]]:
    async with open_database("postgres") as primary, open_database("postgres") as replica:
        yield primary, replica


def test_lists_read_the_replica_and_all_else_the_primary(databases: tuple[Database, Database], tmp_path: Path):
    cli = Cli(tmp_path / "data")
    document = tmp_path / "order.yaml"
    document.write_text(make_document("- {id: a, uses: log.write, with: {message: hello}}\n", name="order"))
    primary, replica = databases
    for database in databases:
        assert cli("db", "upgrade", env={"FLOWFORGE_DATABASE_URL": database.url}).code == 0
    both = {"FLOWFORGE_DATABASE_URL": primary.url, "FLOWFORGE_DATABASE_READ_URL": replica.url}

    pushed = cli("workflows", "push", str(document), env=both)
    assert pushed.code == 0, pushed
    assert cli("workflows", "show", "order", env=both).code == 0
    assert cli("workflows", "list", env=both).rows == []
    assert cli("runs", "list", env=both).rows == []
    assert cli("queues", env=both).rows == []

    alone = {"FLOWFORGE_DATABASE_URL": primary.url}
    assert [row["name"] for row in cli("workflows", "list", env=alone).rows] == ["order"]
