from collections.abc import Callable

import pytest
from tests.runs.journals import Journal

from flowforge.entrypoints.wiring import Toolbox
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
