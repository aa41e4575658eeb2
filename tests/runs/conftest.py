import shutil
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest
from tests.runs.api_lab import ApiLab, open_api_lab
from tests.runs.journals import Journal

from flowforge.entrypoints.wiring import Toolbox
from flowforge.kit.database.schema import upgrade_database
from flowforge.kit.database.url import name_sqlite
from flowforge.kit.settings import Settings
from flowforge.language.graph import Workflow
from flowforge.language.reading.document_reader import DocumentFormat
from flowforge.workflows.types import Source

Compile = Callable[[str], Workflow]


@pytest.fixture(scope="session")
def compile_steps() -> Compile:
    """Compiles a workflow from its steps (and what else the document has)."""
    toolbox = Toolbox(Settings())

    def compile_steps(lines: str) -> Workflow:
        source = Source(f"flowforge: 1\nname: order\n{lines}".encode(), DocumentFormat.YAML)
        checked = toolbox.check_source(source)
        assert checked.workflow is not None, checked.errors
        return checked.workflow

    return compile_steps


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with this version's tables, to be copied."""
    path = tmp_path_factory.mktemp("template") / "flowforge.db"
    upgrade_database(name_sqlite(path))
    return path


@pytest.fixture
async def lab(tmp_path: Path, empty_database: Path) -> AsyncGenerator[ApiLab]:
    shutil.copy(empty_database, tmp_path / empty_database.name)
    async with open_api_lab(tmp_path) as lab:
        yield lab
