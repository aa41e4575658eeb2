import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.border import decode, digest
from flowforge.kit.database.session import Database
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID as WORKSPACE
from flowforge.language.reading.document_reader import DocumentFormat
from flowforge.workflows.errors import (
    DeprecatedError,
    DraftChangedError,
    DraftNotFoundError,
    InactiveError,
    NameTakenError,
    NotPublishedError,
    OpenRunsError,
    VersionNotFoundError,
    WorkflowNotFoundError,
)
from flowforge.workflows.models import WorkflowRow
from flowforge.workflows.service import (
    WorkflowFilter,
    compare_versions,
    delete_workflow,
    deprecate_workflow,
    export_workflow,
    get_version_source,
    get_workflow,
    list_versions,
    list_workflows,
    prepare_publication,
    publish,
    publish_again,
    push_draft,
    resolve_version,
    restore_workflow,
)
from flowforge.workflows.types import CheckDocument, Published, Source

ACTOR = "user:ann"
Push = Callable[[str, int], Awaitable[None]]
Publish = Callable[[str, int], Awaitable[Published]]


def document(name: str, number: int) -> Source:
    text = f"flowforge: 1\nname: {name}\nsteps:\n  - id: go\n    uses: flow.set\n    with: {{values: {{n: {number}}}}}\n"
    return Source(text.encode(), DocumentFormat.YAML)


@pytest.fixture
def push(session: AsyncSession, check: CheckDocument) -> Push:
    async def push(name: str, number: int) -> None:
        await push_draft(session, ACTOR, WORKSPACE, document(name, number), check=check, at_ms=number)

    return push


@pytest.fixture
def make_version(session: AsyncSession, check: CheckDocument, push: Push) -> Publish:
    async def make_version(name: str, number: int) -> Published:
        await push(name, number)
        publication = await prepare_publication(session, WORKSPACE, name, check=check)
        return await publish(session, ACTOR, WORKSPACE, publication, note=f"note {number}", at_ms=number)

    return make_version


async def test_versions_are_numbered_and_the_last_one_is_current(session: AsyncSession, make_version: Publish):
    for number in (1, 2, 3):
        assert (await make_version("order", number)).version.version == number
    versions = await list_versions(session, WORKSPACE, "order")
    assert [(version.version, version.note, version.is_current) for version in versions] == [
        (3, "note 3", True),
        (2, "note 2", False),
        (1, "note 1", False),
    ]
    assert {version.published_by for version in versions} == {ACTOR}


async def test_definition_of_a_publication_has_the_digest_of_its_version(session: AsyncSession, check: CheckDocument, push: Push):
    await push("order", 1)
    publication = await prepare_publication(session, WORKSPACE, "order", check=check)
    assert digest(publication.definition) == publication.digest
    assert decode(publication.definition) == check(document("order", 1)).document


async def test_draft_that_was_changed_since_it_was_prepared_is_not_published(
    session: AsyncSession, check: CheckDocument, push: Push
):
    await push("order", 1)
    publication = await prepare_publication(session, WORKSPACE, "order", check=check)
    await push("order", 2)
    with pytest.raises(DraftChangedError):
        await publish(session, ACTOR, WORKSPACE, publication, note="", at_ms=3)
    assert await list_versions(session, WORKSPACE, "order") == []


async def test_publishing_without_a_draft_is_refused(session: AsyncSession, check: CheckDocument, make_version: Publish):
    await make_version("order", 1)
    with pytest.raises(DraftNotFoundError):
        await prepare_publication(session, WORKSPACE, "order", check=check)


async def test_earlier_version_becomes_current_again_without_a_new_number(
    session: AsyncSession, make_version: Publish, push: Push
):
    await make_version("order", 1)
    await make_version("order", 2)
    await push("order", 3)
    published = await publish_again(session, ACTOR, WORKSPACE, "order", 1, at_ms=4)
    assert (published.version.version, published.version.is_current, published.workflow.has_draft) == (1, True, True)
    assert len(await list_versions(session, WORKSPACE, "order")) == 2
    with pytest.raises(VersionNotFoundError):
        await publish_again(session, ACTOR, WORKSPACE, "order", 9, at_ms=5)


