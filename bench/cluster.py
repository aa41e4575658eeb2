"""W8 and its company: workers in processes of their own on one PostgreSQL, woken through a Redis."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import median
from typing import Final, cast

import orjson
import psycopg
from pydantic import SecretStr

from bench.documents import sequence
from bench.engine_adapter import WORKSPACE
from bench.operations import EFFECT, HANG, TELL, effect, hang, install, tell
from flowforge.engine.births import StartRequest, make_root
from flowforge.engine.events import PinnedVersion
from flowforge.engine.ports import RUN_QUEUE
from flowforge.engine.store import ClaimRequest, Turn, WorkerFacts
from flowforge.entrypoints.wiring import Installation, open_installation
from flowforge.kit.border import encode
from flowforge.kit.database.schema import upgrade_database
from flowforge.kit.database.url import parse_database_url
from flowforge.kit.settings import Settings
from flowforge.kit.values import JsonObject
from flowforge.language.compiler import compile_document
from flowforge.language.graph import Workflow

ROOT: Final = Path(__file__).parents[1]
EXPIRY_S: Final = 3.0
_SETTINGS: Final = {"BEAT": "1s", "EXPIRY": "3s", "LOG_LEVEL": "warning"}
_KEY: Final = "5b1c" + "0123456789abcdef" * 3 + "9e07d2f4a638"
_BATCH: Final = 200
_LOOK_S: Final = 0.005
_PATIENCE_S: Final = 300.0
_WARM_RUNS: Final = 50
_TICK_US: Final = 1_000_000 / os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Cluster:
    """The processes, and a client that puts runs into the queue."""

    folder: Path
    database_url: str
    broker_url: str
    installation: Installation
    worker_no: int
    numbers: "count[int]" = field(default_factory=lambda: count(1))
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list["subprocess.Popen[bytes]"])

    def start_role(self, *words: str) -> "subprocess.Popen[bytes]":
        """`flowforge worker` or `flowforge scheduler`, as an operator starts it."""
        name = f"{words[0]}-{len(self.processes)}"
        own = {
            **_SETTINGS,
            "DATA": str(self.folder / name),
            "DATABASE_URL": self.database_url,
            "BROKER_URL": self.broker_url,
            "ENCRYPTION_KEY": _KEY,
        }
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{self.folder / 'site'}:{ROOT}"}
        environment |= {f"FLOWFORGE_{setting}": value for setting, value in own.items()}
        command = [Path(sys.executable).with_name("flowforge"), *words]
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=log)
        self.processes.append(process)
        return process

    def start_workers(self, amount: int) -> list["subprocess.Popen[bytes]"]:
        """Workers for runs, up and warm: each has carried some."""
        workers = [self.start_role("worker", "--queues", RUN_QUEUE) for _ in range(amount)]
        self._wait("SELECT count(*) FROM workers WHERE dead=0 AND role='worker'", amount)
        pinned, workflow = self.define(sequence("warm", 1, EFFECT))
        self.queue(pinned, workflow, _WARM_RUNS * amount)
        self.wait_for_end()
        return workers

    def stop(self, processes: Sequence["subprocess.Popen[bytes]"]) -> None:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait(timeout=60)

    def define(self, document: JsonObject) -> tuple[PinnedVersion, Workflow]:
        """Compiles and stores a document."""
        workflow = compile_document(document, self.installation.registry, self.installation.settings.limits).workflow
        assert workflow is not None
        self.installation.store.define(workflow.digest, encode(workflow.document))
        return {"id": f"wf_{workflow.name}", "name": workflow.name, "version": 1, "digest": workflow.digest}, workflow

    def queue(self, pinned: PinnedVersion, workflow: Workflow, amount: int) -> list[int]:
        """Starts that many runs, owned by nobody, and rings; their numbers."""
        nos: list[int] = []
        for first in range(0, amount, _BATCH):
            turns = [self._birth(pinned, workflow) for _ in range(min(_BATCH, amount - first))]
            self.installation.store.commit(turns)
            self.installation.doorbell.ring(RUN_QUEUE, turns[0].run_no, 0)
            nos += [turn.run_no for turn in turns]
        return nos

    def _birth(self, pinned: PinnedVersion, workflow: Workflow) -> Turn:
        number = self.worker_no << 32 | next(self.numbers)
        request = StartRequest(WORKSPACE, pinned, {}, "bench", {"kind": "manual"})
        at_ms, run_id = self.installation.clock.now_ms(), self.installation.ids.make_id("run")
        birth = make_root(request, workflow, {}, no=number, run_id=run_id, at=at_ms)
        return Turn(run_no=number, epoch=0, at=at_ms, seq=2, body=b"", events=0, start=birth.new_run)

    def wait_for_end(self) -> None:
        """Returns within 5 ms of the end of the last run."""
        self._wait("SELECT count(*) FROM runs WHERE finished_at IS NULL", 0)

    def _wait(self, question: str, wanted: int) -> None:
        begun_s = time.monotonic()
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            while True:
                row = connection.execute(question.encode()).fetchone()
                assert row is not None
                if row[0] == wanted:
                    return
                if time.monotonic() - begun_s > _PATIENCE_S or any(process.poll() for process in self.processes):
                    raise SystemExit(
                        f"The cluster of the bench stands still, or a process of it died; see the logs in {self.folder}."
                    )
                time.sleep(_LOOK_S)

    def read_moment_ns(self, run_no: int) -> int:
        """What the last step of a run told (`bench.tell`)."""
        events = [event for row in self.installation.store.load(run_no) for event in orjson.loads(row.body)]
        return next(cast("int", event["output"]["at_ns"]) for event in events if event["type"] == "step.completed")

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        asyncio.run(self.installation.aclose())


@contextmanager
def open_cluster(folder: Path, database_url: str, broker_url: str) -> Generator[Cluster]:
    """A cluster without workers on a fresh database."""
    install(folder / "site")
    upgrade_database(parse_database_url(database_url))
    settings = Settings(
        data=folder / "client",
        database_url=SecretStr(database_url),
        broker_url=SecretStr(broker_url),
        encryption_key=SecretStr(_KEY),
    )
    installation = open_installation(settings)
    for one in (effect, tell, hang):
        installation.registry.register(one)
    worker = installation.store.register("bench", 3_600_000, WorkerFacts(role="command"))
    cluster = Cluster(folder, database_url, broker_url, installation, worker)
    try:
        yield cluster
    finally:
        cluster.close()


@dataclass(frozen=True, slots=True)
class Throughput:
    """`cpu_us`: processor time of all workers for each step, the database's not counted."""

    steps_per_s: float
    cpu_us: float


