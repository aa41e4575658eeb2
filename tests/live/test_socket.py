"""`WS /live`: who may listen, what is told, and how a connection ends."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.server_lab import NOTE, WAIT, ServerLab, open_server_lab
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

GONE = "run_0000000000000000000000000z"


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncGenerator[ServerLab]:
    async with open_server_lab(tmp_path) as lab:
        await lab.publish(NOTE)
        yield lab


class Listener:
    """A client that is past the handshake."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def say(self, **frame: Any) -> None:
        await self.socket.send(json.dumps(frame))

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            return json.loads(await self.socket.recv())

    async def hear_closed(self) -> int:
        """The close code; frames before it are not looked at."""
        try:
            while True:
                await self.hear()
        except ConnectionClosed as end:
            return 0 if end.rcvd is None else end.rcvd.code

    async def subscribe(self, topic: str, subscription: str = "s", **more: Any) -> dict[str, Any]:
        await self.say(type="subscribe", id=subscription, topic=topic, **more)
        return await self.hear()


@asynccontextmanager
async def listen(lab: ServerLab, **headers: str) -> AsyncGenerator[Listener]:
    told = headers or {"authorization": f"Bearer {lab.key}"}
    async with connect(lab.socket_url, additional_headers=told) as socket:
        yield Listener(socket)


async def test_a_run_is_told_from_its_beginning_to_its_end(lab: ServerLab):
    await lab.publish(WAIT)
    run = (await lab.start({"workflow": "patient"}, "?wait=10s")).json()
    async with listen(lab) as listener:
        assert await listener.hear() == {"type": "ready"}
        subscribed = await listener.subscribe(f"run:{run['id']}")
        assert (subscribed["type"], subscribed["id"]) == ("subscribed", "s")
        heard = [await listener.hear() for _ in range(3)]
        assert heard[-1]["seq"] == subscribed["seq"]
        await lab.client.post(f"/api/v1/runs/{run['id']}/signals", json={"name": "go"})
        heard += [await listener.hear() for _ in range(2)]
        kinds = [frame["event"]["type"] for frame in heard]
        assert kinds == ["run.started", "step.waiting", "run.waiting", "step.completed", "run.finished"]
        await listener.say(type="unsubscribe", id="s")
        again = await listener.subscribe(f"run:{run['id']}", after=heard[2]["seq"])
        assert again["type"] == "subscribed"
        assert [(await listener.hear())["seq"] for _ in range(2)] == [frame["seq"] for frame in heard[3:]]


async def test_workspace_and_workflow_are_told_and_taken_up_again(lab: ServerLab):
    async with listen(lab) as listener:
        await listener.hear()
        begun = (await listener.subscribe("workspace"))["seq"]
        await lab.start({"workflow": "note"}, "?wait=10s")
        heard = [await listener.hear() for _ in range(2)]
        assert [frame["event"]["type"] for frame in heard] == ["run.started", "run.finished"]
        assert begun < heard[0]["seq"] < heard[1]["seq"]
    await lab.start({"workflow": "note"}, "?wait=10s")
    async with listen(lab) as listener:
        await listener.hear()
        await listener.subscribe("workspace", after=heard[0]["seq"])
        missed = [await listener.hear() for _ in range(3)]
        assert missed[0] == heard[1]
        assert [frame["event"]["type"] for frame in missed[1:]] == ["run.started", "run.finished"]
        await listener.subscribe("workflow:note", "w")
        await lab.client.post("/api/v1/workflows/note/deprecate", json={})
        told = {frame["id"]: frame["event"]["type"] for frame in [await listener.hear() for _ in range(2)]}
        assert told == {"s": "workflow.deprecated", "w": "workflow.deprecated"}


async def test_a_number_that_is_too_old_is_told_as_resync(lab: ServerLab):
    for _ in range(2):
        await lab.start({"workflow": "note"}, "?wait=10s")
    async with lab.installation.database.write.begin() as session:
        connection = await session.connection()
        await connection.exec_driver_sql("DELETE FROM outbox WHERE no <= (SELECT max(no) - 1 FROM outbox)")
    async with listen(lab) as listener:
        await listener.hear()
        await listener.subscribe("workspace", after=1)
        assert await listener.hear() == {"type": "resync", "id": "s"}


