"""What the command line's connection does with answers, on a transport that makes them up."""

from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from flowforge.entrypoints.cli.frame import make_frame
from flowforge.entrypoints.cli.logins import Login, find_login, find_logins_file
from flowforge.entrypoints.cli.remote.connection import Server
from flowforge.kit.errors import DependencyError, FlowForgeError, StorageError
from flowforge.kit.values import JsonObject

URL = "http://127.0.0.1:8000"
Handler = Callable[[httpx2.Request], httpx2.Response]


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    made: list[float] = []
    monkeypatch.setattr("flowforge.entrypoints.cli.remote.connection.time.sleep", made.append)
    return made


def make_server(handler: Handler, config: Path, login: Login | None = None) -> Server:
    frame = make_frame(None, is_json=True, is_quiet=False, environ={"XDG_CONFIG_HOME": str(config)})
    return Server(frame, httpx2.Client(base_url=URL, transport=httpx2.MockTransport(handler)), login, URL)


def test_a_token_that_has_expired_is_renewed_and_stored(tmp_path: Path):
    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/auth/refresh"):
            return httpx2.Response(200, json={"access_token": "new", "refresh_token": "next"})
        is_good = request.headers["authorization"] == "Bearer new"
        return httpx2.Response(200, json={"id": "wf_1"}) if is_good else httpx2.Response(401, json={})

    server = make_server(answer, tmp_path, Login("old", "refresh"))
    assert server.get("/workflows/hello") == {"id": "wf_1"}
    assert find_login(find_logins_file({"XDG_CONFIG_HOME": str(tmp_path)}), URL) == Login("new", "next")


def test_the_server_says_how_long_to_wait(tmp_path: Path, pauses: list[float]):
    answers = [httpx2.Response(429, headers={"retry-after": "3"}), httpx2.Response(200, json={})]
    make_server(lambda _: answers.pop(0), tmp_path).ask("POST", "/x")
    assert pauses == [3.0]


def test_a_change_without_a_key_is_not_sent_twice(tmp_path: Path):
    sent: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(request.url.path)
        raise httpx2.ReadError("lost")

    server = make_server(answer, tmp_path)
    with pytest.raises(DependencyError):
        server.ask("POST", "/runs/run_1/cancel")
    assert len(sent) == 1
    with pytest.raises(DependencyError):
        server.ask("POST", "/runs", {}, headers={"Idempotency-Key": "k"})
    assert len(sent) == 6


@pytest.mark.parametrize("told", ["<html>", "[]", '{"error": "no"}'])
def test_what_is_no_flowforge_server_is_said_to_be_none(tmp_path: Path, told: str):
    with pytest.raises(StorageError, match="not as a FlowForge server"):
        make_server(lambda _: httpx2.Response(404, text=told), tmp_path).get("/runs")


def test_a_refusal_keeps_the_server_s_code_and_request_id(tmp_path: Path):
    body: JsonObject = {"error": {"code": "ALREADY_EXISTS", "message": "It is there.", "details": [], "requestId": "req_7"}}
    with pytest.raises(FlowForgeError) as refused:
        make_server(lambda _: httpx2.Response(409, json=body), tmp_path).get("/x")
    assert (refused.value.code, getattr(refused.value, "request_id", "")) == ("ALREADY_EXISTS", "req_7")
