"""`flowforge worker`."""

import asyncio
import os
import re
import socket
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Annotated, Final

import typer

from flowforge.cluster.health import Stage
from flowforge.cluster.health_checks import check_broker, check_engine
from flowforge.cluster.hearing import hearing_rings
from flowforge.cluster.messages import check_broker_url
from flowforge.cluster.sampling import Sampler
from flowforge.engine.executor import Engine
from flowforge.engine.ports import RUN_QUEUE
from flowforge.entrypoints.cli.carrying import SIGN_OFF_MS, stopping
from flowforge.entrypoints.cli.failures import UsageError
from flowforge.entrypoints.cli.frame import Frame, frame_of
from flowforge.entrypoints.production import is_production, require_production
from flowforge.entrypoints.publishing import open_relay
from flowforge.entrypoints.roles import Role, open_role
from flowforge.entrypoints.running import ClusterPart, open_engine
from flowforge.entrypoints.wiring import Installation
from flowforge.kit.settings import Settings
from flowforge.kit.telemetry import get_logger
from flowforge.language.fields import QUEUE_NAME
from flowforge.vault.service import require_keys

app = typer.Typer(add_completion=False, rich_markup_mode=None)

logger = get_logger("worker")

_NAME_LENGTH: Final = 100
_QUEUES_MAX: Final = 16


@app.command()
def worker(
    ctx: typer.Context,
    *,
    queues: Annotated[
        str, typer.Option("--queues", help="Queues to serve, by comma: default (runs), heavy, and those that steps name.")
    ] = "default,heavy",
    name: Annotated[
        str | None, typer.Option("--name", help="For lists of workers; else host and process.", show_default=False)
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(
            "--concurrency", min=1, max=10_000, help="Attempts at once [env: FLOWFORGE_WORKER_CONCURRENCY].", show_default=False
        ),
    ] = None,
) -> None:
    """A worker of a cluster: carries runs on, and makes the jobs of its queues.

    DATABASE_URL names the database that all workers share, BROKER_URL the broker that wakes them; without a broker they look each POLL.
    Without DATABASE_URL it works on the data folder, beside other workers of this machine. SIGTERM: it takes nothing more, steps in
    flight get SHUTDOWN_GRACE, the rest goes back to the queue; a second signal ends it at once. Logs go to stderr.
    """
    frame = frame_of(ctx)
    served = read_queues(queues)
    settings = frame.load_settings()
    if is_production(settings, by_default=settings.database_url is not None):
        require_production(settings, "worker", needs=())
    if settings.broker_url is not None:
        check_broker_url(settings.broker_url.get_secret_value())
    asyncio.run(_serve(frame, settings, served, name or f"{socket.gethostname()}-{os.getpid()}"[:_NAME_LENGTH], concurrency))


def read_queues(text: str) -> tuple[str, ...]:
    """The queues of `--queues`, each once.

    Raises:
        UsageError: one has no name that a queue may have, or there are none, or more than 16.
    """
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names or len(names) > _QUEUES_MAX:
        raise UsageError(f"--queues takes 1 to {_QUEUES_MAX} names by comma, like default,heavy.")
    for queue in names:
        if queue != RUN_QUEUE and not re.fullmatch(QUEUE_NAME, queue):
            raise UsageError(
                f"--queues: {queue[:60]!r} is no name of a queue: 1 to 40 small letters, digits, hyphens and underscores."
            )
    return names


async def _serve(frame: Frame, settings: Settings, queues: Sequence[str], name: str, concurrency: int | None) -> None:
    stop = asyncio.Event()
    with stopping(stop.set, within_s=(settings.shutdown_grace_ms + SIGN_OFF_MS) / 1_000):
        async with open_role(settings, "worker", stop) as role:

            async def carry(installation: Installation) -> None:
                async with installation.database.read() as session:
                    await require_keys(session, installation.keyring)
                async with open_relay(installation, role.metrics) as relay:
                    part = ClusterPart(role.describe("worker", queues), queues, concurrency, relay.poke)
                    await _work(frame, role, installation, part, name)

            await role.work(carry)


async def _work(frame: Frame, role: Role, installation: Installation, part: ClusterPart, name: str) -> None:
    queues, grace_ms = part.queues, role.settings.shutdown_grace_ms
    engine_context = open_engine(installation, name=name, takes_all=True, grace_ms=grace_ms, masker=role.masker, part=part)
    async with engine_context as engine:
        role.log.describe_process = lambda: {"role": "worker", "worker": engine.worker}
        role.pages.add(check_engine(engine.committer))
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(_sampling(role, installation, engine))
            await stack.enter_async_context(_hearing(role, installation, engine, queues))
            role.pages.stage = Stage.READY
            _tell_up(frame, role, installation, queues)
            await role.stop.wait()
            role.pages.stage = Stage.CLOSING
            logger.info("The worker takes nothing more; steps in flight may end.", grace_ms=grace_ms)
    logger.info("The worker has left.")


def _tell_up(frame: Frame, role: Role, installation: Installation, queues: Sequence[str]) -> None:
    place = installation.database_url.shown
    logger.info("The worker is up.", database=place, queues=list(queues), health=role.address, has_broker=_has_broker(role))
    if not frame.output.is_json:
        told = "" if _has_broker(role) else f" No broker is set: it looks for work every {role.settings.poll_ms} ms."
        frame.output.say(f"A worker on {place} for {', '.join(queues)}; health pages on http://{role.address}/health.{told}")


def _has_broker(role: Role) -> bool:
    return role.settings.broker_url is not None


@asynccontextmanager
async def _sampling(role: Role, installation: Installation, engine: Engine) -> AsyncGenerator[None]:
    sampler = Sampler(lambda: installation.database, installation.clock, role.metrics, engine.committer)
    task = asyncio.create_task(sampler.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def _hearing(role: Role, installation: Installation, engine: Engine, queues: Sequence[str]) -> AsyncGenerator[None]:
    """Rings of the broker poke the engine; without a broker there is nothing to hear."""
    url = role.settings.broker_url
    if url is None:
        yield
        return
    hearing = hearing_rings(
        engine,
        url.get_secret_value(),
        queues,
        database=installation.database,
        clock=installation.clock,
        metrics=role.metrics,
    )
    async with hearing as consumer:
        role.pages.add(check_broker(consumer))
        yield
