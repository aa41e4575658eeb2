import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.database.session import Database
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID as WORKSPACE
from flowforge.language.reading.document_reader import DocumentFormat
from flowforge.workflows.errors import DocumentInvalidError, DraftChangedError, DraftNotFoundError, WorkflowNotFoundError
from flowforge.workflows.service import (
    WorkflowFilter,
    export_workflow,
    get_draft,
    get_workflow,
    list_workflows,
    prepare_publication,
    publish,
    push_draft,
)
from flowforge.workflows.types import CheckDocument, Pushed, Source

ACTOR = "user:ann"
ORDER = """\
# kept as it is: comment, order and spacing
flowforge: 1
name: order
title:   Orders
labels: {team: sales, region: "${{ input.region }}"}
steps:
  - id: go
    uses: flow.set
    with: {values: {n: 1}}
"""
UNFINISHED = ORDER.replace("flow.set", "flow.sett")


def yaml(text: str) -> Source:
    return Source(text.encode(), DocumentFormat.YAML)


class Shelf:
    """Pushes and looks, in one session."""

    def __init__(self, session: AsyncSession, check: CheckDocument) -> None:
        self.session = session
        self.check = check
        self.now_ms = 1_000

    async def push(self, source: Source, *, allow_faults: bool = False, if_match: str | None = None) -> Pushed:
        self.now_ms += 1
        return await push_draft(
            self.session,
            ACTOR,
            WORKSPACE,
            source,
            check=self.check,
            at_ms=self.now_ms,
            allow_faults=allow_faults,
            if_match=if_match,
        )

    async def publish(self, name: str) -> None:
        publication = await prepare_publication(self.session, WORKSPACE, name, check=self.check)
        await publish(self.session, ACTOR, WORKSPACE, publication, note="", at_ms=self.now_ms)


@pytest.fixture
def shelf(session: AsyncSession, check: CheckDocument) -> Shelf:
    return Shelf(session, check)


async def test_push_makes_workflow_and_draft(shelf: Shelf):
    pushed = await shelf.push(yaml(ORDER))
    assert (pushed.is_new, pushed.is_changed) == (True, True)
    workflow = await get_workflow(shelf.session, WORKSPACE, "order")
    assert workflow.id == pushed.workflow.id
    assert (workflow.title, workflow.status, workflow.has_draft, workflow.created_by) == ("Orders", "draft", True, ACTOR)
    assert workflow.labels == {"team": "sales"}
    draft = await get_draft(shelf.session, WORKSPACE, workflow.id, check=shelf.check)
    assert draft.source == yaml(ORDER)
    assert (draft.faults, draft.based_on, draft.etag) == ([], None, pushed.etag)


async def test_push_of_the_same_bytes_changes_nothing(shelf: Shelf):
    first = await shelf.push(yaml(ORDER))
    again = await shelf.push(yaml(ORDER))
    assert (again.is_new, again.is_changed, again.etag) == (False, False, first.etag)
    assert again.workflow.updated_at_ms == first.workflow.updated_at_ms


async def test_push_of_the_published_bytes_makes_no_draft(shelf: Shelf):
    await shelf.push(yaml(ORDER))
    await shelf.publish("order")
    again = await shelf.push(yaml(ORDER))
    assert (again.is_changed, again.workflow.has_draft) == (False, False)


async def test_draft_remembers_the_version_it_was_begun_on(shelf: Shelf):
    await shelf.push(yaml(ORDER))
    await shelf.publish("order")
    await shelf.push(yaml(ORDER.replace("n: 1", "n: 2")))
    draft = await get_draft(shelf.session, WORKSPACE, "order", check=shelf.check)
    assert draft.based_on == 1


async def test_document_with_faults_is_refused_and_nothing_is_stored(shelf: Shelf):
    with pytest.raises(DocumentInvalidError) as refused:
        await shelf.push(yaml(UNFINISHED))
    detail = refused.value.details[0]
    assert (detail.field, detail.line, detail.column) == ("steps[0].uses", 8, 11)
    with pytest.raises(WorkflowNotFoundError):
        await get_workflow(shelf.session, WORKSPACE, "order")


async def test_draft_may_keep_faults_where_that_is_asked_for(shelf: Shelf):
    pushed = await shelf.push(yaml(UNFINISHED), allow_faults=True)
    assert [fault.field for fault in pushed.faults] == ["steps[0].uses"]
    draft = await get_draft(shelf.session, WORKSPACE, "order", check=shelf.check)
    assert [fault.field for fault in draft.faults] == ["steps[0].uses"]
    with pytest.raises(DocumentInvalidError):
        await shelf.publish("order")


