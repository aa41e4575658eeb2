"""An engine on an installation, and the logs of the process that runs it."""

import gc
import os
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Final

from flowforge import __version__
from flowforge.engine.executor import Engine, EngineParts, EngineSettings
from flowforge.engine.ports import RUN_QUEUE
from flowforge.engine.store import WorkerFacts
from flowforge.entrypoints.heavy import HEAVY_LOADER, describe_services
from flowforge.entrypoints.log_export import export_logs
from flowforge.entrypoints.ports import LinkPort, VaultPort, VersionsPort
from flowforge.entrypoints.services import Services
from flowforge.entrypoints.wiring import Installation
from flowforge.kit.masking import Masker
from flowforge.kit.settings import LogFormat, Settings
from flowforge.kit.telemetry import start_logging
from flowforge.kit.telemetry.outputs import FileOutput

LOG_NAME: Final = "flowforge.log"


@dataclass(frozen=True, slots=True)
class ClusterPart:
    """What makes an engine one of many. `queues`: `default` are the runs, all others are of jobs. `on_outbox` as in EngineParts."""

    facts: WorkerFacts
    queues: Sequence[str]
    concurrency: int | None = None
    """Attempts at once; None: as WORKER_CONCURRENCY says."""
    on_outbox: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class ServerPart:
    """What makes an engine that of an embedded server: events for the outside are stored, and told as soon as they are durable."""

    on_outbox: Callable[[], None]
    may_commit_inline: Callable[[], bool]


@asynccontextmanager
async def open_engine(
    installation: Installation,
    *,
    name: str,
    takes_all: bool,
    grace_ms: int,
    masker: Masker,
    part: ClusterPart | ServerPart | None = None,
) -> AsyncGenerator[Engine]:
    """An open engine. `takes_all`: it claims every due run; else those that are started or adopted here, and those they call.

    `part`: it is a worker of a cluster, which hands heavy attempts to others, or that of a server. Without it everything is made here,
    in a cluster too.
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
        metrics=installation.metrics,
        masker=masker,
        services=services,
        tracing=installation.tracing,
        # Lock files tell of this machine alone, and not of which database the numbers are: elsewhere heartbeats decide.
        locks=None if installation.database_url.is_server else installation.worker_locks,
        heavy_loader=HEAVY_LOADER,
        heavy_services=describe_services(installation),
        doorbell=installation.doorbell,
        link=LinkPort(installation),
        on_outbox=_ignore if part is None else part.on_outbox,
        may_commit_inline=part.may_commit_inline if isinstance(part, ServerPart) else _always,
    )
    settings = _engine_settings(installation.settings, name, takes_all=takes_all)
    settings = replace(settings, writes_outbox=installation.database_url.is_server, facts=_describe_command(takes_all=takes_all))
    if isinstance(part, ServerPart):
        settings = replace(settings, writes_outbox=True)
    elif part is not None:
        settings = replace(
            _join_cluster(settings, installation.settings, part), commits_inline=installation.database_url.is_server
        )
    engine = Engine(parts, settings)
    await engine.open()
    try:
        yield engine
    finally:
        await engine.close(grace_ms)
        await services.aclose()


def _join_cluster(engine: EngineSettings, settings: Settings, part: ClusterPart) -> EngineSettings:
    return replace(
        engine,
        effects_max=part.concurrency or engine.effects_max,
        claims_runs=RUN_QUEUE in part.queues,
        job_queues=tuple(queue for queue in part.queues if queue != RUN_QUEUE),
        hands_out_jobs=True,
        writes_outbox=True,
        keeps_house=False,
        sweep_ms=settings.sweep_ms,
        facts=part.facts,
    )


def _describe_command(*, takes_all: bool) -> WorkerFacts:
    """What an engine outside a cluster tells of itself: it serves no queue, and makes every step of its runs."""
    role = "worker" if takes_all else "command"
    return WorkerFacts(role=role, version=__version__, host=socket.gethostname(), pid=os.getpid())


def _ignore() -> None:
    """Nobody here publishes: a scheduler finds what was stored."""


def _always() -> bool:
    return True


def tune_interpreter() -> None:
    """Settings of the whole process that an engine with thousands of runs in memory needs; measured with `make bench`.

    The collector would walk every live run again and again: rare collections raise the throughput by a third. A thread that holds the
    interpreter for 5 ms makes the writer thread wait as long at each of its statements: 0.5 ms ends that convoy.
    """
    if gc.get_freeze_count() == 0:
        # Once: what a later engine found would be mostly garbage of the one before.
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
        poll_ms=settings.poll_ms,
        history_events_max=settings.history_max,
        history_events_warn=settings.history_warn,
        keep_runs_ms=settings.keep_runs_ms or None,
        keep_logs_ms=settings.keep_logs_ms or None,
        limits=settings.limits,
    )


@contextmanager
def log_to_folder(installation: Installation, masker: Masker) -> Generator[None]:
    """Sends the process' log lines to the data folder, where they disturb no terminal and no pipe."""
    settings = installation.settings
    output = FileOutput(installation.folder.logs / LOG_NAME)
    is_console = settings.log_format is LogFormat.CONSOLE
    with (
        start_logging(output, level=settings.log_level.value, masker=masker, is_console=is_console),
        export_logs(settings, masker),
    ):
        yield
