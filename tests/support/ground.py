"""Databases of all kinds for one test, and their data folders."""

import asyncio
import atexit
from collections.abc import Generator
from contextlib import AsyncExitStack, contextmanager
from functools import cache
from pathlib import Path

from tests.support.databases import Kind, open_database
from tests.support.templates import ServerKind, Templates, open_shared

from flowforge.kit.database.schema import upgrade_database
from flowforge.kit.database.url import DatabaseUrl, name_sqlite, parse_database_url
from flowforge.kit.folder import DataFolder, open_data_folder


class Ground:
    """Databases of one test, of all kinds, and their data folders; all are gone afterwards."""

    def __init__(self, root: Path, runner: asyncio.Runner, stack: AsyncExitStack) -> None:
        self._root = root
        self._runner = runner
        self._stack = stack
        self._folders = 0

    def folder(self) -> DataFolder:
        self._folders += 1
        return open_data_folder(self._root / f"data{self._folders}")

    def bare(self, kind: Kind, folder: DataFolder | None = None) -> DatabaseUrl:
        """A database without tables."""
        if kind == "sqlite":
            return name_sqlite((folder or self.folder()).database)
        made = self._runner.run(self._stack.enter_async_context(open_database(kind)))
        return parse_database_url(made.url)

    def upgraded(self, kind: Kind, folder: DataFolder | None = None) -> DatabaseUrl:
        if kind == "sqlite":
            url = self.bare(kind, folder)
            upgrade_database(url)
            return url
        templates = _find_templates(kind)
        name = templates.clone()
        self._stack.callback(templates.drop, name)
        return parse_database_url(templates.url(name))


@contextmanager
def prepare_ground(root: Path) -> Generator[Ground]:
    """Databases are dropped at the end."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            yield Ground(root, runner, stack)
        finally:
            runner.run(stack.aclose())


@cache
def _find_templates(kind: ServerKind) -> Templates:
    """One template for all tests of a process."""
    templates = open_shared(kind)
    atexit.register(templates.close)
    return templates
