"""`^/resume/{token}`: links that let a run go on."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.runs.api_lab import SIGNING, WAITING, ApiLab
from tests.support.lab import WORKSPACE
from tests.support.web_lab import ANONYMOUS, make_caller

from flowforge.engine.executor.engine import Started
from flowforge.kit.signing import SigningKeys
from flowforge.runs.resuming import make_run_token, make_token, make_url
from flowforge.runs.service import get_run
from flowforge.runs.types import WaitingFor

TIMED = """
flowforge: 1
name: timed
steps:
  - id: approve
    uses: flow.wait
    with: {signal: approved, key: order-1, expires: 1h}
"""


async def read_link(lab: ApiLab, run: Started) -> str:
    """The link as the API shows it to who may operate runs."""
    wait = (await lab.get(f"/runs/{run.run_id}"))["waiting_for"][0]
    return wait["ref"]["resume_url"]


async def post(lab: ApiLab, link: str, **options: Any) -> tuple[int, Any]:
    lab.web.gate.caller = ANONYMOUS
    answer = await lab.client.post(link, **options)
    return answer.status_code, answer.json()


async def test_page_asks_and_changes_nothing(lab: ApiLab):
    run = await lab.start(WAITING)
    link = await read_link(lab, run)
    lab.web.gate.caller = ANONYMOUS
    answer = await lab.client.get(link)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert f'<form method="post" action="{link.removeprefix("/resume/")}">' in answer.text
    assert "<script" not in answer.text
    assert lab.engine.read(run).of("run.mail") == []


async def test_a14_what_a_document_names_is_text_on_the_page(lab: ApiLab):
    name = "</strong><script>alert(1)</script><img src=x onerror=alert(1)><a href='javascript:alert(1)'>"
    run = await lab.start(WAITING.replace("signal: approved", f'signal: "{name}"'))
    link = await read_link(lab, run)
    lab.web.gate.caller = ANONYMOUS
    page = (await lab.client.get(link)).text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;" in page
    assert not [mark for mark in ("<script", "<img", "<a ", "onerror=alert(1)>") if mark in page]


async def test_button_lets_the_run_go_on_and_thanks(lab: ApiLab):
    run = await lab.start(WAITING)
    link = await read_link(lab, run)
    lab.web.gate.caller = ANONYMOUS
    headers = {"accept": "text/html", "content-type": "application/x-www-form-urlencoded"}
    answer = await lab.client.post(link, content=b"", headers=headers)
    assert answer.status_code == 202
    assert "goes on" in answer.text
    assert (await lab.finish(run)).status == "completed"


async def test_payload_is_what_the_step_gives(lab: ApiLab):
    run = await lab.start(WAITING)
    link = await read_link(lab, run)
    status, told = await post(lab, link, json={"payload": {"by": "ann"}})
    assert (status, told) == (202, {"run_id": run.run_id, "status": "waiting", "duplicate": False})
    await lab.finish(run)
    lab.web.gate.caller = make_caller()
    assert (await lab.get(f"/runs/{run.run_id}/steps/approve"))["output"] == {"by": "ann"}


async def test_wh_26_every_dead_link_is_the_same_404(lab: ApiLab):
    run = await lab.start(WAITING)
    live = await read_link(lab, run)
    other = SigningKeys(b"o" * 32)
    async with lab.web.call().read() as session:
        header = await get_run(session, WORKSPACE, run.run_id)
    wait = WaitingFor("approve", "signal", None, {"name": "approved"})
    past = WaitingFor("approve", "signal", 1_000, {"name": "approved"})
    elsewhere = WaitingFor("other", "signal", None, {"name": "approved"})
    dead = [
        "/resume/unknown",
        "/resume/" + "A" * 200,
        f"/resume/{make_token(other, header, wait)}",
        f"/resume/{make_token(SIGNING, header, past)}",
        f"/resume/{make_token(SIGNING, header, elsewhere)}",
    ]
    assert (await post(lab, live))[0] == 202
    await lab.finish(run)
    answers = [await post(lab, link) for link in [*dead, live]]
    answers += [((page := await lab.client.get(link)).status_code, page.json()) for link in [*dead, live]]
    assert {status for status, _ in answers} == {404}
    bodies = [{**body["error"], "requestId": ""} for _, body in answers]
    assert all(body == bodies[0] for body in bodies)
    pages = [await lab.client.get(link, headers={"accept": "text/html"}) for link in (dead[0], live)]
    assert {(page.status_code, page.headers["content-type"]) for page in pages} == {(404, "text/html; charset=utf-8")}
    assert pages[0].text == pages[1].text


@pytest.mark.parametrize("change", [str.swapcase, str.upper, str.lower])
async def test_wh_27_token_in_other_letters(lab: ApiLab, change: Callable[[str], str]):
    run = await lab.start(WAITING)
    link = await read_link(lab, run)
    token = change(link.removeprefix("/resume/"))
    assert (await post(lab, f"/resume/{token}"))[0] == 404
    assert (await post(lab, link.replace("/resume/", "/RESUME/")))[0] == 404
    assert lab.engine.read(run).of("run.mail") == []


async def test_wh_28_token_spelled_otherwise(lab: ApiLab):
    run = await lab.start(WAITING)
    link = await read_link(lab, run)
    last = link[-1]
    spelled = f"{link[:-1]}%{ord(last):02x}"
    for path in (f"{link}%2e", f"{link}/", f"{link}%0a", f"{link}%00", spelled, f"{link}="):
        assert (await post(lab, path))[0] == 404, path
    assert lab.engine.read(run).of("run.mail") == []


async def test_wh_31_head_and_options_resume_nothing(lab: ApiLab):
    run = await lab.start(WAITING)
    link = await read_link(lab, run)
    lab.web.gate.caller = ANONYMOUS
    for method in ("HEAD", "OPTIONS", "PUT", "DELETE"):
        answer = await lab.client.request(method, link)
        assert answer.status_code == 405, method
    assert lab.engine.read(run).of("run.mail") == []


async def test_link_holds_the_key_and_ends_with_the_wait(lab: ApiLab):
    run = await lab.start(TIMED)
    link = await read_link(lab, run)
    second = await lab.start(TIMED)
    expired = await read_link(lab, second)
    assert (await post(lab, link))[0] == 202
    assert (await lab.finish(run)).ports() == {"approve": "received"}
    lab.engine.advance(3_600_001)
    assert (await post(lab, expired))[0] == 404


async def test_body_that_is_none_is_refused(lab: ApiLab):
    run = await lab.start(WAITING)
    link = await read_link(lab, run)
    assert (await post(lab, link, json={"other": 1}))[0] == 422
    assert (await post(lab, link, json=[1]))[0] == 422
    assert (await post(lab, link, content=b"{", headers={"content-type": "application/json"}))[0] == 400
    assert (await post(lab, link, content=b"x", headers={"content-type": "text/plain"}))[0] == 415
    assert lab.engine.read(run).of("run.mail") == []


async def test_link_is_shown_only_to_who_may_send_the_signal(lab: ApiLab):
    run = await lab.start(WAITING)
    lab.web.gate.caller = make_caller("run:read")
    shown = await lab.get(f"/runs/{run.run_id}")
    assert "resume_url" not in shown["waiting_for"][0]["ref"]


TWO_QUESTIONS = """
flowforge: 1
name: twice
steps:
  - {id: mail, uses: flow.set, with: {values: {link: "${{ run.resume_url }}"}}}
  - {id: first, uses: flow.wait, with: {signal: approved}}
  - {id: second, uses: flow.wait, with: {signal: confirmed, key: k}}
"""


async def test_link_that_a_workflow_has_made_before_it_waits(lab: ApiLab):
    lab.engine.engine.parts = replace(lab.engine.engine.parts, link=make_link)
    run = await lab.start(TWO_QUESTIONS)
    output = lab.engine.read(run).of("step.completed", "mail")[0]["output"]
    link = output["link"] if isinstance(output, dict) else ""
    assert link == make_link(WORKSPACE, run.run_id)
    lab.web.gate.caller = ANONYMOUS
    page = (await lab.client.get(str(link))).text
    action = page.partition('action="')[2].partition('"')[0]
    assert (await post(lab, str(link)))[0] == 202
    await lab.finish(run)
    assert (await post(lab, f"/resume/{action}"))[0] == 404, "the page's button is for what the page has asked"
    assert (await post(lab, str(link), json={"payload": 2}))[0] == 202
    assert (await lab.finish(run)).ports() == {"mail": "done", "first": "received", "second": "received"}
    assert (await post(lab, str(link)))[0] == 404


def make_link(workspace_id: str, run_id: str) -> str:
    return make_url(None, make_run_token(SIGNING, workspace_id, run_id))