async def test_next_number_follows_the_highest_after_an_earlier_version_came_back(session: AsyncSession, make_version: Publish):
    await make_version("order", 1)
    await make_version("order", 2)
    await publish_again(session, ACTOR, WORKSPACE, "order", 1, at_ms=3)
    assert (await make_version("order", 4)).version.version == 3


async def test_new_run_takes_the_current_version_or_the_one_that_was_asked_for(session: AsyncSession, make_version: Publish):
    first, second = await make_version("order", 1), await make_version("order", 2)
    current = await resolve_version(session, WORKSPACE, "order", None)
    assert current == {"id": second.workflow.id, "name": "order", "version": 2, "digest": second.version.digest}
    assert (await resolve_version(session, WORKSPACE, first.workflow.id, 1))["digest"] == first.version.digest
    with pytest.raises(VersionNotFoundError):
        await resolve_version(session, WORKSPACE, "order", 3)
    with pytest.raises(WorkflowNotFoundError):
        await resolve_version(session, WORKSPACE, "other", None)


async def test_workflow_without_version_takes_no_run(session: AsyncSession, push: Push):
    await push("order", 1)
    with pytest.raises(NotPublishedError):
        await resolve_version(session, WORKSPACE, "order", None)
    with pytest.raises(NotPublishedError):
        await export_workflow(session, WORKSPACE, "order")


async def test_deprecated_workflow_takes_no_run_until_it_is_published_again(session: AsyncSession, make_version: Publish):
    await make_version("order", 1)
    deprecated = await deprecate_workflow(session, ACTOR, WORKSPACE, "order", at_ms=5)
    assert (deprecated.status, deprecated.deprecated_at_ms) == ("deprecated", 5)
    with pytest.raises(DeprecatedError):
        await resolve_version(session, WORKSPACE, "order", 1)
    await publish_again(session, ACTOR, WORKSPACE, "order", 1, at_ms=6)
    assert (await resolve_version(session, WORKSPACE, "order", None))["version"] == 1


async def test_workflow_that_was_never_published_cannot_be_deprecated(session: AsyncSession, push: Push):
    await push("order", 1)
    with pytest.raises(NotPublishedError):
        await deprecate_workflow(session, ACTOR, WORKSPACE, "order", at_ms=2)


async def test_inactive_workflow_takes_no_run(session: AsyncSession, make_version: Publish):
    published = await make_version("order", 1)
    row = await session.get_one(WorkflowRow, published.workflow.id)
    row.active = False
    await session.flush()
    assert (await get_workflow(session, WORKSPACE, "order")).status == "inactive"
    with pytest.raises(InactiveError):
        await resolve_version(session, WORKSPACE, "order", None)


async def test_deleted_workflow_is_gone_and_frees_its_name(session: AsyncSession, make_version: Publish, push: Push):
    published = await make_version("order", 1)
    deleted = await delete_workflow(session, ACTOR, WORKSPACE, "order", open_runs=0, at_ms=10)
    assert (deleted.status, deleted.deleted_at_ms) == ("deleted", 10)
    with pytest.raises(WorkflowNotFoundError):
        await resolve_version(session, WORKSPACE, "order", None)
    await push("order", 2)
    twin = await get_workflow(session, WORKSPACE, "order")
    assert twin.id != published.workflow.id
    assert (await get_workflow(session, WORKSPACE, deleted.id, include_deleted=True)).status == "deleted"


async def test_f63_workflow_with_open_runs_is_deleted_by_force_only(session: AsyncSession, make_version: Publish):
    await make_version("order", 1)
    with pytest.raises(OpenRunsError, match="has 2 open runs"):
        await delete_workflow(session, ACTOR, WORKSPACE, "order", open_runs=2, at_ms=10)
    assert (await delete_workflow(session, ACTOR, WORKSPACE, "order", open_runs=2, at_ms=10, is_forced=True)).status == "deleted"


async def test_restored_workflow_has_its_versions_again(session: AsyncSession, make_version: Publish):
    await make_version("order", 1)
    await delete_workflow(session, ACTOR, WORKSPACE, "order", open_runs=0, at_ms=10)
    restored = await restore_workflow(session, ACTOR, WORKSPACE, "order", at_ms=11)
    assert (restored.status, restored.updated_by) == ("published", ACTOR)
    assert (await resolve_version(session, WORKSPACE, "order", None))["version"] == 1


