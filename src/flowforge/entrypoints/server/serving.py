"""An open server: embedded, around the engine of its own process, or one of a cluster."""

import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import cast

from flowforge import __version__
from flowforge.cluster.health import HealthPages, Stage
from flowforge.cluster.health_checks import check_database, check_engine, check_objects
from flowforge.cluster.outbox import mark_told
from flowforge.engine.executor import Engine
from flowforge.engine.sqlite.store import SqliteStore
from flowforge.entrypoints.ports import VersionsPort
from flowforge.entrypoints.roles import look_at_objects
from flowforge.entrypoints.running import ServerPart
from flowforge.entrypoints.server.composition import make_server
from flowforge.entrypoints.server.domains import Domains, Ground, make_domains
from flowforge.entrypoints.server.duties import DomainDuty, DutyLoops
from flowforge.entrypoints.server.embedded import EmbeddedRunner
from flowforge.entrypoints.server.listening import name_address, serve_application
from flowforge.entrypoints.server.pinning import PinnedVersions
from flowforge.entrypoints.services import Services
from flowforge.entrypoints.wiring import Installation
from flowforge.kit.clock import SystemClock
from flowforge.kit.database.commits import SqliteCommits
from flowforge.live.tail import OutboxTail

_TOLD_EVERY_MS = 60_000


@dataclass(frozen=True, slots=True)
class OpenServer:
    """`address`: host and port. `domains`: what stands behind the routes."""

    address: str
    domains: Domains


def prepare_embedded(installation: Installation) -> tuple[OutboxTail, ServerPart]:
    """What an engine is opened with that a server will be around."""
    tail = OutboxTail(installation.database.read)
    cast("SqliteStore", installation.store).tells_outbox = True
    writing = installation.database.writing
    return tail, ServerPart(tail.poke, lambda: not writing.is_going_on())


@asynccontextmanager
async def open_embedded(
    installation: Installation, engine: Engine, tail: OutboxTail, listener: socket.socket
) -> AsyncGenerator[OpenServer]:
    """A server around an engine, on a socket that listens. Closed in order: requests that are being answered are answered.

    Raises:
        StorageError: the database cannot be used.
        ValidationError: a setting cannot be used.
    """
    settings = installation.settings
    token = None if settings.metrics_token is None else settings.metrics_token.get_secret_value()
    pages = HealthPages([], installation.metrics, clock=SystemClock(), version=__version__, metrics_token=token)
    pages.add(
        check_database(lambda: installation.database),
        check_engine(engine.committer),
        check_objects(lambda: look_at_objects(installation)),
    )
    async with AsyncExitStack() as stack:
        services = Services(installation)
        stack.push_async_callback(services.aclose)
        reader = installation.open_store()
        stack.callback(reader.close)
        versions = PinnedVersions(VersionsPort(installation), SystemClock())
        runner = EmbeddedRunner(engine, reader, versions, installation.load_blob)
        ground = Ground(installation, runner, versions, tail, pages)
        domains = make_domains(ground, services)
        stack.push_async_callback(tail.close)
        told = DomainDuty("outbox_told", _TOLD_EVERY_MS, lambda: _mark_told(installation))
        commits = SqliteCommits(installation.database_url.file)
        stack.callback(commits.close)
        duties = [*domains.own_duties, *domains.duties, told]
        await stack.enter_async_context(run_duties(domains, duties, read_version=commits.read_version))
        await stack.enter_async_context(serve_domains(ground, domains, listener))
        yield OpenServer(name_address(listener), domains)


@asynccontextmanager
async def run_duties(
    domains: Domains,
    duties: list[DomainDuty],
    may_work: Callable[[], bool] = lambda: True,
    read_version: Callable[[], int] | None = None,
) -> AsyncGenerator[None]:
    """Makes the passes of these duties while the block lasts, each time that they may be made here."""
    loops = DutyLoops(duties, domains.parts.metrics, may_work, read_version)
    loops.start()
    try:
        yield
    finally:
        await loops.close()


@asynccontextmanager
async def serve_domains(ground: Ground, domains: Domains, listener: socket.socket) -> AsyncGenerator[None]:
    """Serves the application while the block lasts. Streams end first, then what is being answered, within SHUTDOWN_GRACE."""
    application = make_server(ground, domains)
    hub, pages = domains.hub, ground.pages

    def close() -> None:
        pages.stage = Stage.CLOSING
        hub.closing.set()

    grace_s = max(1.0, ground.installation.settings.shutdown_grace_ms / 1_000)
    try:
        connections = ground.installation.metrics.server.open_connections
        async with serve_application(application.app, listener, grace_s=grace_s, on_closing=close, connections=connections):
            pages.stage = Stage.READY
            yield
    finally:
        await hub.close()
        await domains.parts.rates.aclose()


async def _mark_told(installation: Installation) -> None:
    """What changes beside runs has put into the outbox was told by its tail."""
    async with installation.database.write.begin() as session:
        await mark_told(session, installation.clock.now_ms())
