"""Costs of the SQLite store beside a bare sqlite3 loop on the same disk: `python -m bench.store [FOLDER]`."""

import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from statistics import median

from flowforge.engine.sqlite.store import SqliteStore
from flowforge.engine.store import FAR_FUTURE_MS, ClaimRequest, Finish, NewMail, NewRun, Release, Turn
from flowforge.kit.clock import SystemClock
from flowforge.kit.database.connect import connect_sqlite
from flowforge.kit.database.schema import upgrade_database
from flowforge.kit.database.url import name_sqlite

BODY = (
    b'[{"type":"step.completed","step":"fetch","attempt":1,"output":{"status":200,"body":{"id":12345,"name":"an order"}}},'
    b'{"type":"step.planned","step":"store","attempt":1,"key":"6f1f0c2b5f6e4d0b","digest":"0f1e2d3c4b5a6978"}]'
)


@dataclass(slots=True)
class Bench:
    store: SqliteStore
    worker: int
    numbers: "count[int]"

    def new(self, *, is_owned: bool = True) -> NewRun:
        no = self.worker << 32 | next(self.numbers)
        owner = self.worker if is_owned else None
        return NewRun(no, f"run_{no:026d}", "ws_main", "wf_order", "order", 1, "d" * 32, 5, "user", 1, BODY, owner)

    def born(self, amount: int) -> list[NewRun]:
        runs = [self.new() for _ in range(amount)]
        self.store.commit([Turn(run.no, 1, 1, 2, BODY, 2, start=run) for run in runs])
        return runs


def report(name: str, rows: int, rounds: int, work: Callable[[int], object]) -> None:
    spent: list[float] = []
    for number in range(rounds):
        begun = time.perf_counter()
        work(number)
        spent.append(time.perf_counter() - begun)
    typical = median(spent)
    print(f"{name:44} {typical * 1e3:9.3f} ms  {typical * 1e6 / rows:9.2f} us/row  {rows / typical:10.0f} rows/s")


def bare(folder: Path) -> None:
    connection = connect_sqlite(folder / "bare.db")
    connection.execute("CREATE TABLE j(run INTEGER, seq INTEGER, epoch INTEGER, at INTEGER, body TEXT, UNIQUE(run, seq))")
    text = BODY.decode()

    def one(number: int) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO j VALUES (?,?,?,?,?)", (1, number, 1, 1, text))
        connection.execute("COMMIT")

    report("bare sqlite3, 1 row", 1, 500, one)
    connection.close()


def middle_turns(bench: Bench, amount: int, rounds: int) -> None:
    runs = bench.born(amount)
    report(
        f"commit, {amount} middle turns",
        amount,
        rounds,
        lambda number: bench.store.commit([Turn(run.no, 1, 1, 3 + number, BODY, 2, progressed=True) for run in runs]),
    )


def whole_runs(bench: Bench, amount: int) -> None:
    done = Finish("completed", None, None)

    def start(_: int) -> list[NewRun]:
        return bench.born(amount)

    report(f"start, {amount} runs", amount, 30, start)
    batches = [bench.born(amount) for _ in range(30)]
    report(
        f"finish, {amount} runs",
        amount,
        30,
        lambda number: bench.store.commit([Turn(run.no, 1, 1, 3, BODY, 2, finish=done) for run in batches[number]]),
    )
    report(
        f"start and finish in one, {amount} runs",
        amount,
        30,
        lambda _: bench.store.commit([Turn(run.no, 1, 1, 2, BODY, 2, start=run, finish=done) for run in new_runs(bench, amount)]),
    )


def new_runs(bench: Bench, amount: int) -> Sequence[NewRun]:
    return [bench.new() for _ in range(amount)]


def sleepers(bench: Bench, amount: int) -> None:
    runs = bench.born(amount)
    parts = [runs[start : start + 500] for start in range(0, amount, 500)]
    asleep = Release("waiting", FAR_FUTURE_MS, '{"kind":"timer"}')
    report(
        "release, 500 runs",
        500,
        len(parts),
        lambda number: bench.store.commit([Turn(run.no, 1, 1, 3, BODY, 2, release=asleep) for run in parts[number]]),
    )
    report("claim with nothing due", 1, 200, lambda _: bench.store.claim(ClaimRequest(bench.worker, 500)))
    report(
        "deliver, 500 mails",
        500,
        len(parts),
        lambda number: bench.store.deliver([NewMail(run.no, "signal", b"{}", "user") for run in parts[number]]),
    )
    report("claim, 500 runs", 500, len(parts), lambda _: bench.store.claim(ClaimRequest(bench.worker, 500)))
    report("mail, all owned runs", 1, 20, lambda _: bench.store.mail(bench.worker))
    report("changed", 1, 500, lambda _: bench.store.changed())


def main() -> None:
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory(dir=place) as name:
        folder = Path(name)
        print(f"SQLite {sqlite3.sqlite_version}, {folder}")
        bare(folder)
        upgrade_database(name_sqlite(folder / "flowforge.db"))
        store = SqliteStore(folder / "flowforge.db", SystemClock(), random.random)
        bench = Bench(store, store.register("bench", 3_600_000), count(1))
        for amount, rounds in ((1, 500), (8, 200), (100, 100), (256, 50)):
            middle_turns(bench, amount, rounds)
        whole_runs(bench, 1)
        whole_runs(bench, 100)
        sleepers(bench, 10_000)
        store.close()


if __name__ == "__main__":
    main()
