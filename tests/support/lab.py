"""An engine on a database of its own, for tests: start workflows given as text, watch them, break things, go on."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, cast

import orjson
from tests.support import world
from tests.support.world import EffectBook

from flowforge.engine.births import StartRequest
from flowforge.engine.events import Event, PinnedVersion
from flowforge.engine.executor import Engine, EngineParts, EngineSettings, Started
from flowforge.engine.executor.liveness import WorkerLocks
from flowforge.engine.executor.settling import settle
from flowforge.engine.ports import LinkRun
from flowforge.engine.sqlite.store import SqliteStore
from flowforge.engine.store import NewMail, Store
from flowforge.kit.border import digest_value, encode, encode_canonical
from flowforge.kit.clock import Clock, SystemClock
from flowforge.kit.database.schema import upgrade_database
from flowforge.kit.database.url import name_sqlite
from flowforge.kit.errors import Detail, NotFoundError, ValidationError
from flowforge.kit.ids import IdSource
from flowforge.kit.masking import Masker
from flowforge.kit.objects import ObjectStore
from flowforge.kit.telemetry.metrics import Metrics
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.compiler import compile_document
from flowforge.operations.registry import Registry

WORKSPACE: Final = "ws_" + "0" * 26

QUICK: Final = EngineSettings(name="lab", beat_ms=200, expiry_ms=1_000, poll_ms=50, linger_ms=300, abort_grace_ms=300)
"""Periods short enough for tests."""


@dataclass
class Shelf:
    """Versions and vault of the lab: definitions by name, secrets and variables by name."""

    store: Store
    pinned: dict[tuple[str, int | None], PinnedVersion] = field(default_factory=dict[tuple[str, int | None], PinnedVersion])
    secrets: dict[str, str] = field(default_factory=dict[str, str])
    variables: JsonObject = field(default_factory=dict[str, JsonValue])

    async def resolve(self, workspace_id: str, name: str, version: int | None) -> PinnedVersion:
        found = self.pinned.get((name, version))
        if found is None:
            raise NotFoundError(f"There is no workflow {name} in {workspace_id}.")
        return found

    async def resolve_secrets(self, workspace_id: str, names: Sequence[str], target_host: str | None) -> Mapping[str, str]:
        missing = [name for name in names if name not in self.secrets]
        if missing:
            message = f"The secret {missing[0]} is not set in {workspace_id} (for {target_host})."
            raise ValidationError(message, [Detail("", message, "secret_missing")])
        return {name: self.secrets[name] for name in names}

    async def read_variables(self, workspace_id: str, names: Sequence[str]) -> JsonObject:
        assert workspace_id == WORKSPACE
        return {name: self.variables[name] for name in names if name in self.variables}


class ShiftedClock:
    """The machine's clock with its wall time moved on by a test; what waits in the database for a time then comes at once."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self._shift_ms = 0

    def now_ms(self) -> int:
        return self._clock.now_ms() + self._shift_ms

    def monotonic_s(self) -> float:
        return self._clock.monotonic_s()

    def advance(self, duration_ms: int) -> None:
        self._shift_ms += duration_ms


def make_registry() -> Registry:
    """The operations of the test world."""
    registry = Registry()
    registry.register_module(world, "the tests")
    return registry


