"""`once`: the effect and the step's mark are one transaction."""

import asyncio

import pytest
from tests.steps.sql.conftest import Desk

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import FatalError, RetryableError
from flowforge.steps.sql.marks import Marks


async def make_table(desk: Desk) -> None:
    await desk.execute("CREATE TABLE effects (id INTEGER, note VARCHAR(50))")


async def count(desk: Desk) -> JsonValue:
    return await desk.value("SELECT count(*) FROM effects")


async def test_the_same_attempt_twice_has_one_effect(desk: Desk):
    await make_table(desk)
    first = await desk.execute("INSERT INTO effects VALUES (1, 'a') RETURNING id", once=True)
    again = await desk.execute("INSERT INTO effects VALUES (1, 'a') RETURNING id", once=True)
    assert first == {"rows_affected": 1, "rows": [{"id": 1}], "last_id": first["last_id"], "is_repeated": False}
    assert again == {**first, "is_repeated": True}
    assert await count(desk) == 1
    other = await desk.execute("INSERT INTO effects VALUES (2, 'b')", key="key-2", once=True)
    assert other["is_repeated"] is False
    assert await count(desk) == 2


async def test_a_batch_is_made_once(desk: Desk):
    await make_table(desk)
    statement: JsonObject = {"statement": "INSERT INTO effects VALUES (?, 'a')", "rows": [[1], [2]]}
    assert await desk.batch(statement, once=True) == {"rows_affected": [2], "total": 2, "is_repeated": False}
    assert await desk.batch(statement, once=True) == {"rows_affected": [2], "total": 2, "is_repeated": True}
    assert await count(desk) == 2


async def test_an_attempt_that_failed_leaves_no_mark(desk: Desk):
    await make_table(desk)
    with pytest.raises(FatalError):
        await desk.batch(
            {"statement": "INSERT INTO effects VALUES (1, 'a')"}, {"statement": "INSERT INTO nowhere VALUES (1)"}, once=True
        )
    assert await count(desk) == 0
    assert await desk.value("SELECT count(*) FROM flowforge_marks") == 0
    assert (await desk.execute("INSERT INTO effects VALUES (1, 'a')", once=True))["is_repeated"] is False
    assert await count(desk) == 1


@pytest.mark.parametrize("place", ["place", "finish"])
async def test_a_crash_before_the_commit_leaves_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch, place: str):
    await make_table(desk)
    original = getattr(Marks, place)

    class Killed(BaseException):
        """As the process's end: no handler runs that the operation knows of."""

    async def die(self: Marks, *given: JsonObject) -> None:
        await original(self, *given)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Marks, place, die)
        with pytest.raises(Killed):
            await desk.execute("INSERT INTO effects VALUES (1, 'a')", once=True)
    assert await count(desk) == 0
    assert (await desk.execute("INSERT INTO effects VALUES (1, 'a')", once=True))["is_repeated"] is False
    assert await count(desk) == 1


async def test_a_crash_after_the_commit_has_one_effect(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    await make_table(desk)
    from flowforge.steps.sql import transactions
    from flowforge.steps.sql.session import BrokenCommitError, Session

    original = transactions.commit

    async def commit_and_lose_the_answer(session: Session) -> None:
        class Deaf:
            async def commit(self) -> None:
                await session.commit()
                raise BrokenCommitError

        await original(Deaf())  # pyright: ignore[reportArgumentType]

    with monkeypatch.context() as patch:
        patch.setattr(transactions, "commit", commit_and_lose_the_answer)
        with pytest.raises(RetryableError) as caught:
            await desk.execute("INSERT INTO effects VALUES (1, 'a')", once=True)
        assert (caught.value.code, caught.value.by_default) == ("commit_unknown", True)
        with pytest.raises(RetryableError) as caught:
            await desk.execute("INSERT INTO effects VALUES (2, 'a')")
        assert (caught.value.code, caught.value.by_default) == ("commit_unknown", False)
    assert (await desk.execute("INSERT INTO effects VALUES (1, 'a')", once=True))["is_repeated"] is True
    assert await desk.value("SELECT count(*) FROM effects WHERE id = 1") == 1


async def test_two_attempts_at_the_same_time_have_one_effect(desk: Desk):
    await make_table(desk)
    found = await asyncio.gather(
        *(desk.execute("INSERT INTO effects VALUES (1, 'a')", once=True) for _ in range(4)), return_exceptions=True
    )
    done = [result for result in found if isinstance(result, dict)]
    assert [result["is_repeated"] for result in done].count(False) == 1
    assert all(isinstance(result, dict | RetryableError) for result in found)
    assert await count(desk) == 1


async def test_the_mark_needs_a_transaction(desk: Desk):
    with pytest.raises(Exception, match="transaction"):
        await desk.execute("INSERT INTO effects VALUES (1, 'a')", once=True, transaction=False)
    if desk.database.kind == "mysql":
        with pytest.raises(FatalError) as caught:
            await desk.execute("CREATE TABLE x (a INT)", once=True)
        assert caught.value.code == "sql_statement"
        with pytest.raises(FatalError) as caught:
            await desk.batch({"statement": "CREATE TABLE x (a INT)"})
        assert caught.value.code == "sql_statement"
    else:
        assert (await desk.execute("CREATE TABLE x (a INT)", once=True))["is_repeated"] is False
        assert (await desk.execute("CREATE TABLE x (a INT)", once=True))["is_repeated"] is True
