"""Rows of triggers, their requests and events, on each of the databases."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError
from tests.support.databases import Kind
from tests.support.sessions import KINDS, open_database_sessions

from flowforge.kit.database.session import Database
from flowforge.kit.ids import make_id
from flowforge.kit.values import JsonObject
from flowforge.triggers import event_rows, repository
from flowforge.triggers.errors import HookPathTakenError
from flowforge.triggers.lists import REQUESTS
from flowforge.triggers.reading import read_figures
from flowforge.triggers.recording import REQUESTS_KEPT, Recorder
from flowforge.triggers.service import replace_triggers
from flowforge.triggers.types import HeldEvent, RequestRecord
from flowforge.web.lists import Asked

WORKSPACE = "ws_" + "1" * 26
WORKFLOW = "wf_" + "1" * 26
NOW_MS = 1_700_000_000_000


@pytest.fixture(params=KINDS)
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    kind: Kind = request.param
    async with open_database_sessions(kind, tmp_path) as database:
        yield database


def describe(**paths: str) -> JsonObject:
    """A document with a webhook for each path, by its id."""
    return {"triggers": [{"id": key, "uses": "webhook", "with": {"path": path, "auth": "none"}} for key, path in paths.items()]}


async def put(database: Database, document: JsonObject | None, workflow_id: str = WORKFLOW) -> None:
    async with database.write.begin() as session:
        await replace_triggers(session, "user:x", WORKSPACE, workflow_id, "shop", document, NOW_MS)


async def list_paths(database: Database) -> dict[str, tuple[str, str | None, bool]]:
    async with database.read() as session:
        rows = await repository.list_of_workflow(session, WORKSPACE, WORKFLOW)
        return {row.key: (row.id, row.path, row.is_live) for row in rows}


async def test_triggers_are_replaced_and_keep_their_identity(database: Database):
    await put(database, describe(a="one", b="two"))
    first = await list_paths(database)
    await put(database, describe(a="two", c="one"))
    second = await list_paths(database)
    assert second["a"] == (first["a"][0], "two", True)
    assert second["b"] == (first["b"][0], None, False)
    await put(database, None)
    assert {key: (path, is_live) for key, (_, path, is_live) in (await list_paths(database)).items()} == {
        "a": (None, False),
        "b": (None, False),
        "c": (None, False),
    }
    await put(database, describe(b="two"))
    assert (await list_paths(database))["b"] == (first["b"][0], "two", True)


async def test_a_path_is_another_one_in_another_letter_case_only_if_it_may_be_written_so(database: Database):
    await put(database, describe(a="one"))
    async with database.read() as session:
        assert await repository.find_hook(session, WORKSPACE, "one") is not None
        for other in ("ONE", "one ", "óne"):
            assert await repository.find_hook(session, WORKSPACE, other) is None
        assert await repository.find_hook(session, "ws_" + "2" * 26, "one") is None


async def test_a_path_of_another_workflow_is_refused_and_nothing_is_changed(database: Database):
    await put(database, describe(a="one"))
    with pytest.raises(HookPathTakenError) as refused:
        await put(database, describe(z="new", y="one"), "wf_" + "2" * 26)
    assert refused.value.details[0].field == "triggers[1].with.path"
    async with database.read() as session:
        assert await repository.find_hook(session, WORKSPACE, "new") is None


async def test_requests_are_counted_and_the_last_hundred_kept(database: Database):
    await put(database, describe(a="one"))
    trigger_id = (await list_paths(database))["a"][0]
    recorder = Recorder(database.write, tells_outside=True)
    record = RequestRecord(trigger_id, WORKSPACE, NOW_MS, 202, run_id=make_id("run"), user_agent="x" * 1_000)
    for _ in range(3):
        for number in range(60):
            recorder.add(
                replace(record, at_ms=NOW_MS + number, status=500 if number == 0 else 202, error="ü" if number == 0 else None)
            )
        await recorder.run_once()
    await recorder.run_once()
    async with database.read() as session:
        row = await repository.find_trigger(session, WORKSPACE, trigger_id)
        assert row is not None
        figures = read_figures(row)
        assert (figures.total, figures.successful, figures.failed, figures.last_fired_at_ms) == (180, 177, 3, NOW_MS + 59)
        assert len(await event_rows.list_requests(session, WORKSPACE, trigger_id, REQUESTS.read(Asked(200)))) == REQUESTS_KEPT


async def test_an_event_is_held_once_for_a_delivery(database: Database):
    event = HeldEvent(make_id("evt"), "trg_" + "1" * 26, WORKSPACE, NOW_MS, "d-1", "0" * 64, {"body": "ünï ☃"})
    async with database.write.begin() as session:
        await event_rows.add_held(session, WORKSPACE, event)
        await event_rows.add_held(session, WORKSPACE, replace(event, id=make_id("evt"), dedup=None))
        await event_rows.add_held(session, WORKSPACE, replace(event, id=make_id("evt"), dedup="D-1"))
    with pytest.raises(IntegrityError):
        async with database.write.begin() as session:
            await event_rows.add_held(session, WORKSPACE, replace(event, id=make_id("evt")))
    async with database.write.begin() as session:
        assert await event_rows.count_held(session, WORKSPACE, event.trigger_id) == 3
        assert await event_rows.delete_held(session, WORKSPACE, event.trigger_id, [event.id]) == 1
        assert await event_rows.delete_held(session, WORKSPACE, event.trigger_id) == 2
