"""A secret that a workflow uses and spreads is in nothing that the server tells or stores: attack class A19."""

from base64 import b64encode
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
from tests.support.server_lab import ServerLab, open_server_lab
from tests.support.servers import EffectServer, Received, Reply, json_reply, serve_http

from flowforge.kit.values import JsonObject

CANARY: Final = "canary/of a+secret-4711"
FORMS: Final = (CANARY, quote(CANARY, safe=""), CANARY.replace(" ", "+"), b64encode(CANARY.encode()).decode())
ECHO: Final[dict[str, Any]] = {
    "method": "POST",
    "headers": {"x-token": "${{ secrets.CANARY }}", "authorization": "Bearer ${{ secrets.CANARY }}"},
}


def make_document(url: str) -> dict[str, Any]:
    """Steps whose far side sends the secret back: in a body, in an error, as base64, and in an address that cannot be reached."""
    request = {"uses": "http.request", "on_error": "continue"}
    again: dict[str, Any] = {
        "id": "handed_on",
        "uses": "log.write",
        "with": {"message": "it said ${{ steps.body.output.body.plain }}"},
    }
    script = "throw new Error('it said ' + JSON.stringify(input))"
    return {
        "flowforge": 1,
        "name": "leaky",
        "steps": [
            {"id": "body", **request, "with": {**ECHO, "url": f"{url}/body"}},
            {"id": "error", **request, "with": {**ECHO, "url": f"{url}/error"}},
            {"id": "query", **request, "with": {"url": "http://127.0.0.1:1/", "query": {"token": "${{ secrets.CANARY }}"}}},
            again,
            {
                "id": "thrown",
                "uses": "script.javascript",
                "with": {"source": script, "input": {"all": "${{ steps.body.output }}"}},
                "on_error": "continue",
            },
            {"id": "wrong", "uses": "flow.set", "with": {"values": {"n": "${{ int(steps.body.output.body.plain) }}"}}},
        ],
    }


def echo(request: Received) -> JsonObject:
    token = request.headers["x-token"]
    return {"plain": token, "basic": b64encode(f"user:{token}".encode()).decode(), "url": quote(token, safe="")}


def serve_echo(server: EffectServer) -> None:
    server.on("/body", lambda request: json_reply(echo(request)))
    server.on("/error", lambda request: Reply(500, (), str(echo(request)).encode()))


async def list_answers(lab: ServerLab, run_id: str) -> list[str]:
    """Everything that can be asked about a run."""
    tails = ("", "/steps", "/logs", "/effects", "/why", "/diagnose", "/tree", "/events", "/export")
    tails += tuple(f"/steps/{step}" for step in ("body", "error", "query", "handed_on", "thrown", "wrong"))
    answers = [await lab.client.get(f"/api/v1/runs/{run_id}{tail}") for tail in tails]
    assert {answer.status_code for answer in answers} == {200}, [answer.status_code for answer in answers]
    more = [await lab.client.get(path) for path in ("/metrics", "/api/v1/runs", "/api/v1/secrets", "/api/v1/audit")]
    return [answer.text for answer in [*answers, *more]]


def read_files(folder: Path) -> list[str]:
    return [path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file()]


async def test_a19_a_secret_is_in_no_answer_no_log_no_figure_and_no_file(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    async with serve_http() as server, open_server_lab(tmp_path, egress_allow="127.0.0.1") as lab:
        serve_echo(server)
        assert (await lab.client.put("/api/v1/secrets/CANARY", json={"value": CANARY})).status_code == 200
        await lab.publish(make_document(server.url))
        started = await lab.start({"workflow": "leaky"}, "?wait=20s")
        assert started.json()["status"] in {"completed", "failed"}, started.text
        assert server.received[0].headers["x-token"] == CANARY
        told = [started.text, *await list_answers(lab, started.json()["id"]), caplog.text]
    told += read_files(tmp_path)
    for form in FORMS:
        assert not [text[max(0, text.index(form) - 200) :][:400] for text in told if form in text], form
    assert all("***" in text for text in told[2:4]), "the steps ran, and what came back is masked"
