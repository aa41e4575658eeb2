"""Which deliveries find a webhook: list WH of the bad input (cases 26 to 34), class A23 of the attacks."""

from pathlib import Path

import pytest
from tests.triggers.hook_lab import HookLab, make_document, open_hook_lab, read_json

OPEN = "{path: orders, auth: none}"


def strip(answer_text: str, request_id: str) -> str:
    """The answer without the id that each request has for itself."""
    return answer_text.replace(request_id, "")


async def refuse(lab: HookLab, path: str = "orders") -> str:
    """The body of the refusal, which must be the 404 of a path that is not there."""
    answer = await lab.client.post(f"/hooks/{path}", content=b"{}", headers={"content-type": "application/json"})
    assert answer.status_code == 404, answer.text
    return strip(answer.text, answer.headers["x-request-id"])


async def test_wh_26_and_29_unknown_off_refusing_and_foreign_are_one_and_the_same_answer(lab: HookLab):
    unknown = await refuse(lab, "nowhere")
    assert await refuse(lab, "@acme/orders") == unknown
    workflow_id = await lab.publish(make_document("open", "{path: open, auth: none}"))
    await lab.publish(make_document("closed", "{path: closed, auth: none, addresses: [192.0.2.0/24]}"))
    assert (await lab.send("open")).status_code == 202
    assert await refuse(lab, "closed") == unknown
    await lab.take_down(workflow_id, "open")
    assert await refuse(lab, "open") == unknown
    await lab.publish(make_document("open", "{path: open, auth: none}", more="title: again\n"))
    assert (await lab.send("open")).status_code == 202
    [trigger] = [found for found in await lab.list_triggers() if found["workflow"] == "open"]
    assert (await lab.post(f"/{trigger['id']}/pause", {"events": "refuse"})).status_code == 200
    assert await refuse(lab, "open") == unknown
    assert (await lab.post(f"/{trigger['id']}/resume")).status_code == 200
    assert (await lab.send("open")).status_code == 202
    assert await lab.count_runs() == 3


async def test_wh_29_an_inactive_workflow_takes_nothing(lab: HookLab):
    workflow_id = await lab.publish(make_document("open", "{path: open, auth: none}"))
    assert (await lab.send("open")).status_code == 202
    await lab.execute("UPDATE workflows SET active = 0 WHERE id = :id", id=workflow_id)
    assert await refuse(lab, "open") == await refuse(lab, "nowhere")


async def test_wh_29_a_paused_trigger_keeps_what_comes_and_runs_it_later(lab: HookLab):
    [trigger] = await lab.list_triggers()
    await lab.post(f"/{trigger['id']}/pause", {"events": "keep"})
    first = await lab.send("orders", b'{"n":1}', x_webhook_id="d-1")
    again = await lab.send("orders", b'{"n":1}', x_webhook_id="d-1")
    other = await lab.send("orders", b'{"n":2}', x_webhook_id="d-1")
    assert (first.status_code, again.status_code, other.status_code) == (202, 202, 409)
    event_id = read_json(first)["event_id"]
    assert read_json(again) == {"event_id": event_id, "duplicate": True}
    assert await lab.count_runs() == 0
    ran = await lab.post(f"/{trigger['id']}/events/run", {"all": True})
    assert read_json(ran) == {"run": 1, "failed": [], "left": 0}
    await lab.post(f"/{trigger['id']}/resume")
    late = read_json(await lab.send("orders", b'{"n":1}', x_webhook_id="d-1"))
    assert late["duplicate"] is True
    assert (await lab.read_start(late["run_id"]))["input"] == {"n": 1}
    assert await lab.count_runs() == 1


@pytest.mark.parametrize(
    "path", ["Orders", "ORDERS", "orders/", "orders%2e", "%6frders", "orders%0a", "orders%00", "a//b", "", "@/orders"]
)
async def test_wh_27_and_28_another_spelling_of_the_path_is_another_path(lab: HookLab, path: str):
    await lab.publish(make_document("open", "{path: open/orders, auth: none}"))
    await refuse(lab, path)
    assert (await lab.send("open/orders")).status_code == 202


@pytest.mark.parametrize("path", ["connectors/x", "entitlements/x"])
async def test_paths_that_are_reserved_are_not_there(lab: HookLab, path: str):
    assert (await lab.send(path)).status_code == 404


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"])
async def test_wh_30_and_31_any_other_method_is_refused_at_any_path(lab: HookLab, method: str):
    for path in ("orders", "nowhere"):
        answer = await lab.client.request(method, f"/hooks/{path}")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert await lab.count_runs() == 0