async def test_workflow_whose_name_was_taken_meanwhile_is_not_restored(session: AsyncSession, make_version: Publish, push: Push):
    published = await make_version("order", 1)
    await delete_workflow(session, ACTOR, WORKSPACE, "order", open_runs=0, at_ms=10)
    await push("order", 2)
    with pytest.raises(NameTakenError):
        await restore_workflow(session, ACTOR, WORKSPACE, published.workflow.id, at_ms=11)
    with pytest.raises(WorkflowNotFoundError):
        await restore_workflow(session, ACTOR, WORKSPACE, "other", at_ms=11)


async def test_versions_are_compared_as_text_and_by_meaning(
    session: AsyncSession, check: CheckDocument, make_version: Publish, push: Push
):
    await make_version("order", 1)
    await make_version("order", 2)
    await push("order", 3)
    found = await compare_versions(session, WORKSPACE, "order", left=1, right=2, check=check)
    assert (found.left, found.right) == ("order (version 1)", "order (version 2)")
    assert "-    with: {values: {n: 1}}\n+    with: {values: {n: 2}}\n" in found.text
    assert found.changes == [{"change": "changed", "field": "steps.go.with.values.n", "before": 1, "after": 2}]
    drafted = await compare_versions(session, WORKSPACE, "order", left=None, right="draft", check=check)
    assert (drafted.left, drafted.right) == ("order (version 2)", "order (draft)")
    assert drafted.changes[0]["after"] == 3


async def test_equal_versions_have_no_difference(session: AsyncSession, check: CheckDocument, make_version: Publish):
    await make_version("order", 1)
    found = await compare_versions(session, WORKSPACE, "order", left=1, right=None, check=check)
    assert (found.text, found.changes) == ("", [])


async def test_version_keeps_the_document_as_it_was_published(session: AsyncSession, make_version: Publish):
    await make_version("order", 1)
    await make_version("order", 2)
    assert await get_version_source(session, WORKSPACE, "order", 1) == document("order", 1)
    assert await export_workflow(session, WORKSPACE, "order", version=2) == document("order", 2)
    with pytest.raises(VersionNotFoundError):
        await get_version_source(session, WORKSPACE, "order", 3)


async def test_list_goes_on_by_name_and_finds_by_part_of_it(session: AsyncSession, push: Push):
    for name in ("alpha", "beta", "delta"):
        await push(name, 1)
    first, after = await list_workflows(session, WORKSPACE, WorkflowFilter(limit=2))
    assert ([workflow.name for workflow in first], after) == (["alpha", "beta"], "beta")
    rest, end = await list_workflows(session, WORKSPACE, WorkflowFilter(limit=2, after_name="beta"))
    assert ([workflow.name for workflow in rest], end) == (["delta"], None)
    found, _ = await list_workflows(session, WORKSPACE, WorkflowFilter(search="LT"))
    assert [workflow.name for workflow in found] == ["delta"]
    assert (await list_workflows(session, WORKSPACE, WorkflowFilter(search="%")))[0] == []


async def test_other_workspace_sees_nothing(session: AsyncSession, make_version: Publish):
    published = await make_version("order", 1)
    other = "ws_" + "1" * 26
    with pytest.raises(WorkflowNotFoundError):
        await get_workflow(session, other, published.workflow.id)
    with pytest.raises(WorkflowNotFoundError):
        await resolve_version(session, other, published.workflow.id, 1)
    assert await list_workflows(session, other, WorkflowFilter()) == ([], None)


async def test_draft_is_published_once_by_two_at_the_same_moment(database: Database, check: CheckDocument):
    async with database.write.begin() as session:
        await push_draft(session, ACTOR, WORKSPACE, document("order", 1), check=check, at_ms=1)
        publication = await prepare_publication(session, WORKSPACE, "order", check=check)

    async def publish_it() -> int | None:
        try:
            async with database.write.begin() as session:
                return (await publish(session, ACTOR, WORKSPACE, publication, note="", at_ms=2)).version.version
        except DraftChangedError:
            return None

    numbers = await asyncio.gather(*(publish_it() for _ in range(4)))
    assert [number for number in numbers if number] == [1]
