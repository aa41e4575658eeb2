"""Operations that the documentation shows can be imported, and give what their examples say."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
from tests.architecture.sources import REPOSITORY
from tests.docs.blocks import Block, list_pages, read_blocks

from flowforge.operations import Operation
from flowforge.operations.calling import call_pure
from flowforge.operations.reference import render_reference

BLOCKS = [
    pytest.param(block, id=f"{page.relative_to(REPOSITORY).as_posix()}:{block.line}")
    for page in list_pages()
    for block in read_blocks(page.read_text("utf-8"))
    if block.language == "python"
]


def load(block: Block, folder: Path) -> ModuleType:
    """The module that a reader would have."""
    file = folder / block.title
    file.write_text(block.text, "utf-8")
    spec = spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("block", BLOCKS)
def test_operations_of_a_page_are_sound(block: Block, tmp_path: Path):
    operations = [value for value in vars(load(block, tmp_path)).values() if isinstance(value, Operation)]
    assert operations
    for operation in operations:
        assert operation.title in render_reference(operation)
        for example in operation.examples if operation.is_pure else ():
            assert call_pure(operation, example.parameters) == example.result
