"""Harness A: dies at each numbered crash point of a scenario, goes on in a fresh process, and checks what is left.

`python -m tests.support.crash_runner` reads a JSON array a line (`[scenario, folder, most]`) and writes one JSON object for each: how many
points were tried and what was wrong. The parent imports everything once and forks each life, so that a death costs milliseconds.
"""

import asyncio
import json
import os
import shutil
import sqlite3
import sys
import traceback
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final, NoReturn, cast

from tests.support.checker import Acknowledged, Request, Witnesses, check
from tests.support.lab import QUICK, WORKSPACE, Lab
from tests.support.scenarios import SCENARIOS, Message, Scenario
from tests.support.stores import make_sqlite_file

from flowforge.engine.births import StartRequest
from flowforge.engine.executor import Started
from flowforge.engine.executor.settling import settle
from flowforge.engine.store import NewEvent, NewMail
from flowforge.kit.border import encode
from flowforge.kit.crashpoint import crash_hook
from flowforge.kit.values import JsonObject, JsonValue

DIED: Final = 137
PATIENCE_S: Final = 20.0
MIGRATING: Final = "linear"
"""The one scenario that begins with a new folder, so that it dies in migrations too."""


class Life:
    """One process that carries a scenario on, from wherever the database says it is."""

    def __init__(self, folder: Path, scenario: Scenario) -> None:
        self._folder = folder
        self._scenario = scenario

    async def live(self) -> None:
        queues = self._scenario.queues
        lab = Lab(self._folder, replace(QUICK, hands_out_jobs=bool(queues), job_queues=queues))
        for document in self._scenario.callees:
            lab.define(document)
        pinned = lab.define(self._scenario.document)
        await lab.engine.open()
        scenario = self._scenario
        request = StartRequest(WORKSPACE, pinned, scenario.input, "user:t", mocks=scenario.mocks, dedup="the-one-start")
        started = await lab.engine.start(request)
        self._acknowledge(started.run_id, "start")
        async with asyncio.timeout(PATIENCE_S):
            await self._send(lab, started)
            await settle(lab.engine, started.run_no, None)
            await lab.until(lambda: not has_open_runs(lab.database))
        await lab.close()

    async def _send(self, lab: Lab, started: Started) -> None:
        for place, message in enumerate(self._scenario.messages):
            await lab.until(lambda message=message: is_time(lab, started, message))
            if message.kind == "event":
                publish_once(lab, message)
                continue
            mail = NewMail(started.run_no, message.kind, encode(message.body), "user:t", f"message:{place}")
            if await lab.engine.deliver(mail) == "delivered":
                self._acknowledge(started.run_id, message.kind)

    def _acknowledge(self, run_id: str, kind: str) -> None:
        with (self._folder / "acknowledged.jsonl").open("a") as file:
            file.write(json.dumps([run_id, kind]) + "\n")


def is_time(lab: Lab, started: Started, message: Message) -> bool:
    if message.after is not None and message.after not in lab.book.names():
        return False
    kind = message.after_event
    return kind is None or any(event["type"] in {kind, "run.finished"} for event in lab.events(started.run_no))


def publish_once(lab: Lab, message: Message) -> None:
    """Publishes a named event unless a life before this one has."""
    with closing(sqlite3.connect(lab.database)) as connection:
        if connection.execute("SELECT count(*) FROM events").fetchone()[0]:
            return
    name, key = str(message.body["name"]), cast("str | None", message.body.get("key"))
    lab.store.publish(NewEvent(WORKSPACE, name, key, encode(message.body), "user:t", lab.clock.now_ms()))
    lab.engine.poke()


def has_open_runs(database: Path) -> bool:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute("SELECT count(*) FROM runs WHERE finished_at IS NULL").fetchone()[0] > 0


def fork_life(folder: Path, scenario: Scenario, hook: Callable[[str], None] | None) -> int:
    """Lives in a child process; returns its exit code."""
    child = os.fork()
    if child == 0:
        live_and_exit(folder, scenario, hook or (lambda _name: None))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def live_and_exit(folder: Path, scenario: Scenario, hook: Callable[[str], None]) -> NoReturn:
    code = 1
    try:
        with crash_hook(hook):
            asyncio.run(Life(folder, scenario).live())
        code = 0
    except BaseException:  # noqa: BLE001 - a child tells why it fails before it exits
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def die_at(place: int) -> Callable[[str], None]:
    seen = 0

    def hook(_name: str) -> None:
        nonlocal seen
        seen += 1
        if seen == place:
            os._exit(DIED)

    return hook


