"""The client against a real server."""

import pytest
from tests.clients.conftest import HELLO
from tests.support.real_server import RealServer

from flowforge_client import ApiError, AsyncClient, Client, ConnectionLostError
from flowforge_client.values import read_seconds


def test_n08_a_run_is_started_and_waited_for(client: Client):
    run = client.runs.start("hello", {"who": "ann"}).wait("20s")
    assert (run.status, run.output, run.has_ended, run.error) == ("completed", {"who": "ann"}, True, None)


def test_n08_the_same_key_gives_the_same_run(client: Client):
    first = client.runs.start("hello", {"who": "ann"}, idempotency_key="once-1")
    again = client.runs.start("hello", {"who": "ann"}, idempotency_key="once-1")
    assert first.id == again.id
    with pytest.raises(ApiError) as refused:
        client.runs.start("hello", {"who": "bob"}, idempotency_key="once-1")
    assert (refused.value.status, refused.value.code) == (409, "IDEMPOTENCY_MISMATCH")


def test_a_document_runs_without_being_stored(client: Client):
    document = client.workflows.get_version("hello", 1)["document"]
    assert isinstance(document, dict)
    assert client.runs.start(None, {"who": "cy"}, document=document).wait("20s").output == {"who": "cy"}


def test_a_refusal_says_status_code_details_and_request_id(client: Client):
    with pytest.raises(ApiError) as refused:
        client.runs.start("hello", {})
    error = refused.value
    assert (error.status, error.code) == (422, "VALIDATION_ERROR")
    assert error.details[0]["field"] == "input.who"
    assert error.request_id.startswith("req_")
    assert "input.who" in str(error)


def test_events_come_in_order_until_the_run_has_ended(client: Client):
    run = client.runs.start("hello", {"who": "ann"})
    events = list(run.events())
    assert events[0]["type"] == "run.started"
    assert events[-1]["type"] == "run.finished"
    assert [event["seq"] for event in events] == sorted({event["seq"] for event in events})
    assert list(run.events(after=events[1]["seq"])) == events[2:]
    assert list(run.events(after=events[-1]["seq"])) == []


def test_a_run_that_waits_is_signalled(client: Client):
    run = client.runs.start("asking").wait("0.5s")
    assert not run.has_ended
    run.signal("answer", {"is": 42})
    assert run.wait("20s").output == {"given": {"is": 42}}
    assert run.why()["sentence"]


def test_a_run_is_cancelled(client: Client):
    run = client.runs.start("asking")
    run.cancel("no longer needed")
    assert run.wait("20s").status == "cancelled"


def test_lists_go_on_over_all_pages(client: Client):
    started = {client.runs.start("hello", {"who": str(number)}, subject="pages").id for number in range(5)}
    # Pages of two rows, so that there are three.
    rows = client.runs.list(subject="pages")
    pages = [client.api.get_runs(where=["subject:eq:pages"], limit=2)]
    while (cursor := pages[-1].get("next_cursor")) is not None:
        pages.append(client.api.get_runs(where=["subject:eq:pages"], limit=2, cursor=cursor))
    assert {row["id"] for row in rows} == started == {row["id"] for page in pages for row in page["data"]}
    assert len(pages) == 3


def test_steps_logs_and_effects_of_a_run(client: Client):
    run = client.runs.start("hello", {"who": "ann"}).wait("20s")
    assert [step["id"] for step in run.steps()] == ["greet"]
    assert [line["message"] for line in run.logs()] == ["hello"]
    assert [effect["operation"] for effect in run.effects()] == ["log.write"]


def test_a_workflow_is_validated_changed_and_published(client: Client):
    assert client.workflows.validate(HELLO)["valid"]
    assert not client.workflows.validate({"flowforge": 1, "name": "x"})["valid"]
    text = HELLO.replace("name: hello", "name: changing")
    client.workflows.create(text)
    client.workflows.publish("changing", note="first")
    changed = client.workflows.save_draft("changing", text.replace('"hello"', '"hi"'))
    with pytest.raises(ApiError) as stale:
        client.workflows.save_draft("changing", text, etag="no-longer")
    assert stale.value.status == 412
    client.workflows.publish("changing", etag=changed["etag"])
    assert [version["version"] for version in client.workflows.versions("changing")] == [2, 1]
    assert "hi" in client.workflows.diff("changing", 1, 2)["text"]
    client.workflows.delete("changing")
    assert "changing" not in {workflow["name"] for workflow in client.workflows.list()}


def test_secrets_variables_operations_and_files(client: Client):
    assert client.secrets.set("SHOP_TOKEN", "hidden")["version"] == 1
    assert [secret["name"] for secret in client.secrets.list()] == ["SHOP_TOKEN"]
    client.variables.set("SHOP_URL", "https://shop.example")
    assert client.api.get_variables()["data"][0]["value"] == "https://shop.example"
    hashed = client.operations.call("crypto.hash", {"data": "x"})
    assert isinstance(hashed, dict)
    stored = client.files.upload(b"a,b\n1,2\n", name="orders.csv")
    assert (stored["media_type"], client.files.download(stored["id"])) == ("text/csv", b"a,b\n1,2\n")


def test_a_large_file_goes_in_pieces(client: Client):
    data = bytes(range(256)) * 36_000
    assert client.files.upload(data, name="large.bin")["size_bytes"] == len(data)


def test_a_key_that_may_not_is_refused(server: RealServer):
    with Client(server.url, key=server.reader) as reader, pytest.raises(ApiError) as refused:
        reader.secrets.set("SHOP_TOKEN", "x")
    assert (refused.value.status, refused.value.code) == (403, "FORBIDDEN")


def test_a_server_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("flowforge_client._generated.sync_transport.sleep", print)
    with Client("http://127.0.0.1:1", key="x") as client, pytest.raises(ConnectionLostError):
        client.runs.start("hello")


async def test_n08_the_asynchronous_client_does_the_same(server: RealServer):
    async with AsyncClient(server.url, key=server.key) as client:
        run = await client.runs.start("hello", {"who": "ann"}, labels={"kind": "async"})
        assert [event["type"] async for event in run.events()][-1] == "run.finished"
        assert (await run.wait("20s")).output == {"who": "ann"}
        assert [row["id"] async for row in client.runs.list(labels={"kind": "async"})] == [run.id]


@pytest.mark.parametrize(("text", "seconds"), [("2m", 120.0), ("1h30m", 5_400.0), ("500ms", 0.5), (3, 3.0)])
def test_lengths_of_time_are_read(text: str | float, seconds: float):
    assert read_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "soon", "2m soon"])
def test_what_is_no_length_of_time_is_refused(text: str):
    with pytest.raises(ValueError, match="length of time"):
        read_seconds(text)