class Lab:
    """One data folder and the engines on it, one after another. The outside world (`book`) outlives them."""

    def __init__(
        self,
        folder: Path,
        settings: EngineSettings = QUICK,
        clock: Clock | None = None,
        services: Mapping[type, object] | None = None,
        objects: ObjectStore | None = None,
    ) -> None:
        self.folder = folder
        self.services = services or {}
        self.settings = settings
        self.clock = clock or ShiftedClock()
        self.objects = objects or ObjectStore(folder / "files", IdSource(self.clock))
        self.rivals: list[tuple[Engine, Store]] = []
        self.database = folder / "flowforge.db"
        self.book = EffectBook(folder / "effects.jsonl", clock=self.clock)
        self.registry = make_registry()
        self.masker = Masker()
        self.metrics = Metrics()
        upgrade_database(name_sqlite(self.database))
        self.store: Store = self.open_store()
        self.shelf = Shelf(self.store)
        self.engine = self.make_engine()

    def open_store(self) -> SqliteStore:
        return SqliteStore(self.database, self.clock, lambda: 0.5)

    def make_engine(self, **changes: Any) -> Engine:
        """Another engine on the same database; `changes` to its settings."""
        self.shelf.store = self.store
        return self._make_engine(self.store, self.book, **changes)

    async def open_rival(self, **changes: Any) -> Engine:
        """A second worker beside the first, as another process would have it: its own connection, and no gates in its world."""
        store = self.open_store()
        rival = self._make_engine(store, EffectBook(self.book.path, clock=self.clock), **changes)
        await rival.open()
        self.rivals.append((rival, store))
        return rival

    def advance(self, duration_ms: int) -> None:
        """Moves the wall clock on."""
        assert isinstance(self.clock, ShiftedClock)
        self.clock.advance(duration_ms)

    def _make_engine(self, store: Store, book: EffectBook, **changes: Any) -> Engine:
        parts = EngineParts(
            store=store,
            registry=self.registry,
            versions=self.shelf,
            vault=self.shelf,
            objects=self.objects,
            clock=self.clock,
            metrics=self.metrics,
            masker=self.masker,
            services={EffectBook: book, **self.services},
            locks=WorkerLocks(self.folder / "run"),
            heavy_loader="tests.support.heavy_operations:load",
        )
        return Engine(parts, replace(self.settings, **changes))

    def define(self, document: str | JsonObject, version: int | None = 1) -> PinnedVersion:
        """Keeps a definition, callable by its name."""
        compilation = compile_document(document, self.registry, self.settings.limits)
        assert compilation.workflow is not None, [f"{fault.field}: {fault.message}" for fault in compilation.errors]
        parsed = compilation.workflow.document
        digest = digest_value(parsed)
        self.store.define(digest, encode_canonical(parsed))
        name = compilation.workflow.name
        pinned: PinnedVersion = {"id": f"wf_{name}", "name": name, "version": version, "digest": digest}
        self.shelf.pinned[name, version] = pinned
        self.shelf.pinned[name, None] = pinned
        return pinned

    async def start(self, document: str | PinnedVersion, value: JsonValue = None, **facts: Any) -> Started:
        pinned = self.define(document) if isinstance(document, str) else document
        request = StartRequest(WORKSPACE, pinned, {} if value is None else value, "user:tester")
        return await self.engine.start(replace(request, **facts))

    async def run(self, document: str | PinnedVersion, value: JsonValue = None, **facts: Any) -> "Outcome":
        """Starts and waits for the end, or for standing still."""
        started = await self.start(document, value, **facts)
        return await self.finish(started)

    async def finish(self, started: Started, patience_ms: int | None = 5_000) -> "Outcome":
        status = await settle(self.engine, started.run_no, patience_ms)
        return self.read(started, status)

    def read(self, started: Started, status: str = "") -> "Outcome":
        return Outcome(started, status, self.events(started.run_no))

    def events(self, run_no: int) -> list[Event]:
        return [event for row in self.store.load(run_no) for event in orjson.loads(row.body)]

    async def send(self, started: Started, kind: str, **body: JsonValue) -> str:
        """Delivers a message as another process would."""
        return await self.engine.deliver(NewMail(started.run_no, kind, encode(dict(body)), "user:tester"))

    async def until(self, condition: Callable[[], bool], timeout_s: float = 10) -> None:
        """Waits until something that no event tells has come about."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                await asyncio.sleep(0.005)

    async def crash(self) -> None:
        """The engine's process dies: nothing is committed any more, effects in flight are cut, and the file lock is free."""
        engine = self.engine
        await engine.intake.stop()
        await engine.jobs.stop()
        engine.jobs.drop_all()
        await engine.jobs.quiet()
        for live in list(engine.lives.values()):
            engine.attempts.drop(live)
        engine.pulse.die()
        await engine.attempts.quiet()
        await engine.attempts.close()
        engine.committer.close()
        self.store.close()

    async def restart(self, **changes: Any) -> None:
        self.store = self.open_store()
        self.engine = self.make_engine(**changes)
        await self.engine.open()

    async def close(self) -> None:
        for rival, store in self.rivals:
            await rival.close(1_000)
            store.close()
        await self.engine.close(1_000)
        self.store.close()


@dataclass(frozen=True)
class Outcome:
    """A run as its journal tells it."""

    started: Started
    status: str
    events: list[Event]

    @property
    def last(self) -> JsonObject:
        return cast("JsonObject", self.events[-1])

    @property
    def output(self) -> JsonValue:
        return self.last.get("output")

    @property
    def error(self) -> JsonObject:
        return cast("JsonObject", self.last.get("error"))

    def of(self, kind: str, step: str | None = None) -> list[JsonObject]:
        """Events of a type, of one step if it is named."""
        found = [cast("JsonObject", event) for event in self.events if event["type"] == kind]
        return found if step is None else [event for event in found if event["step"] == step]

    def ports(self) -> dict[str, JsonValue]:
        return {str(event["step"]): event["port"] for event in self.of("step.completed")}

    def plans(self) -> list[str]:
        return [str(event["step"]) for event in self.of("step.planned")]


@asynccontextmanager
async def open_lab(
    folder: Path, settings: EngineSettings = QUICK, objects: ObjectStore | None = None, link: LinkRun | None = None
) -> AsyncGenerator[Lab]:
    lab = Lab(folder, settings, objects=objects)
    lab.engine.parts = replace(lab.engine.parts, link=link)
    await lab.engine.open()
    try:
        yield lab
    finally:
        await lab.close()