@pytest.mark.parametrize("text", ["steps: [", "flowforge: 1\nsteps: []\n", "flowforge: 1\nname: Not A Name\nsteps: []\n"])
async def test_draft_without_a_readable_name_is_refused_always(shelf: Shelf, text: str):
    with pytest.raises(DocumentInvalidError) as refused:
        await shelf.push(yaml(text), allow_faults=True)
    assert refused.value.details


async def test_draft_that_somebody_changed_is_not_overwritten(shelf: Shelf):
    first = await shelf.push(yaml(ORDER))
    await shelf.push(yaml(ORDER.replace("n: 1", "n: 2")), if_match=first.etag)
    with pytest.raises(DraftChangedError):
        await shelf.push(yaml(ORDER.replace("n: 1", "n: 3")), if_match=first.etag)
    draft = await get_draft(shelf.session, WORKSPACE, "order", check=shelf.check)
    assert b"n: 2" in draft.source.data


async def test_published_workflow_has_no_draft(shelf: Shelf):
    await shelf.push(yaml(ORDER))
    await shelf.publish("order")
    with pytest.raises(DraftNotFoundError):
        await get_draft(shelf.session, WORKSPACE, "order", check=shelf.check)


async def test_yml_38_export_and_import_give_identical_bytes(shelf: Shelf):
    await shelf.push(yaml(ORDER))
    exported = await export_workflow(shelf.session, WORKSPACE, "order", version="draft")
    assert exported.data == ORDER.encode()
    again = await shelf.push(exported)
    assert not again.is_changed
    await shelf.publish("order")
    assert await export_workflow(shelf.session, WORKSPACE, "order") == exported


async def test_yml_38_secrets_are_in_an_export_by_name_only(shelf: Shelf):
    document = yaml(
        "flowforge: 1\nname: order\nsteps:\n  - id: ask\n    uses: http.request\n"
        '    with: {url: "https://shop.example/", auth: {bearer: "${{ secrets.SHOP_TOKEN }}"}}\n'
    )
    await shelf.push(document)
    exported = await export_workflow(shelf.session, WORKSPACE, "order", version="draft")
    assert b"${{ secrets.SHOP_TOKEN }}" in exported.data


async def test_yml_39_import_twice_updates_the_draft_and_makes_no_twin(shelf: Shelf):
    first = await shelf.push(yaml(ORDER))
    second = await shelf.push(yaml(ORDER.replace("n: 1", "n: 2")))
    assert second.workflow.id == first.workflow.id
    assert (second.is_new, second.is_changed) == (False, True)
    found, _ = await list_workflows(shelf.session, WORKSPACE, WorkflowFilter(include_deleted=True))
    assert [workflow.name for workflow in found] == ["order"]


async def test_yml_39_two_imports_at_once_make_no_twin(database: Database, check: CheckDocument):
    for text in (ORDER, ORDER.replace("n: 1", "n: 2")):
        async with database.write.begin() as session:
            await push_draft(session, ACTOR, WORKSPACE, yaml(text), check=check, at_ms=1)
    async with database.read() as session:
        found, _ = await list_workflows(session, WORKSPACE, WorkflowFilter())
    assert len(found) == 1


async def test_yml_41_layout_in_the_document_is_an_unknown_field(shelf: Shelf):
    with pytest.raises(DocumentInvalidError) as refused:
        await shelf.push(yaml(ORDER + "layout: {go: {x: 1, y: 2}}\n"))
    assert [(detail.field, detail.code) for detail in refused.value.details] == [("layout", "field_unknown")]


async def test_yml_42_json_under_a_yaml_name_is_accepted(shelf: Shelf):
    text = '{"flowforge": 1, "name": "order", "steps": [{"id": "go", "uses": "flow.set", "with": {"values": {}}}]}'
    pushed = await shelf.push(yaml(text))
    assert pushed.workflow.name == "order"


async def test_yml_42_yaml_sent_as_json_is_refused(shelf: Shelf):
    with pytest.raises(DocumentInvalidError) as refused:
        await shelf.push(Source(ORDER.encode(), DocumentFormat.JSON))
    assert [detail.code for detail in refused.value.details] == ["json_syntax"]
