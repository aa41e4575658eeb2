"""A cluster in processes: a database, a broker, workers and schedulers as an operator starts them, and a world that counts what reaches it.

Each process has a data folder of its own, as on a machine of its own; the object store and the encryption key are shared. Periods are
short. `Client` is any program with the database's URL: it starts runs and sends messages, and remembers what was acknowledged.
"""

import asyncio
import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import orjson
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from tests.support import fault_operations
from tests.support.checker import Acknowledged, Request, Witnesses, check_database
from tests.support.history import Database, driver_url, read
from tests.support.nursery import Child, Nursery
from tests.support.servers import EffectServer, Misbehaviour, Received, serve_in_thread
from tests.support.soundness import assert_histories_follow

from flowforge.engine.births import StartRequest, check_start, make_root
from flowforge.engine.events import PinnedVersion
from flowforge.engine.outbox_events import list_birth_events
from flowforge.engine.store import Delivery, NewMail, NewRun, Turn, Verdict
from flowforge.entrypoints.cli.starting import pin_target
from flowforge.entrypoints.wiring import Installation, open_installation
from flowforge.kit.border import encode, encode_canonical
from flowforge.kit.errors import StorageError
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.kit.settings_source import load_settings
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.graph import Workflow
from flowforge.language.reading.document_reader import DocumentFormat
from flowforge.language.times import format_timestamp_ms
from flowforge.workflows.service import prepare_publication, publish, push_draft
from flowforge.workflows.types import Source

EXPIRY_S: Final = 1.5
SHORT: Final = {
    "BEAT": "300ms",
    "EXPIRY": "1500ms",
    "POLL": "100ms",
    "SWEEP": "100ms",
    "OUTBOX_POLL": "100ms",
    "SHUTDOWN_GRACE": "5s",
    "EGRESS_ALLOW": "127.0.0.1",
    "EGRESS_LIMITS": "127.0.0.1=500",
    "ENCRYPTION_KEY": "5b1c" + "0123456789abcdef" * 3 + "9e07d2f4a638",
}
"""Settings of every process; a test changes single ones."""
_CLIENT_EXPIRY_MS: Final = 3_600_000
PATIENCE_S: Final = 30.0
_BATCH: Final = 200


