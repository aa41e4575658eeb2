"""A data folder, as a command uses it: sessions without a loop in sight, committed here and nowhere else."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit.types import Author
from flowforge.entrypoints.cli.frame import ACTOR, Frame
from flowforge.entrypoints.wiring import Installation, open_installation
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID

ResultT = TypeVar("ResultT")


class Place:
    """One installation and the loop of one command. `workspace_id`: the only one that a machine without accounts has."""

    def __init__(self, installation: Installation, runner: asyncio.Runner) -> None:
        self.installation = installation
        self.workspace_id = DEFAULT_WORKSPACE_ID
        self._runner = runner

    @property
    def now_ms(self) -> int:
        return self.installation.clock.now_ms()

    @property
    def author(self) -> Author:
        """Who changes things here, for the audit log."""
        return Author(ACTOR, at_ms=self.now_ms, keyring=self.installation.keyring)

    def read(self, work: Callable[[AsyncSession], Awaitable[ResultT]]) -> ResultT:
        """Does the work in a session that must not write."""
        return self._runner.run(self._read(work))

    def report(self, work: Callable[[AsyncSession], Awaitable[ResultT]]) -> ResultT:
        """As `read`, for lists and reports: on the replica (DATABASE_READ_URL) where there is one, which may lag behind."""
        return self._runner.run(self._report(work))

    def write(self, work: Callable[[AsyncSession], Awaitable[ResultT]]) -> ResultT:
        """Does the work in one transaction, which is committed when it returns and rolled back when it raises."""
        return self._runner.run(self._write(work))

    def run(self, work: Coroutine[object, object, ResultT]) -> ResultT:
        """What opens its sessions itself."""
        return self._runner.run(work)

    async def _read(self, work: Callable[[AsyncSession], Awaitable[ResultT]]) -> ResultT:
        async with self.installation.database.read() as session:
            return await work(session)

    async def _report(self, work: Callable[[AsyncSession], Awaitable[ResultT]]) -> ResultT:
        async with self.installation.database.report() as session:
            return await work(session)

    async def _write(self, work: Callable[[AsyncSession], Awaitable[ResultT]]) -> ResultT:
        async with self.installation.database.write.begin() as session:
            return await work(session)


@contextmanager
def open_place(frame: Frame) -> Generator[Place]:
    """The data folder of the call.

    Raises:
        SettingsError: a setting is bad.
        StorageError: the folder or its database cannot be used.
    """
    installation = open_installation(frame.load_settings())
    with asyncio.Runner() as runner:
        try:
            yield Place(installation, runner)
        finally:
            runner.run(installation.aclose())
