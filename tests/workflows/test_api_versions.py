"""The API of versions: publishing, deprecating, reverting, comparing."""

from pathlib import Path

import pytest
from tests.support.databases import Kind
from tests.support.sessions import KINDS
from tests.workflows.api_lab import ApiLab, code_of, open_api_lab, write_yaml

from flowforge.workflows.errors import DeprecatedError, InactiveError, NotPublishedError
from flowforge.workflows.service import resolve_version

WORKSPACE = "ws_" + "0" * 26
TRIGGERS = "triggers:\n  - {id: form, uses: trigger.manual}\n"


async def save(lab: ApiLab, number: int, more: str = "") -> None:
    put = await lab.ask("PUT", "/workflows/order/draft", {"yaml": write_yaml("order", number, more)}, If_None_Match="*")
    assert put.status_code == 200, put.text


@pytest.mark.parametrize("kind", KINDS)
async def test_publishing_makes_a_version_and_sets_its_triggers_live(tmp_path: Path, kind: Kind):
    async with open_api_lab(tmp_path, kind) as lab:
        made = await lab.make("order")
        answer = await lab.ask("POST", "/workflows/order/publish", {"note": "First."})
        version = answer.json()
        assert answer.status_code == 201
        assert answer.headers["location"] == f"/api/v1/workflows/{made['id']}/versions/1"
        assert (version["version"], version["note"], version["is_current"], version["warnings"]) == (1, "First.", True, [])
        assert list(lab.definitions.defined) == [version["digest"]]
        assert (lab.triggers.live["order"] or {})["name"] == "order"
        found = (await lab.ask("GET", "/workflows/order")).json()
        assert (found["status"], found["version"], found["has_draft"]) == ("published", 1, False)
        assert await lab.list_audited() == ["workflow.created", "workflow.published"]
        assert (await lab.ask("POST", "/workflows/order/publish")).status_code == 404


async def test_publishing_takes_an_etag_if_it_is_given_one(lab: ApiLab):
    made = await lab.make("order")
    assert (await lab.ask("POST", "/workflows/order/publish", {}, If_Match='"stale"')).status_code == 412
    etag = f'"{made["draft"]["etag"]}"'
    assert (await lab.ask("POST", "/workflows/order/publish", {}, If_Match=etag)).status_code == 201


async def test_versions_are_listed_in_pages_and_read_back(lab: ApiLab):
    await lab.publish("order")
    for number in (2, 3):
        await save(lab, number)
        await lab.ask("POST", "/workflows/order/publish")
    page = (await lab.ask("GET", "/workflows/order/versions?limit=2")).json()
    assert [row["version"] for row in page["data"]] == [3, 2]
    rest = (await lab.ask("GET", f"/workflows/order/versions?limit=2&cursor={page['next_cursor']}")).json()
    assert ([row["version"] for row in rest["data"]], rest["next_cursor"]) == ([1], None)
    version = (await lab.ask("GET", "/workflows/order/versions/2")).json()
    assert (version["yaml"], version["is_current"]) == (write_yaml("order", 2), False)
    assert (await lab.ask("GET", "/workflows/order/versions/9")).status_code == 404
    for wrong in ("0", "x", "99999999999999999999"):
        assert (await lab.ask("GET", f"/workflows/order/versions/{wrong}")).status_code == 422


async def test_earlier_version_becomes_current_again(lab: ApiLab):
    await lab.publish("order")
    await save(lab, 2)
    await lab.ask("POST", "/workflows/order/publish")
    answer = await lab.ask("POST", "/workflows/order/versions/1/publish")
    assert (answer.status_code, answer.json()["version"]) == (200, 1)
    steps = (lab.triggers.live["order"] or {})["steps"]
    assert isinstance(steps, list)
    assert steps[0] == {"id": "go", "uses": "flow.set", "with": {"values": {"n": 1}}}
    assert (await lab.ask("POST", "/workflows/order/versions/7/publish")).status_code == 404


async def test_deprecated_inactive_and_unpublished_workflows_take_no_run(lab: ApiLab):
    await lab.make("order")

    async def resolve() -> int | None:
        async with lab.web.parts.database.read() as session:
            return (await resolve_version(session, WORKSPACE, "order", None))["version"]

    with pytest.raises(NotPublishedError) as unpublished:
        await resolve()
    assert unpublished.value.details[0].code == "not_published"
    assert (await lab.ask("POST", "/workflows/order/deprecate")).status_code == 409
    await lab.ask("POST", "/workflows/order/publish")
    assert await resolve() == 1
    await lab.ask("PATCH", "/workflows/order", {"active": False})
    with pytest.raises(InactiveError):
        await resolve()
    deprecated = await lab.ask("POST", "/workflows/order/deprecate", {"note": "Superseded."})
    assert deprecated.json()["status"] == "deprecated"
    assert lab.triggers.live == {"order": None}
    with pytest.raises(DeprecatedError):
        await resolve()
    await lab.ask("PATCH", "/workflows/order", {"active": True})
    await lab.ask("POST", "/workflows/order/versions/1/publish")
    assert await resolve() == 1
    assert await lab.list_events() == [
        f"workflow.{what}" for what in ("created", "published", "updated", "deprecated", "updated", "published")
    ]


async def test_reverting_makes_a_draft_of_a_version(lab: ApiLab):
    await lab.publish("order")
    await save(lab, 2)
    await lab.ask("POST", "/workflows/order/publish")
    answer = await lab.ask("POST", "/workflows/order/revert", {"version": 1})
    assert (answer.status_code, answer.json()["yaml"], answer.json()["based_on"]) == (200, write_yaml("order", 1), 1)
    assert (await lab.ask("GET", "/workflows/order")).json()["version"] == 2
    again = await lab.ask("POST", "/workflows/order/revert", {"version": 2})
    assert (again.status_code, code_of(again)) == (409, "draft_exists")
    assert (await lab.ask("POST", "/workflows/order/revert", {"version": 2}, If_Match='"x"')).status_code == 412
    replaced = await lab.ask("POST", "/workflows/order/revert", {"version": 2}, If_Match=answer.headers["etag"])
    assert replaced.json()["yaml"] == write_yaml("order", 2)
    assert (await lab.ask("POST", "/workflows/order/revert", {"version": 9}, If_Match="*")).status_code == 404
    assert (await lab.list_audited())[-2:] == ["workflow.reverted", "workflow.reverted"]


async def test_documents_are_compared(lab: ApiLab):
    await lab.publish("order")
    await save(lab, 2)
    found = (await lab.ask("GET", "/workflows/order/diff")).json()
    assert (found["from"], found["to"]) == ("order (version 1)", "order (draft)")
    assert found["changes"] == [{"change": "changed", "field": "steps.go.with.values.n", "before": 1, "after": 2}]
    assert "-    with: {values: {n: 1}}" in found["text"]
    same = (await lab.ask("GET", "/workflows/order/diff?from=1&to=1")).json()
    assert (same["text"], same["changes"]) == ("", [])
    assert (await lab.ask("GET", "/workflows/order/diff?from=8")).status_code == 404
    for wrong in ("from=x", "to=0", "to=-1", "from=1&to=99999999999"):
        assert (await lab.ask("GET", f"/workflows/order/diff?{wrong}")).status_code == 422
