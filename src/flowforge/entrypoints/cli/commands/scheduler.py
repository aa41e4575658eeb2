"""`flowforge scheduler`."""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Annotated, Final

import typer

from flowforge.cluster.duties import DutyParts, DutySettings, list_duties
from flowforge.cluster.health import OK, CheckResult, CheckStatus, HealthCheck, Stage
from flowforge.cluster.leases import Candidate
from flowforge.cluster.messages import check_broker_url
from flowforge.cluster.queues import SCHEDULER_LEASE, SCHEDULER_ROLE
from flowforge.cluster.scheduler import Scheduler, SchedulerSettings
from flowforge.engine.machine import Program
from flowforge.entrypoints.cli.carrying import SIGN_OFF_MS, stopping
from flowforge.entrypoints.cli.frame import Frame, frame_of
from flowforge.entrypoints.production import is_production, require_production
from flowforge.entrypoints.publishing import open_relay
from flowforge.entrypoints.roles import Role, open_role
from flowforge.entrypoints.wiring import Installation
from flowforge.kit.border import decode
from flowforge.kit.clock import SystemClock
from flowforge.kit.errors import NotFoundError, NotInstalledError
from flowforge.kit.settings import Settings
from flowforge.kit.telemetry import get_logger

app = typer.Typer(add_completion=False, rich_markup_mode=None)

logger = get_logger("scheduler")

_NAME_LENGTH: Final = 100
_PROGRAMS_MAX: Final = 64


@app.command()
def scheduler(
    ctx: typer.Context,
    *,
    name: Annotated[
        str | None, typer.Option("--name", help="For lists of workers; else host and process.", show_default=False)
    ] = None,
) -> None:
    """A scheduler of a cluster: finds dead workers, due runs, what is stuck, what is old.

    Start two or more, on different machines: one is elected, the others take its place within half of EXPIRY when it dies, at once when it
    is told to end. Without any, workers find the dead and the due by themselves, only later, and nothing that is old is deleted. Each
    scheduler publishes events from the outbox. Logs go to stderr.
    """
    frame = frame_of(ctx)
    settings = frame.load_settings()
    if is_production(settings, by_default=settings.database_url is not None):
        require_production(settings, "scheduler", needs=())
    if settings.broker_url is not None:
        check_broker_url(settings.broker_url.get_secret_value())
    asyncio.run(_serve(frame, settings, name or f"{socket.gethostname()}-{os.getpid()}"[:_NAME_LENGTH]))


async def _serve(frame: Frame, settings: Settings, name: str) -> None:
    stop = asyncio.Event()
    with stopping(stop.set, within_s=(settings.shutdown_grace_ms + SIGN_OFF_MS) / 1_000):
        async with open_role(settings, SCHEDULER_ROLE, stop) as role:
            await role.work(lambda installation: _schedule(frame, role, installation, name))


async def _schedule(frame: Frame, role: Role, installation: Installation, name: str) -> None:
    async with (
        open_relay(installation, role.metrics),
        open_scheduler(role, installation, name) as opened,
        open_domain_duties(role, installation, name, lambda: opened.is_leader),
    ):
        role.log.describe_process = lambda: {"role": SCHEDULER_ROLE, "worker": opened.worker}
        role.pages.add(_check_scheduler(opened, role.settings.expiry_ms))
        role.pages.stage = Stage.READY
        place = installation.database_url.shown
        logger.info("The scheduler is up.", database=place, health=role.address)
        if not frame.output.is_json:
            frame.output.say(f"A scheduler on {place}; health pages on http://{role.address}/health.")
        await role.stop.wait()
        role.pages.stage = Stage.CLOSING
    logger.info("The scheduler has left.")


@asynccontextmanager
async def open_domain_duties(
    role: Role, installation: Installation, name: str, may_work: Callable[[], bool]
) -> AsyncGenerator[None]:
    """What the domains want done (triggers, letters, deliveries), by the elected one, each in a loop of its own: some take long.

    Raises:
        StorageError: the database cannot be used.
    """
    # The domains come with the whole server, which a scheduler that is asked for its help needs not load.
    from flowforge.entrypoints.server.cluster_ground import open_ground
    from flowforge.entrypoints.server.domains import make_domains
    from flowforge.entrypoints.server.serving import run_duties
    from flowforge.entrypoints.services import Services

    async with open_ground(role, installation, SCHEDULER_ROLE, name) as ground:
        services = Services(installation)
        try:
            domains = make_domains(ground, services)
            async with run_duties(domains, [*domains.duties], may_work), run_duties(domains, [*domains.own_duties]):
                yield
        finally:
            await services.aclose()


def _check_scheduler(opened: Scheduler, expiry_ms: int) -> HealthCheck:
    """That it asks for the lease and does its duties."""

    async def probe() -> CheckResult:
        still_ms = (SystemClock().monotonic_s() - opened.looked_s) * 1_000
        if still_ms <= expiry_ms:
            return OK
        return CheckResult(CheckStatus.DEGRADED, f"The scheduler has been at one duty for {still_ms / 1_000:.0f} s.")

    return HealthCheck("scheduler", probe)


@asynccontextmanager
async def open_scheduler(role: Role, installation: Installation, name: str) -> AsyncGenerator[Scheduler]:
    """A candidate for the lease, with all its duties, while the `with` lasts.

    Raises:
        StorageError: the database cannot be used.
    """
    settings = role.settings
    candidate = Candidate(
        installation.database.write, installation.clock, name=SCHEDULER_LEASE, length_ms=settings.expiry_ms // 2
    )
    opened = Scheduler(
        store=installation.store,
        candidate=candidate,
        duties=list_duties(_gather_parts(role, installation), _duty_settings(settings)),
        settings=SchedulerSettings(name, role.describe(SCHEDULER_ROLE), settings.beat_ms, settings.expiry_ms, settings.sweep_ms),
        clock=installation.clock,
        metrics=role.metrics,
    )
    await opened.open()
    try:
        yield opened
    finally:
        await opened.close()


def _gather_parts(role: Role, installation: Installation) -> DutyParts:
    @lru_cache(maxsize=_PROGRAMS_MAX)
    def find_program(digest: str) -> Program:
        stored = installation.store.definition(digest)
        document = None if stored is None else decode(stored)
        if not isinstance(document, dict):
            raise NotFoundError(f"The definition {digest} is not in the database any more.")
        workflow = installation.compile_definition(document)
        if workflow is None:
            raise NotInstalledError(f"The definition {digest} uses what is not installed here.")
        return Program(workflow)

    return DutyParts(
        store=installation.store,
        database=installation.database,
        clock=installation.clock,
        doorbell=installation.doorbell,
        objects=installation.objects,
        find_program=find_program,
        metrics=role.metrics,
        # Lock files tell of this machine alone: elsewhere heartbeats decide.
        locks=None if installation.database_url.is_server else installation.worker_locks,
    )


def _duty_settings(settings: Settings) -> DutySettings:
    return DutySettings(
        sweep_ms=settings.sweep_ms,
        stuck_after_ms=settings.stuck_after_ms,
        keep_outbox_ms=settings.keep_outbox_ms,
        keep_runs_ms=settings.keep_runs_ms or None,
        keep_logs_ms=settings.keep_logs_ms or None,
        step_timeout_ms=settings.limits.step_timeout_ms,
    )