def count_points(folder: Path, scenario: Scenario) -> list[str]:
    """The names of the crash points that a life without a death comes by, in order."""
    log = folder.with_suffix(".points")

    def hook(name: str) -> None:
        with log.open("a") as file:
            file.write(name + "\n")

    code = fork_life(folder, scenario, hook)
    assert code == 0, f"the run without a death exits with {code}"
    return log.read_text().split()


def read_result(database: Path) -> tuple[str, JsonValue]:
    """Status and output of the run that the scenario started."""
    with sqlite3.connect(database) as connection:
        no, status = connection.execute("SELECT no, status FROM runs WHERE dedup='the-one-start'").fetchone()
        body = connection.execute("SELECT body FROM journal WHERE run_no=? ORDER BY seq DESC LIMIT 1", (no,)).fetchone()[0]
    last = cast("list[JsonObject]", json.loads(body))[-1]
    return status, last.get("output")


def inspect(folder: Path, scenario: Scenario, expected: tuple[str, JsonValue]) -> list[str]:
    """What is wrong with a database after the recovery."""
    lab_book = (folder / "effects.jsonl").read_text().splitlines() if (folder / "effects.jsonl").exists() else []
    requests = [Request(entry["key"], entry["attempt"], entry["at_ms"]) for entry in map(json.loads, lab_book)]
    lines = (folder / "acknowledged.jsonl").read_text().splitlines()
    acknowledged = [Acknowledged(*json.loads(line)) for line in dict.fromkeys(lines)]
    result = read_result(folder / "flowforge.db")
    faults = [
        f"{fault.invariant}: {fault.message}" for fault in check(folder / "flowforge.db", _witnesses(requests, acknowledged))
    ]
    if result[0] != scenario.expected:
        faults.append(f"the run ended as {result[0]}, not {scenario.expected}")
    if not scenario.ignored_output and result != expected:
        faults.append(f"the run gave {result}, and {expected} without a death")
    return faults


def _witnesses(requests: list[Request], acknowledged: list[Acknowledged]) -> Witnesses:
    return Witnesses(requests=requests, acknowledged=acknowledged)


def prepare(case: Path, template: Path | None) -> Path:
    """A data folder, with the database as the template has it."""
    case.mkdir()
    if template is not None:
        shutil.copyfile(template, case / "flowforge.db")
    return case


def run_scenario(name: str, folder: Path, most: int) -> JsonObject:
    """Dies at (at most `most`, evenly chosen) points of a scenario."""
    scenario = SCENARIOS[name]
    folder.mkdir(parents=True, exist_ok=True)
    template = None if name == MIGRATING else make_sqlite_file(folder)
    calm = prepare(folder / "calm", template)
    points = count_points(calm, scenario)
    expected = read_result(calm / "flowforge.db")
    faults: list[JsonValue] = [f"without a death: {fault}" for fault in inspect(calm, scenario, expected)]
    places = range(1, len(points) + 1)
    step = max(1, -(-len(points) // most))
    for place in list(places)[::step]:
        case = prepare(folder / f"case-{place}", template)
        code = fork_life(case, scenario, die_at(place))
        after = fork_life(case, scenario, None)
        where = f"{points[place - 1]} (point {place})"
        if code not in {0, DIED}:
            faults.append(f"{where}: the life exits with {code}")
        if after != 0:
            faults.append(f"{where}: the recovery exits with {after}")
        else:
            faults.extend(f"{where}: {fault}" for fault in inspect(case, scenario, expected))
        shutil.rmtree(case)
    names: list[JsonValue] = [*sorted(set(points))]
    return {"scenario": name, "points": len(points), "names": names, "tried": len(list(places)[::step]), "faults": faults}


def main() -> None:
    for line in sys.stdin:
        name, folder, most = json.loads(line)
        sys.stdout.write(json.dumps(run_scenario(name, Path(folder), most)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
