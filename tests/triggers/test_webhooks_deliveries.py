"""The same delivery gives the same run: list WH of the bad input (cases 13 to 19, 35, 36)."""

import asyncio

import pytest
from sqlalchemy import text
from tests.triggers.hook_lab import SECRET, HookLab, make_document, read_code, read_json, sign
from tests.triggers.test_webhooks_signatures import STANDARD_SECRET, standard

BODY = b'{"order":1}'


async def test_wh_13_a_repeated_delivery_gives_the_same_run(lab: HookLab):
    first = await lab.send("orders", BODY, x_webhook_id="d-1")
    assert (first.status_code, read_json(first)["duplicate"]) == (202, False)
    run_id = read_json(first)["run_id"]
    await lab.finish(run_id)
    second = await lab.send("orders", BODY, webhook_id="d-1")
    assert second.status_code == 202
    assert read_json(second) == {"run_id": run_id, "status": "completed", "duplicate": True}
    assert await lab.count_runs() == 1
    assert (await lab.read_start(run_id))["trigger"]["delivery_id"] == "d-1"


async def test_wh_13_twenty_of_the_same_at_once_make_one_run(lab: HookLab):
    answers = await asyncio.gather(*(lab.send("orders", BODY, x_webhook_id="d-1") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({read_json(answer)["run_id"] for answer in answers}) == 1
    assert sum(not read_json(answer)["duplicate"] for answer in answers) == 1
    assert await lab.count_runs() == 1


async def test_wh_14_the_same_id_with_another_body_is_refused_and_noted(lab: HookLab):
    await lab.send("orders", BODY, x_webhook_id="d-1")
    answer = await lab.send("orders", b'{"order":2}', x_webhook_id="d-1")
    assert (answer.status_code, read_json(answer)["error"]["code"]) == (409, "IDEMPOTENCY_MISMATCH")
    assert await lab.count_runs() == 1
    async with lab.parts.database.read() as session:
        query = text("SELECT action, actor FROM audit_rows WHERE action = 'trigger.delivery_mismatch'")
        [noted] = (await session.execute(query)).all()
    [trigger] = await lab.list_triggers()
    assert noted.actor == f"trigger:{trigger['id']}"


async def test_wh_15_the_same_body_under_another_id_is_a_new_run(lab: HookLab):
    first = await lab.send("orders", BODY, x_webhook_id="d-1")
    second = await lab.send("orders", BODY, x_webhook_id="d-2")
    assert read_json(first)["run_id"] != read_json(second)["run_id"]
    assert await lab.count_runs() == 2


async def test_wh_16_without_an_id_every_delivery_is_a_run(lab: HookLab):
    for _ in range(2):
        assert (await lab.send("orders", BODY)).status_code == 202
    assert await lab.count_runs() == 2


async def test_wh_16_without_an_id_a_delivery_is_refused_where_the_id_is_signed(lab: HookLab):
    await lab.set_secret("STANDARD", STANDARD_SECRET)
    await lab.publish(make_document("standard", "{path: standard, auth: {standard: '${{ secrets.STANDARD }}'}}"))
    headers = standard(BODY, str(lab.parts.clock.now_ms() // 1_000))
    del headers["webhook_id"]
    answer = await lab.send("standard", BODY, unsigned="", **headers)
    assert (answer.status_code, read_code(answer)) == (400, "delivery_id")


async def test_wh_16_a_trigger_may_require_an_id_or_take_the_body_for_it(lab: HookLab):
    auth = "auth: {hmac: '${{ secrets.SHOP }}'}"
    await lab.publish(make_document("strict", f"{{path: strict, {auth}, delivery: required}}"))
    answer = await lab.send("strict", BODY)
    assert (answer.status_code, read_code(answer)) == (400, "delivery_id")
    await lab.publish(make_document("same", f"{{path: same, {auth}, delivery: body}}"))
    first, second, third = [read_json(await lab.send("same", body)) for body in (BODY, BODY, b"{}")]
    assert first["run_id"] == second["run_id"] != third["run_id"]
    assert second["duplicate"] is True


@pytest.mark.parametrize("delivery_id", ["x" * 10_240, "x" * 256, "a b", "a\tb", "ü", ""])
async def test_wh_17_an_id_that_is_no_short_visible_ascii_is_refused(lab: HookLab, delivery_id: str):
    answer = await lab.client.post(
        "/hooks/orders",
        content=BODY,
        headers=[
            (b"content-type", b"application/json"),
            (b"x-webhook-signature", sign(BODY)["x-webhook-signature"].encode()),
            (b"x-webhook-id", delivery_id.encode("latin-1")),
        ],
    )
    assert (answer.status_code, read_code(answer)) == (400, "delivery_id")
    assert await lab.count_runs() == 0


async def test_wh_17_quotes_in_an_id_are_data(lab: HookLab):
    for delivery_id in ('"', "'--", "x" * 255):
        answers = [read_json(await lab.send("orders", BODY, x_webhook_id=delivery_id)) for _ in range(2)]
        assert answers[0]["run_id"] == answers[1]["run_id"]
    assert await lab.count_runs() == 3


async def test_wh_18_the_same_id_at_two_hooks_makes_two_runs(lab: HookLab):
    await lab.publish(make_document("other", "{path: other, auth: {hmac: '${{ secrets.SHOP }}'}}"))
    answers = [read_json(await lab.send(path, BODY, x_webhook_id="d-1")) for path in ("orders", "other")]
    assert answers[0]["run_id"] != answers[1]["run_id"]
    assert [answer["duplicate"] for answer in answers] == [False, False]


async def test_wh_19_an_empty_body_is_taken_where_the_schema_allows_it(lab: HookLab):
    assert (await lab.send("orders", b"")).status_code == 202
    schema = "input: {type: object, required: [order]}\n"
    await lab.publish(make_document("strict", "{path: strict, auth: {hmac: '${{ secrets.SHOP }}'}}", more=schema))
    answer = await lab.send("strict", b"", x_webhook_id="d-1")
    assert (answer.status_code, read_json(answer)["error"]["code"]) == (422, "VALIDATION_ERROR")
    # What was refused has not used the id up.
    again = await lab.send("strict", BODY, x_webhook_id="d-1")
    assert (again.status_code, read_json(again)["duplicate"]) == (202, False)


async def test_wh_35_five_hundred_at_once_are_five_hundred_runs(lab: HookLab):
    answers = await asyncio.gather(*(lab.send("orders", BODY, x_webhook_id=f"d-{number}") for number in range(500)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({read_json(answer)["run_id"] for answer in answers}) == 500
    assert await lab.count_runs() == 500


async def test_wh_36_a_sender_that_hangs_up_and_tries_again_has_one_run(lab: HookLab):
    sending = asyncio.create_task(lab.send("orders", BODY, x_webhook_id="d-1"))
    await asyncio.sleep(0)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    again = await lab.send("orders", BODY, x_webhook_id="d-1")
    assert again.status_code == 202
    assert await lab.count_runs() == 1


async def test_ids_inside_the_body_are_those_of_stripe_and_slack(lab: HookLab):
    await lab.set_secret("STRIPE", SECRET)
    await lab.publish(make_document("stripe", "{path: stripe, auth: {stripe: '${{ secrets.STRIPE }}'}}"))
    body = b'{"id":"evt_1","object":"event"}'

    async def send() -> dict[str, object]:
        now_s = lab.parts.clock.now_ms() // 1_000
        digest = sign(f"{now_s}.".encode() + body)["x-webhook-signature"].removeprefix("sha256=")
        answer = await lab.send("stripe", body, unsigned="", stripe_signature=f"t={now_s},v1={digest}")
        return read_json(answer)

    first, second = await send(), await send()
    assert first["run_id"] == second["run_id"]
    assert second["duplicate"] is True
