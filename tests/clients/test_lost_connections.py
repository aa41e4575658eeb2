"""What the client does when answers are lost, on a transport that loses them."""

import json
from collections.abc import Callable, Iterator
from typing import Final

import httpx2
import pytest

from flowforge_client import ApiError, Client, ConnectionLostError
from flowforge_client.values import JsonObject

Handler = Callable[[httpx2.Request], httpx2.Response]

RUN: Final[JsonObject] = {"id": "run_1", "status": "running", "last_seq": 0, "input": {}, "output": None, "error": None}


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that would have been made."""
    made: list[float] = []
    for module in ("sync_transport", "sync_streams"):
        monkeypatch.setattr(f"flowforge_client._generated.{module}.sleep", made.append)
    return made


def make_client(handler: Handler) -> Client:
    return Client("http://server", key="k", http=httpx2.Client(transport=httpx2.MockTransport(handler)))


def test_a_start_whose_answer_was_lost_is_sent_again_with_the_same_key():
    keys: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        keys.append(request.headers["idempotency-key"])
        if len(keys) < 3:
            raise httpx2.ReadError("lost")
        return httpx2.Response(202, json=RUN)

    with make_client(answer) as client:
        assert client.runs.start("hello").id == "run_1"
    assert len(keys) == 3
    assert len(set(keys)) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_the_server_says_how_long_to_wait(status: int, pauses: list[float]):
    answers = [httpx2.Response(status, headers={"retry-after": "7"}), httpx2.Response(202, json=RUN)]
    with make_client(lambda _: answers.pop(0)) as client:
        client.runs.start("hello")
    assert pauses == [7.0]


def test_what_has_no_key_is_not_sent_twice():
    sent: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request.url.path)
        raise httpx2.ReadError("lost")

    with make_client(answer) as client, pytest.raises(ConnectionLostError):
        client.runs.cancel("run_1")
    assert len(sent) == 1


def test_a_refusal_is_not_sent_again():
    sent: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request.url.path)
        return httpx2.Response(409, json={"error": {"code": "CONFLICT", "message": "No.", "details": [], "requestId": "req_1"}})

    with make_client(answer) as client, pytest.raises(ApiError) as refused:
        client.runs.start("hello")
    assert (refused.value.code, refused.value.request_id, len(sent)) == ("CONFLICT", "req_1", 1)


def test_events_go_on_behind_the_last_one_after_a_lost_connection():
    asked: list[str] = []

    def frame(seq: int, kind: str) -> bytes:
        return f"id: {seq}\nevent: {kind}\ndata: {json.dumps({'seq': seq, 'type': kind})}\n\n".encode()

    class Breaking(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield b"retry: 2000\n\n" + frame(1, "run.started") + frame(2, "step.started")
            raise httpx2.ReadError("lost")

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.params["after"])
        if len(asked) == 1:
            return httpx2.Response(200, stream=Breaking())
        return httpx2.Response(200, content=b": heartbeat\n\n" + frame(2, "step.started") + frame(3, "run.finished"))

    with make_client(answer) as client:
        assert [event["seq"] for event in client.runs.events("run_1")] == [1, 2, 3]
    assert asked == ["0", "2"]


def test_an_answer_that_is_no_error_object_is_an_error_all_the_same():
    with make_client(lambda _: httpx2.Response(502, text="<html>")) as client, pytest.raises(ApiError) as refused:
        client.runs.get("run_1")
    assert (refused.value.status, refused.value.code) == (502, "HTTP_502")
