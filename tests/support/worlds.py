"""The world that the examples of an operation speak of: `tests/steps/<category>/world.py` opens it, where there is one."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from tests.support.attempts import Attempts, make_services

from flowforge.operations import Operation


@asynccontextmanager
async def open_world(operation: Operation, folder: Path) -> AsyncGenerator[Attempts]:
    """Attempts with the services that the operation's examples need. Without a world of its own there are empty file roots."""
    name = f"tests.steps.{operation.name.partition('.')[0]}.world"
    if find_spec(name.rpartition(".")[0]) is None or find_spec(name) is None:
        yield Attempts(make_services(folder))
        return
    async with import_module(name).open_world(folder) as attempts:
        yield attempts
