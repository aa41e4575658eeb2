"""The API of drafts: every change names the state that it is of."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.support.databases import Kind
from tests.support.sessions import KINDS
from tests.workflows.api_lab import ApiLab, code_of, open_api_lab, quote, write_yaml

DRAFT = "/workflows/order/draft"


async def read_etag(lab: ApiLab) -> str:
    return (await lab.ask("GET", DRAFT)).headers["etag"]


async def test_draft_is_read_back_as_it_was_written(lab: ApiLab):
    made = await lab.make("order")
    answer = await lab.ask("GET", DRAFT)
    draft = answer.json()
    assert answer.headers["etag"] == quote(draft["etag"])
    assert draft["yaml"] == write_yaml("order")
    assert draft["document"]["name"] == "order"
    assert (draft["faults"], draft["layout"], draft["based_on"]) == ([], None, None)
    assert draft["etag"] == made["draft"]["etag"]


@pytest.mark.parametrize("kind", KINDS)
async def test_api_32_stale_or_missing_if_match_changes_nothing(tmp_path: Path, kind: Kind):
    async with open_api_lab(tmp_path, kind) as lab:
        await lab.make("order")
        first = await read_etag(lab)
        second = (await lab.ask("PUT", DRAFT, {"yaml": write_yaml("order", 2)}, If_Match=first)).headers["etag"]
        assert second != first
        for headers, status in (({"If_Match": first}, 412), ({}, 428), ({"If_None_Match": "*"}, 412), ({"If_Match": "x"}, 422)):
            answer = await lab.ask("PUT", DRAFT, {"yaml": write_yaml("order", 3)}, **headers)
            assert answer.status_code == status, headers
            if status == 412:
                assert answer.headers["etag"] == second
        for headers, status in (({"If_Match": first}, 412), ({}, 428)):
            assert (await lab.ask("DELETE", DRAFT, **headers)).status_code == status
        assert (await lab.ask("GET", DRAFT)).json()["yaml"] == write_yaml("order", 2)
        assert await lab.list_audited() == ["workflow.created", "workflow.draft_saved"]


@pytest.mark.parametrize("kind", KINDS)
async def test_api_33_of_two_drafts_with_one_etag_one_is_refused(tmp_path: Path, kind: Kind):
    async with open_api_lab(tmp_path, kind) as lab:
        await lab.make("order")
        etag = await read_etag(lab)
        puts = [lab.ask("PUT", DRAFT, {"yaml": write_yaml("order", number)}, If_Match=etag) for number in (2, 3)]
        answers = await asyncio.gather(*puts)
        assert sorted(answer.status_code for answer in answers) == [200, 412]
        won = next(answer for answer in answers if answer.status_code == 200)
        assert (await lab.ask("GET", DRAFT)).json()["yaml"] == won.json()["yaml"]


async def test_first_draft_of_a_published_workflow(lab: ApiLab):
    await lab.publish("order")
    assert (await lab.ask("GET", DRAFT)).status_code == 404
    assert (await lab.ask("PUT", DRAFT, {"yaml": write_yaml("order", 2)})).status_code == 428
    assert (await lab.ask("PUT", DRAFT, {"yaml": write_yaml("order", 2)}, If_Match='"x"')).status_code == 412
    put = await lab.ask("PUT", DRAFT, {"yaml": write_yaml("order", 2)}, If_None_Match="*")
    assert (put.status_code, put.json()["based_on"]) == (200, 1)
    assert code_of(await lab.ask("PUT", DRAFT, {"yaml": write_yaml()}, If_None_Match='"x"')) == "header_invalid"


async def test_faults_are_refused_or_kept_as_asked(lab: ApiLab):
    await lab.make("order")
    etag = await read_etag(lab)
    bad = "flowforge: 1\nname: order\nsteps:\n  - id: a\n    uses: nothing.known\n"
    refused = await lab.ask("PUT", DRAFT, {"yaml": bad}, If_Match=etag)
    assert (refused.status_code, refused.json()["error"]["details"][0]["line"]) == (422, 5)
    assert await read_etag(lab) == etag
    kept = await lab.ask("PUT", f"{DRAFT}?allow_faults=true", {"yaml": bad}, If_Match=etag)
    assert kept.status_code == 200
    assert (await lab.ask("GET", DRAFT)).json()["faults"] == kept.json()["faults"] != []
    assert (await lab.ask("POST", "/workflows/order/publish")).status_code == 422


async def test_text_that_cannot_be_read_is_kept_as_a_draft_too(lab: ApiLab):
    await lab.make("order")
    text = "flowforge: 1\nname: [\n"
    kept = await lab.ask("PUT", f"{DRAFT}?allow_faults=true", {"yaml": text}, If_Match=await read_etag(lab))
    assert kept.status_code == 200
    draft = (await lab.ask("GET", DRAFT)).json()
    assert (draft["yaml"], draft["document"]) == (text, None)
    assert draft["faults"][0]["code"] == "yaml_syntax"


async def test_unpublished_workflow_takes_the_name_of_its_document(lab: ApiLab):
    made = await lab.make("order")
    await lab.make("other")

    async def rename(name: str) -> Any:
        etag = (await lab.ask("GET", f"/workflows/{made['id']}/draft")).headers["etag"]
        return await lab.ask("PUT", f"/workflows/{made['id']}/draft", {"yaml": write_yaml(name)}, If_Match=etag)

    assert (await rename("other")).status_code == 409
    assert (await rename("renamed")).status_code == 200
    assert (await lab.ask("GET", "/workflows/renamed")).json()["id"] == made["id"]
    await lab.ask("POST", "/workflows/renamed/publish")
    put = await lab.ask("PUT", "/workflows/renamed/draft", {"yaml": write_yaml("again")}, If_None_Match="*")
    assert (put.status_code, code_of(put)) == (422, "name_fixed")


async def test_draft_is_thrown_away(lab: ApiLab):
    await lab.make("order")
    assert (await lab.ask("DELETE", DRAFT, If_Match=await read_etag(lab))).status_code == 204
    assert (await lab.ask("GET", DRAFT)).status_code == 404
    assert (await lab.ask("DELETE", DRAFT, If_Match='"x"')).status_code == 404
    assert (await lab.ask("GET", "/workflows/order")).json()["has_draft"] is False


async def test_validating_tells_faults_and_figures_and_keeps_nothing(lab: ApiLab):
    text = write_yaml("order", more="description: x\n")
    valid = (await lab.ask("POST", "/workflows/validate", {"yaml": text})).json()
    assert (valid["valid"], valid["errors"]) == (True, [])
    assert valid["metadata"]["steps"] == 1
    bad = (await lab.ask("POST", "/workflows/validate", {"document": {"flowforge": 1, "name": "x", "steps": []}})).json()
    assert (bad["valid"], len(bad["errors"]) > 0) == (False, True)
    assert (await lab.ask("GET", "/workflows")).json()["data"] == []
    assert await lab.list_audited() == []


async def test_strict_validation_counts_warnings(lab: ApiLab):
    text = "flowforge: 1\nname: x\nsteps:\n  - id: a\n    uses: flow.stop\n  - id: b\n    uses: flow.stop\n    after: a.error\n"
    warned = write_yaml("x") + "  - {id: b, uses: flow.set, after: [], with: {values: {}}, retry: {attempts: 1, initial: 5s}}\n"
    for document in (text, warned):
        lax = (await lab.ask("POST", "/workflows/validate", {"yaml": document})).json()
        strict = (await lab.ask("POST", "/workflows/validate", {"yaml": document, "strict": True})).json()
        assert strict["valid"] == (lax["valid"] and not lax["warnings"])
