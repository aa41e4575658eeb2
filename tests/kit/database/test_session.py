import asyncio
from pathlib import Path

from sqlalchemy import select, text

from flowforge.engine.tables import definitions
from flowforge.kit.database.schema import upgrade_database
from flowforge.kit.database.session import open_sessions


async def test_sessions_commit_and_read_back(path: Path):
    upgrade_database(path)
    database = open_sessions(path)
    async with database.write() as session:
        await session.execute(definitions.insert().values(digest="d", document="{}"))
        await session.commit()
    async with database.read() as session:
        assert (await session.execute(select(definitions.c.document))).scalars().all() == ["{}"]
        assert (await session.execute(text("PRAGMA synchronous"))).scalar() == 2
        assert (await session.execute(text("PRAGMA foreign_keys"))).scalar() == 1
    await database.close()


async def test_session_that_ends_without_commit_leaves_nothing(path: Path):
    upgrade_database(path)
    database = open_sessions(path)
    async with database.write() as session:
        await session.execute(definitions.insert().values(digest="d", document="{}"))
    async with database.read() as session:
        assert (await session.execute(select(definitions.c.digest))).all() == []
    await database.close()


async def test_f25_writers_that_read_first_wait_for_each_other(path: Path):
    upgrade_database(path)
    database = open_sessions(path)

    async def read_then_write(number: int) -> None:
        async with database.write() as session:
            count = len((await session.execute(select(definitions.c.digest))).all())
            await session.execute(definitions.insert().values(digest=f"{count}", document=f"{number}"))
            await session.commit()

    await asyncio.gather(*(read_then_write(number) for number in range(20)))
    async with database.read() as session:
        digests = (await session.execute(select(definitions.c.digest))).scalars().all()
    assert sorted(map(int, digests)) == list(range(20))
    await database.close()
