"""Operations that the documentation shows can be imported, and give what their examples say."""

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


@pytest.mark.parametrize("block", BLOCKS)
def test_operations_of_a_page_are_sound(block: Block, tmp_path: Path):
    module = ModuleType(block.title.removesuffix(".py"))
    code = compile(block.text, str(tmp_path / block.title), "exec")
    exec(code, vars(module))  # what a page shows is run as its reader would run it
    operations = [value for value in vars(module).values() if isinstance(value, Operation)]
    assert operations
    for operation in operations:
        assert operation.name in render_reference(operation)
        for example in operation.examples if operation.is_pure else ():
            assert call_pure(operation, example.parameters) == example.result
