"""What a webhook answers: list WH of the bad input (cases 37 to 39), requirement D27."""

from pathlib import Path

import pytest
from tests.triggers.hook_lab import HookLab, make_document, open_hook_lab, read_json

from flowforge.kit.values import JsonObject
from flowforge.triggers.hook_answers import make_own

RESULT = "{path: ask, auth: none, respond: result}"
STEP = "{path: ask, auth: none, respond: step}"
SLOW = "steps:\n  - {id: pause, uses: flow.wait, with: {for: 1h}}\n"


def respond(more: str) -> str:
    return f"steps:\n  - {{id: answer, uses: webhook.respond, with: {more}}}\n"


async def test_the_result_of_the_run_is_the_answer(lab: HookLab):
    await lab.publish(make_document("ask", RESULT))
    answer = await lab.send("ask", b'{"a":1}')
    assert (answer.status_code, answer.json()) == (200, {"got": {"a": 1}})
    again = [await lab.send("ask", b'{"a":2}', x_webhook_id="d-1") for _ in range(2)]
    assert [(one.status_code, one.json()) for one in again] == [(200, {"got": {"a": 2}})] * 2
    assert await lab.count_runs() == 2


async def test_a_run_that_fails_is_an_answer_too_and_tells_no_data(lab: HookLab):
    fail = "steps:\n  - {id: stop, uses: flow.fail, with: {code: no_stock, message: 'secret of ${{ input.a }}'}}\n"
    await lab.publish(make_document("ask", RESULT, fail))
    answer = await lab.send("ask", b'{"a":"the-customer"}')
    assert answer.status_code == 422
    error = read_json(answer)["error"]
    assert (error["code"], error["details"][0]["code"]) == ("OPERATION_FAILED", "no_stock")
    assert "the-customer" not in answer.text


@pytest.mark.parametrize("respond_by", ["result", "step"])
async def test_wh_37_a_run_that_takes_longer_is_answered_with_its_id(tmp_path: Path, respond_by: str):
    async with open_hook_lab(tmp_path, wait_max_s=0.3) as lab:
        await lab.publish(make_document("ask", f"{{path: ask, auth: none, respond: {respond_by}}}", SLOW))
        answer = await lab.send("ask")
        assert answer.status_code == 202
        assert read_json(answer)["run_id"].startswith("run_")


async def test_d27_a_step_answers_and_the_run_goes_on(lab: HookLab):
    steps = respond("{status: 201, headers: {X-Ticket: '7'}, body: {ticket: '${{ input.a }}'}}") + SLOW.removeprefix("steps:\n")
    await lab.publish(make_document("ask", STEP, steps))
    answer = await lab.send("ask", b'{"a":7}')
    assert (answer.status_code, answer.json(), answer.headers["x-ticket"]) == (201, {"ticket": 7}, "7")
    [trigger] = [found for found in await lab.list_triggers() if found["workflow"] == "ask"]
    [request] = (await lab.get(f"/{trigger['id']}/requests"))["data"]
    assert (request["status"], request["run_id"] is None) == (201, False)


async def test_d27_the_first_answer_counts_also_inside_a_loop(lab: HookLab):
    loop = (
        "steps:\n  - id: each\n    uses: flow.foreach\n    with: {items: [1, 2, 3]}\n    steps:\n"
        "      - {id: answer, uses: webhook.respond, with: {body: '${{ item }}'}}\n"
    )
    await lab.publish(make_document("ask", STEP, loop))
    answer = await lab.send("ask")
    assert (answer.status_code, answer.text) == (200, "1")


async def test_d27_a_run_without_an_answer_is_answered_with_its_id(lab: HookLab):
    await lab.publish(make_document("ask", STEP))
    answer = await lab.send("ask")
    assert (answer.status_code, read_json(answer)["status"]) == (202, "completed")


async def test_wh_38_and_a14_a_page_runs_nothing_in_a_browser(lab: HookLab):
    page = "{headers: {Content-Type: text/html}, body: '<script>alert(1)</script>'}"
    await lab.publish(make_document("ask", STEP, respond(page)))
    answer = await lab.send("ask")
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert answer.headers["x-content-type-options"] == "nosniff"
    await lab.publish(make_document("ask", STEP, respond("{body: '<script>alert(1)</script>'}")))
    assert (await lab.send("ask")).headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    "headers",
    [
        "{Set-Cookie: a=b}",
        "{Location: 'https://evil.example'}",
        "{Access-Control-Allow-Origin: '*'}",
        "{Content-Security-Policy: none}",
        "{X-Frame-Options: ALLOW}",
        "{Content-Length: '1'}",
        '{X-A: "a\\r\\nSet-Cookie: b=c"}',
        '{X-A: "a\\nb"}',
        '{"X-A\\r\\nSet-Cookie": b}',
    ],
)
async def test_wh_38_and_39_a_header_that_is_not_on_the_list_or_breaks_the_line_fails_the_step(lab: HookLab, headers: str):
    await lab.publish(make_document("ask", STEP, respond(f"{{headers: {headers}, body: x}}")))
    answer = await lab.send("ask")
    assert answer.status_code == 422
    assert read_json(answer)["error"]["details"][0]["code"] == "header_invalid"
    assert "set-cookie" not in answer.headers


async def test_an_answer_cannot_redirect(lab: HookLab):
    await lab.publish(make_document("ask", STEP, respond("{status: 302, body: x}")))
    answer = await lab.send("ask")
    assert (answer.status_code, read_json(answer)["error"]["details"][0]["code"]) == (422, "status_invalid")


def test_wh_38_also_an_answer_that_no_check_has_seen_brings_no_other_header():
    """As the journal of an older version may hold it."""
    given: JsonObject = {
        "Set-Cookie": "a=b",
        "Location": "https://evil.example",
        "Content-Security-Policy": "none",
        "X-A": "a\r\nb",
        "X-B": "c",
    }
    answer = make_own({"status": 302, "headers": given, "body": "<script>"})
    assert answer.status_code == 200
    assert set(answer.headers) == {"content-security-policy", "content-type", "content-length", "x-b"}
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
