"""Harness C: real processes, a mixed load, a nemesis, and at the end every invariant, by three witnesses."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

from tests.soak.load import SERVED, Load
from tests.soak.nemesis import Nemesis
from tests.support.checker import Witnesses, check_database
from tests.support.cluster import EXPIRY_S, Cluster, number_requests, open_cluster
from tests.support.fault_operations import install
from tests.support.history import Database, read
from tests.support.nursery import open_nursery
from tests.support.own_servers import OwnMariadb, OwnPostgres, OwnRabbitmq, OwnRedis
from tests.support.soundness import assert_histories_follow
from tests.support.tcp_proxy import open_tcp_proxy
from tests.support.templates import Templates

POLICY: Final = {"LIMIT_POISON_LIMIT": "100"}
"""The nemesis kills more often than any run deserves: none of them is poison."""
SETS: Final = ("postgres+redis", "mariadb+rabbitmq")
FAIL_RATIO: Final = 0.05
DRAIN_S: Final = 120.0
_TICK_S: Final = 0.02
_TELL_S: Final = 5.0


@dataclass
class Report:
    """What was done, and what was wrong."""

    name: str
    seed: int
    seconds: float
    runs: int = 0
    requests: int = 0
    effective: int = 0
    rows: int = 0
    takeovers: int = 0
    """How often a run went on elsewhere because its worker had died, or was taken for dead."""
    faults: dict[str, int] = field(default_factory=dict[str, int])
    problems: list[str] = field(default_factory=list[str])

    def describe(self) -> str:
        faults = ", ".join(f"{count} x {name}" for name, count in sorted(self.faults.items()))
        return (
            f"{self.name}, seed {self.seed}, {self.seconds:g} s: {self.runs} runs, {self.rows} journal rows, {self.requests} requests "
            f"with {self.effective} effects, {self.takeovers} takeovers; {sum(self.faults.values())} faults ({faults}); {len(self.problems)} problems"
        )


@contextmanager
def open_servers(name: str) -> Generator[tuple[OwnPostgres | OwnMariadb, OwnRedis | OwnRabbitmq]]:
    """A database and a broker of its own, which may be broken at will."""
    database = OwnPostgres.make() if name == SETS[0] else OwnMariadb.make()
    try:
        broker = OwnRedis.make() if name == SETS[0] else OwnRabbitmq.make()
        try:
            yield database, broker
        finally:
            broker.close()
    finally:
        database.close()


def run_soak(name: str, folder: Path, seconds: float, seed: int, tell: Callable[[str], Any] = lambda line: None) -> Report:
    """Torments a cluster for so long, lets it recover, and looks whether everything is as it must be. `tell` hears of the progress."""
    site = folder / "site"
    install(site)
    with open_servers(name) as (database, broker), open_tcp_proxy(database.port) as proxy, open_nursery([site]) as nursery:
        templates = Templates("postgres" if isinstance(database, OwnPostgres) else "mysql", database.port)
        made = templates.clone()
        url, direct_url = templates.url(made, proxy.port), templates.url(made)
        with open_cluster(folder / "cluster", nursery, url, direct_url=direct_url, broker_url=broker.url(), **POLICY) as cluster:
            pause_s = (0.5, 2.5) if seconds < 120 else (1.0, 5.0)
            nemesis = Nemesis(cluster, Random(seed), database, broker, proxy, pause_s)
            load = Load(cluster, Random(seed + 1))
            return _torment(Report(name, seed, seconds), load, nemesis, tell)


def _torment(report: Report, load: Load, nemesis: Nemesis, tell: Callable[[str], Any]) -> Report:
    cluster = load.cluster
    load.prepare()
    nemesis.prepare()
    cluster.until_workers(1)
    cluster.world.fail_ratio = FAIL_RATIO
    begun_s = time.monotonic()
    told_s = begun_s
    while (now_s := time.monotonic()) < begun_s + report.seconds:
        load.step(now_s)
        fault = nemesis.step(now_s)
        if fault:
            tell(f"{now_s - begun_s:6.1f} s  {fault}")
        if now_s > told_s + _TELL_S:
            told_s = now_s
            faults = sum(nemesis.counts.values())
            tell(
                f"{now_s - begun_s:6.1f} s  {len(load.runs)} runs, {load.count_open()} open, {len(cluster.world.received)} requests, {faults} faults"
            )
        time.sleep(_TICK_S)
    tell("healing")
    heal(load, nemesis)
    _drain(report, load)
    tell("checking")
    report.faults = dict(nemesis.counts)
    _inspect(report, load)
    return report


def heal(load: Load, nemesis: Nemesis) -> None:
    """Everything works again, and everything that runs wait for is told."""
    nemesis.heal()
    load.cluster.world.fail_ratio = 0.0
    load.finish()


def _drain(report: Report, load: Load) -> None:
    """Waits until every run has ended and nothing is left to be sent."""
    cluster = load.cluster
    left = {
        "runs": "SELECT count(*) FROM runs WHERE finished_at IS NULL",
        "jobs": "SELECT count(*) FROM jobs",
        "events for the outside": "SELECT count(*) FROM outbox WHERE published_at IS NULL AND dead_at IS NULL",
    }
    deadline_s = time.monotonic() + DRAIN_S
    while any(cluster.value(statement) for statement in left.values()):
        if time.monotonic() > deadline_s:
            counts = {name: cluster.value(statement) for name, statement in left.items()}
            report.problems.append(f"{DRAIN_S:g} s after the last fault there are {counts}: {cluster.tell()}")
            return
        time.sleep(0.1)


def _inspect(report: Report, load: Load) -> None:
    cluster: Cluster = load.cluster
    database = read(cluster.direct_url)
    received = list(cluster.world.received)
    report.runs, report.requests = len(load.runs), len(received)
    report.effective = len(cluster.world.deliveries)
    report.rows = sum(len(history.seqs) for history in database.histories)
    report.takeovers = sum(
        entry.event.get("why") == "expired"
        for history in database.histories
        for entry in history.entries
        if entry.type == "run.claimed"
    )
    report.problems += find_violations(cluster, database)
    report.problems += load.judge(database)
    try:
        assert_histories_follow(database, cluster.client.installation.registry)
    except AssertionError as fault:
        report.problems.append(f"I5: a journal does not give its row: {fault}")


def find_violations(cluster: Cluster, database: Database) -> list[str]:
    """The checker's findings, with all that the world and the clients know."""
    witnesses = Witnesses(
        requests=number_requests(list(cluster.world.received)),
        served=SERVED,
        acknowledged=[each for client in cluster.clients for each in client.acknowledged],
        now_ms=time.time_ns() // 1_000_000,
        expiry_ms=int(EXPIRY_S * 1_000),
        poison_limit=int(POLICY["LIMIT_POISON_LIMIT"]),
        tells_outside=True,
    )
    return [f"{fault.invariant} {fault.run}: {fault.message}" for fault in check_database(database, witnesses)]
