"""How a role of a cluster starts."""

import asyncio
from pathlib import Path

import pytest

from flowforge.cluster.health import Stage
from flowforge.entrypoints.roles import open_role
from flowforge.entrypoints.wiring import Installation
from flowforge.kit.database.errors import DatabaseUnreachableError
from flowforge.kit.settings_source import load_settings


async def test_f20_role_whose_database_goes_away_during_its_start_begins_anew(tmp_path: Path):
    tried: list[Installation] = []

    async def carry(installation: Installation) -> None:
        tried.append(installation)
        if len(tried) == 1:
            raise DatabaseUnreachableError("It is gone.", [])

    async with open_role(load_settings({}, data=tmp_path / "data"), "worker", asyncio.Event()) as role:
        await role.work(carry)
    assert len(tried) == 2
    assert tried[0] is not tried[1]


async def test_what_goes_wrong_later_is_told(tmp_path: Path):
    async with open_role(load_settings({}, data=tmp_path / "data"), "worker", asyncio.Event()) as role:

        async def carry(_installation: Installation) -> None:
            role.pages.stage = Stage.READY
            raise DatabaseUnreachableError("It is gone.", [])

        with pytest.raises(DatabaseUnreachableError):
            await role.work(carry)


async def test_role_that_is_told_to_end_before_it_begins_opens_nothing(tmp_path: Path):
    async def carry(_installation: Installation) -> None:
        raise AssertionError("it was told to end")

    stop = asyncio.Event()
    stop.set()
    async with open_role(load_settings({}, data=tmp_path / "data"), "worker", stop) as role:
        await role.work(carry)
        assert role.pages.stage is Stage.STARTING
