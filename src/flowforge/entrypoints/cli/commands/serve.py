"""`flowforge serve`."""

import asyncio
import os
import socket
from contextlib import AsyncExitStack
from typing import Annotated, Final

import typer
import uvloop

from flowforge.cluster.messages import check_broker_url
from flowforge.entrypoints.cli.carrying import SIGN_OFF_MS, stopping
from flowforge.entrypoints.cli.commands.up import choose_address
from flowforge.entrypoints.cli.frame import Frame, frame_of
from flowforge.entrypoints.production import is_production, load_for_production, require_production
from flowforge.entrypoints.roles import Role, open_role
from flowforge.entrypoints.server.cluster_ground import open_ground
from flowforge.entrypoints.server.domains import make_domains
from flowforge.entrypoints.server.listening import name_address, open_listener
from flowforge.entrypoints.server.serving import run_duties, serve_domains
from flowforge.entrypoints.services import Services
from flowforge.entrypoints.wiring import Installation
from flowforge.kit.settings import Settings
from flowforge.kit.telemetry import get_logger
from flowforge.vault.service import require_keys

app = typer.Typer(add_completion=False, rich_markup_mode=None)

logger = get_logger("serve")

ROLE: Final = "server"
_NAME_LENGTH: Final = 100


@app.command()
def serve(
    ctx: typer.Context,
    *,
    host: Annotated[str | None, typer.Option("--host", help="The address to listen on; else HOST.", show_default=False)] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65_535, help="The port; 0 takes any free one; else PORT.", show_default=False),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="For lists of workers; else host and process.", show_default=False)
    ] = None,
) -> None:
    """A server of a cluster: the API, without an engine. Workers carry the runs on, a scheduler fires triggers.

    Start as many as you like behind a proxy. It needs PUBLIC_URL, DATABASE_URL, ENCRYPTION_KEY and SIGNING_KEY, and listens nowhere before
    they are there and none of them is an example; ENV=development lets it start nevertheless. SIGTERM: it takes nothing more, and what is
    being answered gets SHUTDOWN_GRACE. Logs go to stderr.
    """
    frame = frame_of(ctx)
    settings = choose_address(load_for_production(frame.load_settings, frame.list_given, "serve"), host, port)
    if is_production(settings, by_default=True):
        require_production(settings)
    if settings.broker_url is not None:
        check_broker_url(settings.broker_url.get_secret_value())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(frame, settings, name or f"{socket.gethostname()}-{os.getpid()}"[:_NAME_LENGTH]))


async def _serve(frame: Frame, settings: Settings, name: str) -> None:
    stop = asyncio.Event()
    with stopping(stop.set, within_s=(settings.shutdown_grace_ms + SIGN_OFF_MS) / 1_000):
        async with open_role(settings, ROLE, stop) as role:
            await role.work(lambda installation: _work(frame, role, installation, name))


async def _work(frame: Frame, role: Role, installation: Installation, name: str) -> None:
    async with installation.database.read() as session:
        await require_keys(session, installation.keyring)
    listener = open_listener(role.settings.host, role.settings.port)
    async with AsyncExitStack() as stack:
        stack.callback(listener.close)
        ground = await stack.enter_async_context(open_ground(role, installation, ROLE, name))
        services = Services(installation)
        stack.push_async_callback(services.aclose)
        domains = make_domains(ground, services)
        await stack.enter_async_context(run_duties(domains, list(domains.own_duties)))
        await stack.enter_async_context(serve_domains(ground, domains, listener))
        address = name_address(listener)
        logger.info("The server is up.", database=installation.database_url.shown, address=address)
        if not frame.output.is_json:
            frame.output.say(f"The server is on http://{address}, for {role.settings.public_url}.")
        await role.stop.wait()
    logger.info("The server has left.")