async def test_wh_32_and_a23_who_guesses_paths_is_not_heard_for_a_while(tmp_path: Path):
    async with open_hook_lab(tmp_path, {"rate_anonymous": 200}, address="198.51.100.7") as lab:
        await lab.publish(make_document("open", OPEN))
        codes = [(await lab.client.post(f"/hooks/guess-{number}")).status_code for number in range(1_000)]
        assert codes[:150] == [404] * 150
        assert codes[-1] == 429
        # Also at a path that is there: the difference would tell it.
        answer = await lab.send("orders")
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 1
        assert await lab.count_runs() == 0


async def test_a23_who_guesses_secrets_is_not_heard_for_a_while(tmp_path: Path):
    async with open_hook_lab(tmp_path, {"rate_anonymous": 20}, address="198.51.100.7") as lab:
        await lab.set_secret("SHOP", "right")
        await lab.publish(make_document("open", "{path: orders, auth: {bearer: '${{ secrets.SHOP }}'}}"))
        codes = [(await lab.send("orders", authorization=f"Bearer {number}")).status_code for number in range(40)]
        assert codes[:10] == [401] * 10
        assert codes[-1] == 429
        assert (await lab.send("orders", authorization="Bearer right")).status_code == 429


async def test_b11_a_hook_takes_its_share_a_minute_and_no_more(tmp_path: Path):
    async with open_hook_lab(tmp_path, {"rate_hook": 10}) as lab:
        await lab.publish(make_document("open", OPEN))
        await lab.publish(make_document("other", "{path: other, auth: none}"))
        codes = [(await lab.send("orders")).status_code for _ in range(12)]
        assert codes == [202] * 10 + [429] * 2
        assert (await lab.send("other")).status_code == 202


@pytest.mark.parametrize(
    ("proxies", "forwarded", "status"),
    [
        ("", "192.0.2.9", 404),
        ("203.0.113.0/24", "192.0.2.9", 404),
        ("198.51.100.7", "192.0.2.9", 202),
        ("198.51.100.7", "192.0.2.9, 198.51.100.99", 404),
    ],
)
async def test_wh_33_an_address_is_believed_from_trusted_proxies_alone(tmp_path: Path, proxies: str, forwarded: str, status: int):
    async with open_hook_lab(tmp_path, {"trusted_proxies": proxies}, address="198.51.100.7") as lab:
        await lab.publish(make_document("open", "{path: orders, auth: none, addresses: [192.0.2.0/24]}"))
        answer = await lab.send("orders", x_forwarded_for=forwarded)
        assert answer.status_code == status


@pytest.mark.parametrize(
    ("address", "status"),
    [("::ffff:192.0.2.9", 202), ("192.0.2.9", 202), ("::ffff:192.0.3.9", 404), ("2001:db8::1", 202), ("2001:db9::1", 404)],
)
async def test_wh_34_an_ipv4_address_inside_an_ipv6_one_is_the_same_address(tmp_path: Path, address: str, status: int):
    async with open_hook_lab(tmp_path, address=address) as lab:
        await lab.publish(make_document("open", "{path: orders, auth: none, addresses: [192.0.2.0/24, '2001:db8::/32']}"))
        assert (await lab.send("orders")).status_code == status


async def test_the_webhook_of_another_workspace_is_asked_for_by_its_name(lab: HookLab):
    workspace_id = await lab.add_workspace("acme")
    await lab.publish(make_document("shop", "{path: orders, auth: none}"), workspace_id)
    answers = [await lab.send("@acme/orders"), await lab.send(f"@{workspace_id}/orders")]
    assert [answer.status_code for answer in answers] == [202, 202]
    started = await lab.read_start(read_json(answers[0])["run_id"], workspace_id)
    assert started["workspace"] == workspace_id
    assert (await lab.send("orders", unsigned="")).status_code == 401


async def test_a_change_in_another_process_is_seen_within_a_second(tmp_path: Path):
    async with open_hook_lab(tmp_path) as lab:
        await lab.publish(make_document("open", OPEN))
        assert (await lab.send("orders")).status_code == 202
        plans = lab.intakes[0].plans
        plans.close()  # hears no more of the commits of this process, as of those of others
        [trigger] = await lab.list_triggers()
        await lab.post(f"/{trigger['id']}/pause", {"events": "refuse"})
        lab.clock.shift_s = 1.0
        await refuse(lab)