class Gate:
    """Requests that wait, in the server's thread, until the test opens it or their client goes away."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self.abandoned = 0
        """How many clients went away."""

    def open(self) -> None:
        self._open.set()

    async def hold(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        leaving = asyncio.ensure_future(reader.read(1))
        while not self._open.is_set() and not leaving.done():
            await asyncio.sleep(0.005)
        if leaving.done():
            self.abandoned += 1
            return
        leaving.cancel()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@dataclass(frozen=True, slots=True)
class Definition:
    pinned: PinnedVersion
    workflow: Workflow


@dataclass(frozen=True, slots=True)
class RunRef:
    no: int
    id: str


class Client:
    """Starts runs and sends messages over a store of its own. Where the database cannot be used it tries again, as a caller would."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        environment = {f"FLOWFORGE_{name}": value for name, value in settings.items()}
        self.installation: Installation = open_installation(load_settings(environment, data=folder))
        self.installation.registry.register_module(fault_operations, "the tests")
        self.acknowledged: list[Acknowledged] = []
        self._worker: int | None = None
        self._counter = 0
        self._sent: set[tuple[str, str]] = set()

    def define(self, document: str) -> Definition:
        """Keeps a document; the run is of no workflow then."""
        checked = self.installation.check_source(Source(document.encode(), DocumentFormat.YAML))
        assert checked.workflow is not None, checked.errors
        workflow = checked.workflow
        self.installation.store.define(workflow.digest, encode_canonical(workflow.document))
        pinned = PinnedVersion(id=f"adhoc_{workflow.digest}", name=workflow.name, version=None, digest=workflow.digest)
        return Definition(pinned, workflow)

    def publish(self, document: str) -> Definition:
        """Publishes a workflow, or its next version, as `workflows push` and `publish` do."""
        return asyncio.run(self._publish(document))

    async def _publish(self, document: str) -> Definition:
        check, at_ms = self.installation.check_source, self.installation.clock.now_ms()
        name = self.define(document).workflow.name
        try:
            sessions = self.installation.database.write
            async with sessions.begin() as session:
                source = Source(document.encode(), DocumentFormat.YAML)
                await push_draft(session, "user:tester", DEFAULT_WORKSPACE_ID, source, check=check, at_ms=at_ms)
            async with self.installation.database.read() as session:
                publication = await prepare_publication(session, DEFAULT_WORKSPACE_ID, name, check=check)
            self.installation.store.define(publication.digest, publication.definition)
            async with sessions.begin() as session:
                await publish(session, "user:tester", DEFAULT_WORKSPACE_ID, publication, note="", at_ms=at_ms)
            pinned = await pin_target(self.installation, name, None)
        finally:
            await self.installation.database.close()
            del self.installation.__dict__["database"]  # its connections belong to this loop
        return Definition(pinned.version, pinned.workflow)

    def start(
        self,
        definition: Definition,
        value: JsonObject | None = None,
        *,
        workspace: str = DEFAULT_WORKSPACE_ID,
        priority: int = 5,
        dedup: str | None = None,
    ) -> RunRef:
        """Starts a run and returns when that was acknowledged."""
        checked: JsonValue = check_start(definition.workflow, value or {}, self.installation.registry)
        request = StartRequest(workspace, definition.pinned, checked, "user:tester", priority=priority, dedup=dedup)
        return self.persist(lambda: self._start(request, definition.workflow))

    def _start(self, request: StartRequest, workflow: Workflow) -> RunRef:
        turn = self._make_birth(request, workflow)
        birth = cast("NewRun", turn.start)
        [result] = self.persist(lambda: self.installation.store.commit([turn]))
        run = RunRef(result.run_no or birth.no, result.run_id or birth.id)
        assert result.verdict in {Verdict.DONE, Verdict.QUEUED, Verdict.DUPLICATE}, result
        self.acknowledged.append(Acknowledged(run.id, "start"))
        return run

    def _make_birth(self, request: StartRequest, workflow: Workflow) -> Turn:
        store = self.installation.store
        if self._worker is None:
            self._worker = store.register("client", _CLIENT_EXPIRY_MS)
        self._counter += 1
        no, run_id, at = (self._worker << 32) | self._counter, self.installation.ids.make_id("run"), store.now_ms()
        birth = make_root(request, workflow, {}, no=no, run_id=run_id, at=at)
        told = list_birth_events(birth.started, at)
        return Turn(run_no=no, epoch=0, at=at, seq=2, body=b"", events=0, start=birth.new_run, outbox=told)

    def start_many(self, definition: Definition, count: int, value: JsonObject | None = None) -> list[RunRef]:
        """As `start` that many times, some hundred in a transaction."""
        checked: JsonValue = check_start(definition.workflow, value or {}, self.installation.registry)
        request = StartRequest(DEFAULT_WORKSPACE_ID, definition.pinned, checked, "user:tester")
        turns = [self._make_birth(request, definition.workflow) for _ in range(count)]
        for first in range(0, count, _BATCH):
            batch = turns[first : first + _BATCH]
            results = self.persist(lambda batch=batch: self.installation.store.commit(batch))
            assert {result.verdict for result in results} <= {Verdict.DONE, Verdict.QUEUED}
        births = [cast("NewRun", turn.start) for turn in turns]
        self.acknowledged += [Acknowledged(birth.id, "start") for birth in births]
        return [RunRef(birth.no, birth.id) for birth in births]

    def time_from_now(self, wait_ms: int) -> str:
        """A time by the database's clock, as documents write it."""
        return format_timestamp_ms(self.installation.store.now_ms() + wait_ms)

    def send(
        self, run: RunRef, kind: str, *, dedup: str | None = None, patience_s: float = PATIENCE_S, **body: JsonValue
    ) -> Delivery:
        """Delivers a message; returns what became of it."""
        mail = NewMail(run.no, kind, encode(dict(body)), "user:tester", dedup)
        [answer] = self.persist(lambda: self.installation.store.deliver([mail]), patience_s)
        is_known = dedup is not None and (run.id, dedup) in self._sent
        if answer is Delivery.DELIVERED or (answer is Delivery.DUPLICATE and not is_known):
            self.acknowledged.append(Acknowledged(run.id, kind))
        if dedup is not None:
            self._sent.add((run.id, dedup))
        return answer

    def signal(
        self, run: RunRef, name: str, payload: JsonValue = None, *, dedup: str | None = None, patience_s: float = PATIENCE_S
    ) -> Delivery:
        return self.send(run, "signal", dedup=dedup, patience_s=patience_s, name=name, key=None, payload=payload)

    def persist(self, act: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
        """Tries until the database takes it."""
        deadline_s = time.monotonic() + patience_s
        while True:
            try:
                return act()
            except StorageError:
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(0.1)

    def close(self) -> None:
        self.installation.close()


@dataclass
class Cluster:
    """See the module. `url`: of the database, as processes get it; `direct_url`: past any proxy."""

    folder: Path
    nursery: Nursery
    world: EffectServer
    url: str
    direct_url: str
    broker_url: str | None = None
    settings: dict[str, str] = field(default_factory=dict[str, str])
    processes: list[Child] = field(default_factory=list[Child])
    clients: list[Client] = field(default_factory=list[Client])
    _engine: Engine | None = None

    def settings_for(self, name: str, changes: Mapping[str, str]) -> dict[str, str]:
        shared = {"DATABASE_URL": self.url, "OBJECT_STORE_URL": f"file://{self.folder}/objects"}
        broker = {} if self.broker_url is None else {"BROKER_URL": self.broker_url}
        return {**SHORT, **shared, **broker, **self.settings, "DATA": str(self.folder / name), **changes}

    @property
    def client(self) -> Client:
        """The first one."""
        return self.clients[0] if self.clients else self.add_client()

    def add_client(self) -> Client:
        """Another one, for another thread."""
        name = f"client{len(self.clients)}"
        self.clients.append(Client(self.folder / name, self.settings_for(name, {"DATABASE_URL": self.direct_url})))
        return self.clients[-1]

    def add(self, *arguments: str, name: str = "", environment: Mapping[str, str] | None = None, **changes: str) -> Child:
        """Starts `flowforge ARGUMENTS` on a machine of its own (`name`). `changes`: settings without their prefix."""
        name = name or f"{arguments[0]}{len(self.processes)}"
        settings = {f"FLOWFORGE_{key}": value for key, value in self.settings_for(name, changes).items()}
        system = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": str(self.folder)}
        log = self.folder / f"{name}.out"
        child = self.nursery.spawn(arguments, {**system, **settings, **(environment or {})}, self.folder, log)
        self.processes.append(child)
        return child

    def add_worker(self, queues: str = "default,heavy", **options: Any) -> Child:
        return self.add("worker", "--queues", queues, **options)

    def add_scheduler(self, **options: Any) -> Child:
        return self.add("scheduler", **options)

    def command(self, *arguments: str, exit_code: int = 0, **changes: str) -> list[JsonObject]:
        """A command to its end, with its JSON lines."""
        log = self.folder / f"command{len(self.processes)}.out"
        child = self.add("--json", *arguments, name=log.stem, environment=None, **changes)
        assert child.wait() == exit_code, child.tail()
        lines = [line for line in log.read_text().splitlines() if line.startswith(("{", "["))]
        return [json.loads(line) for line in lines]

    def rows(self, statement: str, **values: object) -> list[tuple[Any, ...]]:
        """What the database says, past any proxy; asked again while it cannot answer."""
        if self._engine is None:
            self._engine = create_engine(driver_url(self.direct_url), isolation_level="AUTOCOMMIT", pool_pre_ping=True)
        engine, deadline_s = self._engine, time.monotonic() + PATIENCE_S
        while True:
            try:
                with engine.connect() as connection:
                    return [tuple(row) for row in connection.execute(text(statement), values)]
            except SQLAlchemyError:
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(0.1)

    def value(self, statement: str, **values: object) -> Any:
        return self.rows(statement, **values)[0][0]

    def status(self, run: RunRef) -> str:
        return self.value("SELECT status FROM runs WHERE no = :no", no=run.no)

    def row(self, run: RunRef) -> tuple[str, int, int]:
        """Status, epoch, crashes."""
        return self.rows("SELECT status, epoch, crashes FROM runs WHERE no = :no", no=run.no)[0]

    def events(self, run: RunRef) -> list[JsonObject]:
        bodies = self.rows("SELECT body FROM journal WHERE run_no = :no ORDER BY seq", no=run.no)
        return [event for (body,) in bodies for event in orjson.loads(body)]

    def of(self, run: RunRef, kind: str, step: str | None = None) -> list[JsonObject]:
        """Its events of a type, of one step if it is named."""
        found = [event for event in self.events(run) if event["type"] == kind]
        return found if step is None else [event for event in found if event["step"] == step]

    def until(self, condition: Callable[[], bool], what: str, timeout_s: float = PATIENCE_S) -> None:
        """Waits until something is so; `what` is what it was not, for the message."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline_s, f"{what}: {self.tell()}"
            time.sleep(0.03)

    def until_ended(self, runs: Collection[RunRef], timeout_s: float = PATIENCE_S) -> Counter[str]:
        """Waits until each of them has ended; how many ended how."""
        wanted = {run.no for run in runs}
        deadline_s = time.monotonic() + timeout_s
        while True:
            ended = {
                no: status
                for no, status in self.rows("SELECT no, status FROM runs WHERE finished_at IS NOT NULL")
                if no in wanted
            }
            if len(ended) == len(wanted):
                return Counter(ended.values())
            assert time.monotonic() < deadline_s, f"{len(wanted) - len(ended)} of {len(wanted)} runs go on: {self.tell()}"
            time.sleep(0.03)

    def until_status(self, run: RunRef, status: str, timeout_s: float = PATIENCE_S) -> None:
        deadline_s = time.monotonic() + timeout_s
        while (found := self.status(run)) != status:
            assert time.monotonic() < deadline_s, f"the run is {found}, not {status}: {self.tell()}"
            time.sleep(0.03)

    def until_requests(self, path: str, count: int = 1, timeout_s: float = PATIENCE_S) -> None:
        deadline_s = time.monotonic() + timeout_s
        while len(self.requests(path)) < count:
            assert time.monotonic() < deadline_s, f"{len(self.requests(path))} of {count} requests for {path}: {self.tell()}"
            time.sleep(0.01)

    def requests(self, path: str) -> list[Received]:
        return [request for request in list(self.world.received) if request.path == path]

    def keys(self, path: str) -> set[str]:
        return {request.headers["idempotency-key"] for request in self.requests(path)}

    def gate(self, path: str) -> Gate:
        """Requests for this path wait until the gate is opened."""
        gate = Gate()
        self.world.on(path, Misbehaviour(gate.hold))
        return gate

    def workers(self) -> int:
        """How many workers have registered and are not marked dead."""
        return self.value("SELECT count(*) FROM workers WHERE dead = 0 AND role = 'worker' AND name <> 'client'")

    def until_workers(self, count: int = 1) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while self.workers() < count:
            assert time.monotonic() < deadline_s, f"{self.workers()} of {count} workers have registered: {self.tell()}"
            time.sleep(0.02)

    def tell(self) -> str:
        """What is known of open runs and of every process, for a failure's message."""
        open_runs = self.rows("SELECT id, status, owner, epoch, crashes FROM runs WHERE finished_at IS NULL LIMIT 5")
        jobs = self.rows("SELECT run_no, status, owner, queue FROM jobs LIMIT 5")
        queue = self.rows("SELECT run_no, cause, due_at FROM queue LIMIT 5")
        logs = [
            f"--- {child.log.name} ({child.code}): {child.tail(1_500)}\n{self._log_of(child)}" for child in self.processes[-6:]
        ]
        return f"open runs {open_runs}, jobs {jobs}, queue {queue}\n" + "\n".join(logs)

    def _log_of(self, child: Child) -> str:
        found = sorted((self.folder / child.log.stem).glob("logs/*.log"))
        return "\n".join(path.read_text(errors="replace")[-2_500:] for path in found)

    def logs(self, child: Child) -> str:
        """Everything a process has said, to its log and to its folder."""
        found = sorted((self.folder / child.log.stem).glob("logs/*.log"))
        return "".join(path.read_text(errors="replace") for path in [child.log, *found] if path.exists())

    def check(
        self, *, served: Collection[str] = (), open_runs: Collection[RunRef] = (), is_healed: bool = True, **facts: Any
    ) -> Database:
        """The three witnesses against each other; F78 for every run that has ended. Returns what was read."""
        database = read(self.direct_url)
        witnesses = Witnesses(
            requests=number_requests(list(self.world.received)),
            served=served,
            acknowledged=[each for client in self.clients for each in client.acknowledged],
            open_runs={run.id for run in open_runs},
            now_ms=time.time_ns() // 1_000_000 if is_healed else None,
            expiry_ms=int(EXPIRY_S * 1_000),
            **facts,
        )
        faults = check_database(database, witnesses)
        assert not faults, "\n".join(f"{fault.invariant} {fault.run}: {fault.message}" for fault in faults[:20])
        assert_histories_follow(database, self.client.installation.registry)
        return database

    def stop(self, *processes: Child) -> None:
        """SIGTERM, and waits for the end, which must be a good one."""
        for process in processes:
            process.send(signal.SIGTERM)
        for process in processes:
            assert process.wait() == 0, process.tail()

    def close(self) -> None:
        for process in self.processes:
            if process.is_alive:
                process.send(signal.SIGCONT)
                process.kill()
        for client in self.clients:
            client.close()
        if self._engine is not None:
            self._engine.dispose()


def number_requests(received: Sequence[Received]) -> list[Request]:
    """The attempt is no header of ours: the n-th request of a key cannot be an earlier attempt than the n-th."""
    seen: Counter[str] = Counter()
    requests: list[Request] = []
    for request in received:
        key = request.headers.get("idempotency-key")
        if key is not None:
            seen[key] += 1
            requests.append(Request(key, seen[key], request.at_ms))
    return requests


@contextmanager
def open_cluster(
    folder: Path, nursery: Nursery, url: str, *, direct_url: str | None = None, broker_url: str | None = None, **settings: str
) -> Generator[Cluster]:
    """A cluster without processes yet; at the end they are killed."""
    (folder / "objects").mkdir(parents=True, exist_ok=True)
    with serve_in_thread() as world:
        cluster = Cluster(folder, nursery, world, url, direct_url or url, broker_url, dict(settings))
        try:
            yield cluster
        finally:
            cluster.close()


def make_effects(world: EffectServer, *names: str, **extra: str) -> str:
    """Steps of a document, one behind the other, each a request to its own path (`/name`). `extra`: further fields of a step, by name."""
    return "".join(
        f'- {{id: {name}, uses: http.request, with: {{url: "{world.url}/{name}"}}{", " + extra[name] if name in extra else ""}}}\n'
        for name in names
    )


def read_children(pid: int) -> Iterator[int]:
    """The processes that a process has started and that live."""
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        yield from (int(child) for child in path.read_text().split())
