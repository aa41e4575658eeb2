"""A thousand live streams on one process."""

import asyncio
from pathlib import Path

import pytest
from tests.support.server_lab import WAIT, open_server_lab

STREAMS = 1_000
RUNS = 10


async def follow(host: str, port: int, run_id: str, key: str, opened: asyncio.Semaphore, ready: asyncio.Event) -> str:
    """The whole stream of a run, over a bare socket."""
    async with opened:
        reader, writer = await asyncio.open_connection(host, port)
        head = f"GET /api/v1/runs/{run_id}/events HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n"
        writer.write(f"{head}Authorization: Bearer {key}\r\nConnection: close\r\n\r\n".encode())
        first = await reader.readuntil(b"run.waiting")
    ready.set()
    rest = await reader.read()
    writer.close()
    return (first + rest).decode()


@pytest.mark.slow(90)
async def test_a_thousand_streams_are_told_of_everything(tmp_path: Path):
    async with open_server_lab(tmp_path) as lab:
        await lab.publish(WAIT)
        runs = [(await lab.start({"workflow": "patient"}, "?wait=10s")).json()["id"] for _ in range(RUNS)]
        host, port = lab.server.address.split(":")
        opened = asyncio.Semaphore(100)
        readies = [asyncio.Event() for _ in range(STREAMS)]
        streams = [
            asyncio.create_task(follow(host, int(port), runs[number % RUNS], lab.key, opened, ready))
            for number, ready in enumerate(readies)
        ]
        for ready in readies:
            await ready.wait()
        for run_id in runs:
            told = await lab.client.post(f"/api/v1/runs/{run_id}/signals", json={"name": "go"})
            assert told.status_code == 202
        for text in await asyncio.gather(*streams):
            assert text.count("event: run.finished") == 1
            assert text.count("event: step.completed") == 1
        assert lab.server.domains.hub.feeds.count == 0
