from collections.abc import Iterator
from pathlib import Path

import pytest

from flowforge.kit.database.connect import connect_sqlite


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "flowforge.db"


@pytest.fixture
def locked(path: Path) -> Iterator[Path]:
    """A database whose write lock another connection holds."""
    connection = connect_sqlite(path)
    connection.execute("BEGIN IMMEDIATE")
    yield path
    connection.close()
