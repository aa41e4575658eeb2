"""The peer: DBOS on SQLite or PostgreSQL, the same workloads, in a process and an environment of its own.

Run as a script by that environment's Python: `python peer_dbos.py FOLDER [URL]`. It reads one request a line (`w1 40`,
`w2_async 100 10`) and answers each with one line of JSON: the seconds that it took. `ready` with the versions comes first.
"""

import asyncio
import importlib
import importlib.metadata
import json
import logging
import sqlite3
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any


class Peer:
    """DBOS with the bench's workflows, each as plain threads and as coroutines; the report takes the better one."""

    def __init__(self, url: str) -> None:
        self._dbos: Any = importlib.import_module("dbos").DBOS
        config = {
            "name": "bench",
            "system_database_url": url,
            "log_level": "ERROR",
            "run_admin_server": False,
        }
        self._dbos(config=config)
        step = self._dbos.step()(_work)
        step_async = self._dbos.step(name="work_async")(_work_async)

        def sequence(steps: int) -> int:
            return sum(step(number) for number in range(steps))

        async def sequence_async(steps: int) -> int:
            return sum([await step_async(number) for number in range(steps)])

        async def fan_out(items: int) -> int:
            return sum(await asyncio.gather(*(step_async(number) for number in range(items))))

        self._sequence: Callable[[int], int] = self._dbos.workflow(name="sequence")(sequence)
        self._sequence_async: Callable[[int], Awaitable[int]] = self._dbos.workflow(name="sequence_async")(sequence_async)
        self._fan_out: Callable[[int], Awaitable[int]] = self._dbos.workflow(name="fan_out")(fan_out)
        self._dbos.launch()

    def measure_s(self, workload: str, numbers: list[int]) -> float:
        match workload:
            case "w1":
                begun = time.perf_counter()
                self._sequence(numbers[0])
                return time.perf_counter() - begun
            case "w1_async":
                return asyncio.run(_time(lambda: self._sequence_async(numbers[0])))
            case "w2":
                return self._measure_many_s(*numbers)
            case "w2_async":
                return asyncio.run(_time(lambda: self._run_many(*numbers)))
            case "w4_async":
                return asyncio.run(_time(lambda: self._fan_out(numbers[0])))
            case _:
                raise SystemExit(f"The peer does not know the workload {workload}.")

    def _measure_many_s(self, runs: int, steps: int) -> float:
        begun = time.perf_counter()
        handles = [self._dbos.start_workflow(self._sequence, steps) for _ in range(runs)]
        for handle in handles:
            handle.get_result()
        return time.perf_counter() - begun

    async def _run_many(self, runs: int, steps: int) -> None:
        await asyncio.gather(*(self._sequence_async(steps) for _ in range(runs)))

    def close(self) -> None:
        self._dbos.destroy()


def _work(number: int) -> int:
    return number


async def _work_async(number: int) -> int:
    return number


async def _time(work: Callable[[], Awaitable[object]]) -> float:
    begun = time.perf_counter()
    await work()
    return time.perf_counter() - begun


def make_sqlite(folder: Path) -> str:
    """A fresh database in the peer's better setting: a WAL, which the file remembers."""
    folder.mkdir(parents=True, exist_ok=True)
    database = folder / "dbos.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    return f"sqlite:///{database}"


def main() -> None:
    logging.disable(logging.ERROR)
    peer = Peer(sys.argv[2] if len(sys.argv) > 2 else make_sqlite(Path(sys.argv[1])))
    versions = {"dbos": importlib.metadata.version("dbos"), "sqlite": sqlite3.sqlite_version}
    print(json.dumps({"ready": versions}), flush=True)
    for line in sys.stdin:
        workload, *numbers = line.split()
        print(json.dumps({"seconds": peer.measure_s(workload, [int(number) for number in numbers])}), flush=True)
    peer.close()


if __name__ == "__main__":
    main()