def measure_throughput(cluster: Cluster, workers: int, runs: int, steps: int) -> Throughput:
    """W8: from the first start to the end of the last run."""
    processes = cluster.start_workers(workers)
    pinned, workflow = cluster.define(sequence("durable", steps, EFFECT))
    spent_us = _read_cpu_us(processes)
    begun = time.perf_counter()
    cluster.queue(pinned, workflow, runs)
    cluster.wait_for_end()
    took_s = time.perf_counter() - begun
    spent_us = _read_cpu_us(processes) - spent_us
    cluster.stop(processes)
    return Throughput(runs * steps / took_s, spent_us / (runs * steps))


def _read_cpu_us(processes: Sequence["subprocess.Popen[bytes]"]) -> float:
    """User and system time of the processes so far, their dead children's left out (Linux)."""
    total = 0
    for process in processes:
        fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total * _TICK_US


def measure_latency_ms(cluster: Cluster, probes: int) -> float:
    """p50 from a start in this process (its commit included) to the first step in an idle worker, which hears of it through Redis."""
    workers = cluster.start_workers(1)
    pinned, workflow = cluster.define(sequence("first", 1, TELL))
    took_ms: list[float] = []
    for _ in range(probes):
        begun_ns = time.monotonic_ns()
        (run_no,) = cluster.queue(pinned, workflow, 1)
        cluster.wait_for_end()
        took_ms.append((cluster.read_moment_ns(run_no) - begun_ns) / 1e6)
        time.sleep(0.02)
    cluster.stop(workers)
    return median(took_ms)


def measure_take_over_s(cluster: Cluster, runs: int) -> float:
    """Seconds from the kill of a worker until the last of its runs has begun its step again elsewhere, less EXPIRY."""
    scheduler = cluster.start_role("scheduler")
    doomed = cluster.start_workers(1)
    pinned, workflow = cluster.define(sequence("hanging", 1, HANG))
    run_nos = cluster.queue(pinned, workflow, runs)
    time.sleep(1)
    heirs = [cluster.start_role("worker", "--queues", RUN_QUEUE)]
    time.sleep(2)
    killed_ns = time.monotonic_ns()
    doomed[0].kill()
    doomed[0].wait()
    cluster.processes.remove(doomed[0])
    cluster.wait_for_end()
    last_ns = max(cluster.read_moment_ns(run_no) for run_no in run_nos)
    cluster.stop([*heirs, scheduler])
    return (last_ns - killed_ns) / 1e9 - EXPIRY_S


def measure_claims(cluster: Cluster, few: int, many: int) -> float:
    """A claim with `many` runs in the queue ÷ one with `few`; each takes ten."""
    pinned, workflow = cluster.define(sequence("queued", 1, EFFECT))
    cluster.queue(pinned, workflow, few)
    small_s = _time_claims(cluster)
    cluster.queue(pinned, workflow, many - few)
    return _time_claims(cluster) / small_s


def _time_claims(cluster: Cluster) -> float:
    """Median of twenty claims, in seconds."""
    took_s: list[float] = []
    for _ in range(20):
        begun = time.perf_counter()
        claimed = cluster.installation.store.claim(ClaimRequest(cluster.worker_no, 10))
        took_s.append(time.perf_counter() - begun)
        assert len(claimed) == 10
    return median(took_s)
