"""The server dies between every pair of statements of a start and a signal: what was answered is there, and a retry makes one."""

import asyncio
import json
import os
import shutil
import sqlite3
import sys
import traceback
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest
from tests.support.server_lab import WAIT, ServerLab, open_server_lab

from flowforge.kit.crashpoint import crash_hook

DIED: Final = 137
KEY: Final = "the-one-start"
SIGNAL_KEY: Final = "the-one-signal"

Deed = Callable[[ServerLab, Path], Awaitable[None]]


def note(notes: Path, run_id: str) -> None:
    """The answer came."""
    notes.write_text(run_id)


async def publish(lab: ServerLab, _notes: Path) -> None:
    await lab.publish(WAIT)


async def start(lab: ServerLab, notes: Path) -> None:
    answer = await lab.start({"workflow": "patient"}, "?wait=10s", idempotency_key=KEY)
    assert answer.status_code in {200, 202}, answer.text
    note(notes, answer.json()["id"])


async def signal(lab: ServerLab, notes: Path) -> None:
    run_id = (await lab.start({"workflow": "patient"}, "?wait=10s", idempotency_key=KEY)).json()["id"]
    with crash_hook(_armed):
        answer = await lab.client.post(
            f"/api/v1/runs/{run_id}/signals", json={"name": "go"}, headers={"idempotency-key": SIGNAL_KEY}
        )
        assert answer.status_code in {202, 409}, answer.text
        note(notes, run_id)


_armed: Callable[[str], None] = lambda _name: None  # noqa: E731 (replaced before each life)


def live(folder: Path, deed: Deed, hook: Callable[[str], None]) -> int:
    """A process that serves and asks; its exit code. Forked, so that a death costs no start of the interpreter."""
    child = os.fork()
    if child == 0:
        _live_and_exit(folder, deed, hook)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _live_and_exit(folder: Path, deed: Deed, hook: Callable[[str], None]) -> NoReturn:
    code = 1
    try:
        asyncio.run(_serve(folder, deed, hook))
        code = 0
    except BaseException:  # noqa: BLE001 (a child tells why it fails before it exits)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


async def _serve(folder: Path, deed: Deed, hook: Callable[[str], None]) -> None:
    global _armed  # noqa: PLW0603 (of this forked process alone)
    async with open_server_lab(folder) as lab:
        if deed is signal:
            _armed = hook
            await deed(lab, folder / "answered")
            return
        with crash_hook(hook):
            await deed(lab, folder / "answered")


def count_points(folder: Path, deed: Deed) -> list[str]:
    log = folder / "points"

    def hook(name: str) -> None:
        with log.open("a") as file:
            file.write(name + "\n")

    assert live(folder, deed, hook) == 0
    return log.read_text().split()


def die_at(place: int) -> Callable[[str], None]:
    seen = 0

    def hook(_name: str) -> None:
        nonlocal seen
        seen += 1
        if seen == place:
            os._exit(DIED)

    return hook


def read(folder: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(folder / "flowforge.db")) as connection:
        return connection.execute(statement).fetchall()


def find_answered(folder: Path) -> str | None:
    file = folder / "answered"
    return file.read_text() if file.exists() else None


@pytest.mark.slow(240)
@pytest.mark.parametrize("deed", [start, signal])
def test_what_was_answered_is_there_and_a_retry_makes_one(tmp_path: Path, deed: Deed):
    template = tmp_path / "template"
    template.mkdir()
    assert live(template, publish, lambda _name: None) == 0
    points = count_points(shutil.copytree(template, tmp_path / "calm"), deed)
    assert points, "the deed comes by no crash point"
    places = list(range(1, len(points) + 1))
    for place in places[:: -(-len(places) // 6)]:
        folder = shutil.copytree(template, tmp_path / f"case-{place}")
        assert live(folder, deed, die_at(place)) in {DIED, 0}
        answered = find_answered(folder)
        if answered is not None:
            assert read(folder, "SELECT count(*) FROM runs WHERE id='" + answered + "'") == [(1,)]
        assert live(folder, deed, lambda _name: None) == 0, points[place - 1]
        told = find_answered(folder)
        assert read(folder, "SELECT id FROM runs") == [(told,)], points[place - 1]
        assert answered in {None, told}
        if deed is signal:
            bodies = [json.loads(body) for (body,) in read(folder, "SELECT body FROM journal ORDER BY seq")]
            mails = [event for body in bodies for event in body if event["type"] == "run.mail"]
            assert [mail["kind"] for mail in mails] == ["signal"], points[place - 1]
