"""Rows in one chain, on all three databases."""

import asyncio

import pytest
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.exc import DBAPIError
from tests.audit.logbook import ADA, AT, AUTHOR, SYSTEM, read, write

from flowforge.audit.models import AuditCheckpoint, AuditHead, AuditRow, AuditSink
from flowforge.audit.rows import FIRST_HASH, chain_hash, describe_entry, read_entry
from flowforge.audit.service import Author, Personal, erase_person, record_as
from flowforge.kit.database.session import Database
from flowforge.kit.errors import FlowForgeError, InvariantError


async def expect_chain(database: Database, count: int) -> None:
    rows = await read(database)
    assert [row.no for row in rows] == list(range(1, count + 1))
    previous = FIRST_HASH
    for row in rows:
        assert row.hash == chain_hash(previous, describe_entry(read_entry(row)))
        previous = row.hash


async def test_rows_are_chained(database: Database):
    await write(database, 3)
    await write(database, 2, AUTHOR)
    await expect_chain(database, 5)


async def test_parallel_writers_give_one_unbroken_chain(database: Database):
    await asyncio.gather(*(write(database, 3) for _ in range(12)))
    await expect_chain(database, 36)


async def test_writers_that_lock_more_after_recording_do_not_wait_for_each_other(server: Database):
    """One records and then changes a row, the other changes that row and then records: if recording locked the chain, both would wait."""
    async with server.write.begin() as session:
        session.add(AuditSink(name="thing", row_no=0, checkpoint_no=0, at=AT))
    change = update(AuditSink).values(row_no=AuditSink.row_no + 1).execution_options(synchronize_session=False)
    recorded, changed = asyncio.Event(), asyncio.Event()

    async def record_first() -> None:
        async with server.write.begin() as session:
            await record_as(session, SYSTEM, "thing.changed", "thing", "thing_1")
            recorded.set()
            await changed.wait()
            await session.execute(change)

    async def change_first() -> None:
        async with server.write.begin() as session:
            await session.execute(change)
            changed.set()
            await recorded.wait()
            await record_as(session, SYSTEM, "thing.changed", "thing", "thing_2")

    await asyncio.gather(record_first(), change_first())
    await expect_chain(server, 2)
    assert {row.entity_id for row in await read(server)} == {"thing_1", "thing_2"}


async def test_nothing_is_recorded_in_a_savepoint(sqlite: Database):
    with pytest.raises(InvariantError, match="savepoint"):
        async with sqlite.write.begin() as session, session.begin_nested():
            await record_as(session, SYSTEM, "thing.changed", "thing", "thing_1")
    await expect_chain(sqlite, 0)


async def test_a_savepoint_between_chains_nothing_early(sqlite: Database):
    async with sqlite.write.begin() as session:
        await record_as(session, SYSTEM, "thing.changed", "thing", "thing_1")
        async with session.begin_nested():
            session.add(AuditSink(name="thing", row_no=0, checkpoint_no=0, at=AT))
        assert await session.scalar(select(func.count()).select_from(AuditRow)) == 0
    await expect_chain(sqlite, 1)


async def test_the_row_goes_when_the_change_is_taken_back(database: Database):
    await write(database)
    async with database.write() as session:
        await record_as(session, SYSTEM, "thing.changed", "thing", "thing_1")
        await session.rollback()
    await write(database)
    await expect_chain(database, 2)


@pytest.mark.parametrize(
    "statement",
    [
        update(AuditRow).values(actor="user:nobody"),
        delete(AuditRow),
        update(AuditCheckpoint).values(hash="0" * 64),
        delete(AuditCheckpoint),
        update(AuditHead).values(retired_up_to=2),
    ],
    ids=["row_update", "row_delete", "checkpoint_update", "checkpoint_delete", "mark_without_checkpoint"],
)
async def test_triggers_refuse_changes(database: Database, statement: object):
    await write(database, 2)
    async with database.write.begin() as session:
        session.add(AuditCheckpoint(no=1, hash="a" * 64, at=AT, key_id="k", public_key="p", signature="s"))
    with pytest.raises((DBAPIError, FlowForgeError)) as refused:
        async with database.write.begin() as session:
            await session.execute(statement)  # pyright: ignore[reportCallIssue, reportArgumentType] - one of two kinds
    assert "append-only" in str(refused.value) or "mark of retention" in str(refused.value)
    await expect_chain(database, 2)


async def test_rows_up_to_a_retired_checkpoint_may_be_deleted(database: Database):
    await write(database, 3)
    async with database.write.begin() as session:
        session.add(AuditCheckpoint(no=2, hash="a" * 64, at=AT, key_id="k", public_key="p", signature="s"))
    async with database.write.begin() as session:
        await session.execute(update(AuditHead).values(retired_up_to=2))
        await session.execute(delete(AuditRow).where(AuditRow.no <= 2))
    assert [row.no for row in await read(database)] == [3]
    with pytest.raises((DBAPIError, FlowForgeError)):
        async with database.write.begin() as session:
            await session.execute(update(AuditHead).values(retired_up_to=0))


async def test_replace_does_not_pass_the_triggers_of_sqlite(sqlite: Database):
    await write(sqlite, 2)
    with pytest.raises(DBAPIError, match="append-only"):
        async with sqlite.write.begin() as session:
            await session.execute(text("INSERT OR REPLACE INTO audit_rows SELECT * FROM audit_rows WHERE no = 1"))


async def test_what_is_personal_is_sealed_and_erased_with_its_key(database: Database):
    async with database.write.begin() as session:
        after = {"name": Personal(ADA, "Ada"), "tags": ["a", Personal(ADA, {"email": "ada@example.com"})]}
        await record_as(session, AUTHOR, "user.created", "user", ADA, after=after)
    (row,) = await read(database)
    assert "Ada" not in str(row.after)
    assert "192.0.2.7" not in str(row.ip)
    async with database.write.begin() as session:
        await erase_person(session, ADA, at_ms=AT)
    async with database.write.begin() as session:
        await record_as(session, AUTHOR, "user.erased", "user", ADA, before={"name": Personal(ADA, "Ada")})
    await expect_chain(database, 2)
    assert '"sealed":null' in str((await read(database))[1].before)


async def test_nothing_personal_is_recorded_without_the_key_ring(sqlite: Database):
    with pytest.raises(InvariantError, match="key ring"):
        async with sqlite.write.begin() as session:
            await record_as(session, Author(f"user:{ADA}", address="192.0.2.7"), "user.created", "user", ADA)
    await expect_chain(sqlite, 0)
