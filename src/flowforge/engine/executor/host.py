"""What the parts of the executor need of the engine that they serve."""

from collections.abc import Callable, Iterable
from typing import Protocol

from flowforge.engine.executor.commits import Committer
from flowforge.engine.executor.live import LiveRun
from flowforge.engine.executor.programs import Programs
from flowforge.engine.executor.settings import EngineSettings
from flowforge.engine.executor.watching import Watch
from flowforge.engine.machine import TurnSheet
from flowforge.engine.ports import Doorbell, LinkRun, Vault, Versions
from flowforge.engine.store import Store
from flowforge.kit.clock import Clock
from flowforge.kit.objects import ObjectStore
from flowforge.kit.telemetry.metrics import Metrics
from flowforge.operations.registry import Registry


class HostParts(Protocol):
    """The wired parts that they use."""

    @property
    def registry(self) -> Registry: ...
    @property
    def versions(self) -> Versions: ...
    @property
    def vault(self) -> Vault: ...
    @property
    def objects(self) -> ObjectStore: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def metrics(self) -> Metrics: ...
    @property
    def doorbell(self) -> Doorbell: ...
    @property
    def link(self) -> LinkRun | None: ...


class HostBells(Protocol):
    """Who is told to look."""

    def tell_runs(self, run_nos: Iterable[int]) -> None: ...


class Host(Protocol):
    """The engine, as its parts see it."""

    settings: EngineSettings
    store: Store
    committer: Committer
    programs: Programs
    lives: dict[int, LiveRun]
    watch: Watch
    worker: int
    allocate_no: Callable[[], int]

    @property
    def parts(self) -> HostParts: ...
    def wake(self, live: LiveRun) -> None: ...
    def admit(self, live: LiveRun) -> None: ...
    def replace(self, old: LiveRun, fresh: LiveRun) -> None: ...
    def hand_in(self, live: LiveRun, sheet: TurnSheet, body: bytes) -> None: ...
    @property
    def bells(self) -> "HostBells": ...
    def poke_slots(self) -> None: ...
    async def read_mail(self) -> None: ...