async def test_a06_nothing_is_done_for_who_has_not_signed_in(lab: ServerLab, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("flowforge.live.connection.AUTHENTICATE_S", 0.05)
    async with listen(lab, x_none="1") as listener:
        assert await listener.hear_closed() == 4401
    monkeypatch.setattr("flowforge.live.connection.AUTHENTICATE_S", 5.0)
    for first in ({"type": "subscribe", "id": "s", "topic": "workspace"}, {"type": "authenticate", "token": "ff_wrong"}):
        async with listen(lab, x_none="1") as listener:
            await listener.say(**first)
            assert await listener.hear_closed() == 4401
    async with listen(lab, x_none="1") as listener:
        await listener.say(type="authenticate", token=lab.key)
        assert await listener.hear() == {"type": "ready"}


async def test_a06_a_cookie_counts_with_our_own_origin_only(lab: ServerLab):
    cookie = "; ".join(f"{name}={value}" for name, value in lab.client.cookies.items())
    async with connect(lab.socket_url, origin=lab.url, additional_headers={"cookie": cookie}) as socket:  # type: ignore[arg-type]
        assert await Listener(socket).hear() == {"type": "ready"}
    async with connect(lab.socket_url, origin="https://evil.example", additional_headers={"cookie": cookie}) as socket:  # type: ignore[arg-type]
        assert await Listener(socket).hear_closed() == 4403


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("{", 4400),
        ("[]", 4400),
        ("[" * 100_000, 1009),
        ("[" * 50_000, 4400),
        ('{"type": "what"}', 4400),
        ('{"type": "subscribe", "id": "s", "topic": "workspace", "more": 1}', 4400),
        ('{"type": "subscribe", "id": "s", "topic": "workspace", "after": -1}', 4400),
        ('{"type": "subscribe", "id": "s", "topic": "everything"}', 4400),
        ('{"type": "unsubscribe", "id": "none"}', 4400),
        ('{"type": "authenticate", "token": "again"}', 4400),
        (b"\x00\x01", 4400),
        ('{"type": "subscribe", "id": "s", "topic": "run:nothing"}', 4403),
        ('{"type": "subscribe", "id": "s", "topic": "run:' + GONE + '"}', 4403),
        ('{"type": "subscribe", "id": "s", "topic": "workflow:other"}', 4403),
    ],
)
async def test_a06_frames_that_end_the_connection(lab: ServerLab, frame: str | bytes, code: int):
    async with listen(lab) as listener:
        await listener.hear()
        await listener.socket.send(frame)
        assert await listener.hear_closed() == code


async def test_a06_a_topic_needs_its_permission(lab: ServerLab):
    weak = await lab.make_key("workflow:start")
    for topic in ("workspace", "workflow:note"):
        async with listen(lab, authorization=f"Bearer {weak}") as listener:
            await listener.hear()
            await listener.say(type="subscribe", id="s", topic=topic)
            assert await listener.hear_closed() == 4403


async def test_a_hundred_topics_are_the_most(lab: ServerLab):
    async with listen(lab) as listener:
        await listener.hear()
        for number in range(101):
            await listener.say(type="subscribe", id=str(number), topic="user")
        assert await listener.hear_closed() == 4429


async def test_other_paths_have_no_socket(lab: ServerLab):
    with pytest.raises(Exception, match="403"):
        await connect(lab.socket_url.replace("/live", "/runs"))


async def test_a_connection_ends_when_its_key_is_revoked(lab: ServerLab, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("flowforge.live.connection.RENEW_S", 0.05)
    monkeypatch.setattr("flowforge.live.admission._SHARED_S", 0.0)
    monkeypatch.setattr("flowforge.identity.gate.KEY_LAG_S", 0.0)
    key = await lab.make_key("run:read")
    async with listen(lab, authorization=f"Bearer {key}") as listener:
        await listener.hear()
        keys = (await lab.client.get("/api/v1/keys")).json()["data"]
        mine = next(found for found in keys if key.startswith(found["prefix"]))
        assert (await lab.client.delete(f"/api/v1/keys/{mine['id']}")).status_code == 204
        assert await listener.hear_closed() == 4401


async def test_heartbeats_come_while_nothing_happens(lab: ServerLab, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("flowforge.live.connection.RENEW_S", 0.02)
    monkeypatch.setattr("flowforge.live.connection.HEARTBEAT_S", 0.04)
    async with listen(lab) as listener:
        assert [await listener.hear() for _ in range(3)] == [{"type": "ready"}, {"type": "heartbeat"}, {"type": "heartbeat"}]


async def test_a_server_that_ends_says_so(lab: ServerLab):
    async with listen(lab) as listener:
        await listener.hear()
        lab.server.domains.hub.closing.set()
        assert await listener.hear_closed() == 1001
