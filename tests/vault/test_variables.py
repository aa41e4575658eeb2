import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.border import JsonRefusedError
from flowforge.kit.database.session import Database
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonValue
from flowforge.vault import service
from flowforge.vault.errors import VariableMissingError, VaultChangedError, VaultInputError

HERE, THERE = "ws_" + "0" * 26, "ws_" + "1" * 26


async def put(session: AsyncSession, name: str, value: JsonValue, workspace_id: str = HERE) -> None:
    await service.set_variable(session, workspace_id, name, value=value, at_ms=1_000, limits=Limits())


@pytest.mark.parametrize("value", [None, True, 2**63 - 1, 1.5, "ü", [1, {"a": None}], {"b": 1, "a": [2]}])
async def test_variable_keeps_its_value_exactly(session: AsyncSession, value: JsonValue):
    await put(session, "LIMIT", value)
    (listed,) = await service.list_variables(session, HERE)
    assert (listed.name, listed.value, listed.version) == ("LIMIT", value, 1)
    assert type(listed.value) is type(value)


async def test_new_value_replaces_the_old_one(session: AsyncSession):
    await put(session, "LIMIT", 1)
    await put(session, "LIMIT", 2)
    (listed,) = await service.list_variables(session, HERE)
    assert (listed.value, listed.version) == (2, 2)


async def test_variables_that_are_not_set_are_left_out(session: AsyncSession):
    await put(session, "A", 1)
    await put(session, "B", 2)
    await put(session, "C", 3, THERE)
    assert await service.read_variables(session, HERE, ["B", "C", "D", "B"]) == {"B": 2}


async def test_deleted_variable_is_gone(session: AsyncSession):
    await put(session, "A", 1)
    await service.delete_variable(session, HERE, "A")
    assert await service.list_variables(session, HERE) == []
    with pytest.raises(VariableMissingError) as caught:
        await service.delete_variable(session, HERE, "A")
    assert caught.value.details[0].field == "vars.A"


@pytest.mark.parametrize("value", [2**63, float("nan"), "\ud800"])
async def test_value_that_is_no_json_is_refused(session: AsyncSession, value: JsonValue):
    with pytest.raises(JsonRefusedError):
        await put(session, "A", value)


async def test_value_that_is_too_large_is_refused(session: AsyncSession):
    with pytest.raises(VaultInputError) as caught:
        await put(session, "A", "x" * (256 * 1024))
    assert caught.value.details[0].code == "value_invalid"


async def test_bad_name_is_refused(session: AsyncSession):
    with pytest.raises(VaultInputError) as caught:
        await put(session, "small", 1)
    assert caught.value.details[0].code == "name_invalid"


async def test_what_was_committed_is_read_and_what_is_not_set_is_left_out(database: Database):
    async with database.write() as session:
        await put(session, "A", {"b": 1})
        await session.commit()
    async with database.read() as session:
        assert await service.read_variables(session, HERE, ["A", "B"]) == {"A": {"b": 1}}


async def test_writers_at_the_same_moment_lose_nothing(database: Database):
    async with database.write.begin() as session:
        await put(session, "LIMIT", 0)

    async def write(number: int) -> None:
        async with database.write.begin() as session:
            await put(session, "LIMIT", number)

    await asyncio.gather(*(write(number) for number in range(8)))
    async with database.read() as session:
        (listed,) = await service.list_variables(session, HERE)
    assert listed.version == 9


async def test_first_value_is_made_by_one_writer_alone(database: Database):
    async def write(number: int) -> bool:
        try:
            async with database.write.begin() as session:
                await put(session, "LIMIT", number)
        except VaultChangedError:
            return False
        return True

    made = await asyncio.gather(*(write(number) for number in range(4)))
    async with database.read() as session:
        (listed,) = await service.list_variables(session, HERE)
    assert listed.version == sum(made) >= 1
