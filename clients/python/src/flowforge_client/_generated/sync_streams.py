# Made by scripts/client_models.py from the asynchronous twin; do not edit.
"""The events of a run, taken up again where the connection was lost."""

import json
from collections.abc import Generator
from typing import cast

import httpx2
from flowforge_client._generated.models import EventAnswer, EventPage
from flowforge_client._generated.sync_transport import Transport
from flowforge_client.errors import ConnectionLostError
from flowforge_client.paths import make_path
from flowforge_client.waiting import TRIES, find_pause_s, sleep


def follow_run(transport: Transport, run_id: str, after: int) -> Generator[EventAnswer]:
    """Each event of a run behind `after` once, in order, until the run has ended.

    Raises:
        ApiError: the server refuses.
        ConnectionLostError: the server could not be reached for several times in a row.
    """
    path = make_path("/api/v1/runs/{run}/events", run=run_id)
    failures = 0
    while True:
        try:
            with transport.stream(path, {"after": after}) as answer:
                for event in _read_events(answer):
                    failures = 0
                    if event["seq"] <= after:
                        continue
                    after = event["seq"]
                    yield event
                    if event["type"] == "run.finished":
                        return
            if _has_ended(transport, path, after):
                return
        except httpx2.TransportError as fault:
            if failures + 1 >= TRIES:
                raise ConnectionLostError(
                    f"The events of {run_id} cannot be followed: {fault or type(fault).__name__}."
                ) from fault
        failures += 1
        if failures >= TRIES:
            raise ConnectionLostError(f"The events of {run_id} end again and again before the run does.")
        sleep(find_pause_s(failures, None))


def _has_ended(transport: Transport, path: str, after: int) -> bool:
    """Whether nothing is behind that number and nothing will come; a stream also ends where the server is shut down."""
    page = cast("EventPage", transport.ask("GET", path, query={"after": after, "limit": 1}))
    return page["has_ended"] and not page["data"]


def _read_events(answer: httpx2.Response) -> Generator[EventAnswer]:
    data: list[str] = []
    for line in answer.iter_lines():
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            event = json.loads("\n".join(data))
            data = []
            if isinstance(event, dict) and "seq" in event:
                yield cast("EventAnswer", event)
