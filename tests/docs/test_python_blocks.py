"""Operations and middlewares that the documentation shows can be imported, and give what their examples say."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import cast

import pytest
from tests.architecture.sources import REPOSITORY
from tests.docs.blocks import Block, list_pages, read_blocks

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import AttemptContext, FatalError, Middleware, Operation, OperationCall
from flowforge.operations.calling import call_pure
from flowforge.operations.middleware import check_middleware, run_through
from flowforge.operations.reference import render_reference
from flowforge.steps.http.request import request

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
def test_operations_and_middlewares_of_a_page_are_sound(block: Block, tmp_path: Path):
    found = list(vars(load(block, tmp_path)).values())
    operations = [value for value in found if isinstance(value, Operation)]
    middlewares = [value for value in found if isinstance(value, Middleware)]
    assert operations or middlewares
    for middleware in middlewares:
        check_middleware(middleware)
    for operation in operations:
        assert operation.title in render_reference(operation)
        for example in operation.examples if operation.is_pure else ():
            assert call_pure(operation, example.parameters) == example.result


async def test_the_rules_of_the_house_do_what_their_page_says(tmp_path: Path):
    page = (REPOSITORY / "docs" / "own-operations.md").read_text("utf-8")
    (block,) = [block for block in read_blocks(page) if block.title == "flowforge_house.py"]
    rules = cast("Middleware", vars(load(block, tmp_path))["house_rules"])
    seen: list[JsonObject] = []

    async def answer(parameters: JsonObject) -> tuple[str, JsonValue]:
        seen.append(parameters)
        if parameters["url"] == "https://closed.example":
            raise FatalError("403", code="http_403")
        return "done", 1

    async def call(**parameters: JsonValue) -> tuple[str, JsonValue]:
        context = AttemptContext("run_1", "a", 1, "key")
        return await run_through([rules], OperationCall(request, "ws_1", parameters, context), answer, context.limits)

    assert await call(url="https://a.example", headers={"A": "1"}) == ("done", 1)
    assert seen[0]["headers"] == {"A": "1", "X-Run": "run_1"}
    with pytest.raises(FatalError, match="delete nothing"):
        await call(url="https://a.example", method="DELETE")
    with pytest.raises(FatalError) as refused:
        await call(url="https://closed.example")
    assert (refused.value.code, len(seen)) == ("partner_refused", 2)
