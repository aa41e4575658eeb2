"""What a person may do: the sum of roles, groups and overrides."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from sqlalchemy import event
from tests.support.databases import Kind
from tests.support.people import (
    DEFAULT_WORKSPACE,
    Scoped,
    give_role,
    make_group,
    make_person,
    make_workspace,
    override,
)
from tests.support.sessions import KINDS, open_database_sessions

from flowforge.identity.permissions import BUILT_IN_ROLES, OF_INSTALLATION
from flowforge.identity.revocations import bump, read_counter
from flowforge.identity.rights import find_rights
from flowforge.identity.workspaces import find_default_workspace, find_workspace
from flowforge.kit.database.session import Database
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.web.callers import Rights

PROJECT = Scoped(DEFAULT_WORKSPACE_ID, "prj_" + "1" * 26)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncGenerator[Database]:
    async with open_database_sessions("sqlite", tmp_path) as database:
        yield database


async def find(database: Database, user_id: str, workspace_id: str = DEFAULT_WORKSPACE_ID) -> Rights:
    async with database.read() as session:
        return await find_rights(session, user_id, workspace_id)


@pytest.mark.parametrize("kind", KINDS)
async def test_rights_are_the_sum_of_roles_and_groups_on_every_database(kind: Kind, tmp_path: Path):
    async with open_database_sessions(kind, tmp_path) as database:
        async with database.read() as session:
            default = await find_workspace(session, "default")
            assert default is not None
            assert default.id == DEFAULT_WORKSPACE_ID
        person = await make_person(database, "viewer")
        await give_role(database, await make_group(database, person), "requester", DEFAULT_WORKSPACE)
        await give_role(database, person, "builder", PROJECT)
        rights = await find(database, person)
        assert rights.everywhere == BUILT_IN_ROLES["viewer"] | BUILT_IN_ROLES["requester"]
        assert rights.projects == {PROJECT.project_id: BUILT_IN_ROLES["builder"] - OF_INSTALLATION}
        assert not rights.allow("workflow:publish")
        assert rights.allow("workflow:publish", PROJECT.project_id)
        before = await count_changes(database)
        async with database.write.begin() as session:
            await bump(session)
        assert await count_changes(database) == before + 1


async def count_changes(database: Database) -> int:
    async with database.read() as session:
        return await read_counter(session)


async def test_a_person_without_a_role_may_nothing(database: Database):
    assert await find(database, await make_person(database)) == Rights()


async def test_a_role_of_a_workspace_holds_there_alone(database: Database):
    other = await make_workspace(database)
    person = await make_person(database, "operator", scope=Scoped(other))
    assert await find(database, person) == Rights()
    assert (await find(database, person, other)).everywhere == BUILT_IN_ROLES["operator"] - OF_INSTALLATION
    async with database.read() as session:
        assert await find_default_workspace(session, person) == other


async def test_an_admin_of_a_workspace_does_not_manage_the_installation(database: Database):
    person = await make_person(database, "admin", scope=DEFAULT_WORKSPACE)
    rights = await find(database, person)
    assert rights.allow("secret:manage")
    assert rights.allow("workspace:manage")
    assert not any(rights.allow_somewhere(permission) for permission in OF_INSTALLATION)


async def test_overrides_come_last_and_denial_wins(database: Database):
    person = await make_person(database, "operator")
    await give_role(database, person, "builder", PROJECT)
    await override(database, person, allow=("run:delete", "run:cancel"), deny=("run:cancel", "workflow:publish"))
    rights = await find(database, person)
    assert rights.allow("run:delete")
    assert not rights.allow("run:cancel")
    assert not rights.allow_somewhere("workflow:publish")


async def test_rights_take_two_queries(database: Database):
    person = await make_person(database, "operator")
    seen: list[str] = []
    event.listen(
        database.engine.sync_engine,
        "before_cursor_execute",
        lambda *given: seen.append(given[2]) if "SELECT" in given[2] else None,
    )
    await find(database, person)
    assert len(seen) <= 2
