"""An engine on an installation, and the logs of the process that runs it."""

import gc
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from flowforge.engine.executor import Engine, EngineParts, EngineSettings
from flowforge.entrypoints.heavy import HEAVY_LOADER, describe_services
from flowforge.entrypoints.ports import VaultPort, VersionsPort
from flowforge.entrypoints.services import Services
from flowforge.entrypoints.wiring import Installation
from flowforge.kit.masking import Masker
from flowforge.kit.settings import LogFormat, Settings
from flowforge.kit.telemetry import start_logging
from flowforge.kit.telemetry.metrics import Metrics
from flowforge.kit.telemetry.outputs import FileOutput

LOG_NAME: Final = "flowforge.log"


@asynccontextmanager
async def open_engine(
    installation: Installation, *, name: str, takes_all: bool, grace_ms: int, masker: Masker
) -> AsyncGenerator[Engine]:
    """An open engine. `takes_all`: it claims every due run; else those that are started or adopted here, and those they call.

    At the end attempts in flight get `grace_ms` to end; what has not ended then goes back to the queue.

    Raises:
        StorageError: the database cannot be used.
        ValidationError: EGRESS_ALLOW has an entry that is none.
    """
    tune_interpreter()
    services = Services(installation)
    parts = EngineParts(
        store=installation.store,
        registry=installation.registry,
        versions=VersionsPort(installation),
        vault=VaultPort(installation),
        objects=installation.objects,
        clock=installation.clock,
        metrics=Metrics(),
        masker=masker,
        services=services,
        locks=installation.worker_locks,
        heavy_loader=HEAVY_LOADER,
        heavy_services=describe_services(installation),
    )
    engine = Engine(parts, _engine_settings(installation.settings, name, takes_all=takes_all))
    await engine.open()
    try:
        yield engine
    finally:
        await engine.close(grace_ms)
        await services.aclose()


def tune_interpreter() -> None:
    """Settings of the whole process that an engine with thousands of runs in memory needs; measured with `make bench`.

    The collector would walk every live run again and again: rare collections raise the throughput by a third. A thread that holds the
    interpreter for 5 ms makes the writer thread wait as long at each of its statements: 0.5 ms ends that convoy.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    sys.setswitchinterval(0.0005)


def _engine_settings(settings: Settings, name: str, *, takes_all: bool) -> EngineSettings:
    return EngineSettings(
        name=name,
        takes_all=takes_all,
        runs_max=settings.runs_max,
        effects_max=settings.worker_concurrency,
        beat_ms=settings.beat_ms,
        expiry_ms=settings.expiry_ms,
        history_events_max=settings.history_max,
        history_events_warn=settings.history_warn,
        keep_runs_ms=settings.keep_runs_ms or None,
        limits=settings.limits,
    )


@contextmanager
def log_to_folder(installation: Installation, masker: Masker) -> Generator[None]:
    """Sends the process' log lines to the data folder, where they disturb no terminal and no pipe."""
    settings = installation.settings
    output = FileOutput(installation.folder.logs / LOG_NAME)
    is_console = settings.log_format is LogFormat.CONSOLE
    with start_logging(output, level=settings.log_level.value, masker=masker, is_console=is_console):
        yield
