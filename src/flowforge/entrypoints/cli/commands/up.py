"""`flowforge up`."""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.resources import files
from typing import Annotated, Final

import typer
import uvloop

from flowforge.audit.types import Author
from flowforge.engine.births import StartRequest
from flowforge.engine.executor import Engine
from flowforge.entrypoints.cli.carrying import Followed, carry_run, stopping
from flowforge.entrypoints.cli.codes import ExitCode, exit_code_of_status
from flowforge.entrypoints.cli.failures import CommandFailedError, UsageError
from flowforge.entrypoints.cli.frame import Frame, frame_of
from flowforge.entrypoints.cli.starting import pin_target
from flowforge.entrypoints.production import UP_NEEDS, is_production, require_production
from flowforge.entrypoints.running import log_to_folder, open_engine
from flowforge.entrypoints.server.address import tell_address
from flowforge.entrypoints.server.listening import open_listener
from flowforge.entrypoints.server.serving import OpenServer, open_embedded, prepare_embedded
from flowforge.entrypoints.wiring import Installation, open_installation
from flowforge.identity.service import make_sign_in_link
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.kit.masking import Masker
from flowforge.kit.settings import Settings
from flowforge.language.reading.document_reader import DocumentFormat
from flowforge.runs.history import History
from flowforge.runs.service import RunFilter, list_finished_runs, list_runs
from flowforge.runs.times import format_length
from flowforge.runs.types import RunHeader
from flowforge.runs.views import describe_row
from flowforge.web.addresses import is_loopback, normalize_address
from flowforge.workflows.service import prepare_publication, publish, push_draft
from flowforge.workflows.telling import tell_published, tell_pushed
from flowforge.workflows.types import Source

app = typer.Typer(add_completion=False, rich_markup_mode=None)

SAMPLE: Final = "purchase-orders"
_ACTOR: Final = "system:up"
_LOOK_S: Final = 0.5


@app.command()
def up(
    ctx: typer.Context,
    *,
    is_once: Annotated[bool, typer.Option("--once", help="End after the sample run.")] = False,
    has_sample: Annotated[
        bool, typer.Option("--sample/--no-sample", help="Run the sample workflow on a new data folder.")
    ] = True,
    has_server: Annotated[bool, typer.Option("--server/--no-server", help="Serve the API.")] = True,
    host: Annotated[str | None, typer.Option("--host", help="The address to listen on; else HOST.", show_default=False)] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65_535, help="The port; 0 takes any free one; else PORT.", show_default=False),
    ] = None,
) -> None:
    """Run the engine and the server on the data folder until they are told to stop.

    They take up all open runs, those of dead workers too, and serve the API on HOST and PORT; the link that is printed signs in, once. A
    new data folder gets a sample workflow, which is run once. On another address than loopback PUBLIC_URL, ENCRYPTION_KEY and SIGNING_KEY
    must be set, unless ENV is development. Ctrl-C or SIGTERM ends it in order: steps in flight get SHUTDOWN_GRACE. Where
    DATABASE_URL is set, `serve`, `worker` and `scheduler` do this.
    """
    frame = frame_of(ctx)
    settings = choose_address(frame.load_settings(), host, port)
    if settings.database_url is not None:
        raise UsageError(
            "`flowforge up` works on a data folder, and DATABASE_URL names a database that many share: start `flowforge serve`, "
            "`flowforge worker` and `flowforge scheduler`, or unset DATABASE_URL."
        )
    is_serving = has_server and not is_once
    if is_production(settings, by_default=is_serving and not _is_own(settings.host)):
        require_production(settings, "up", UP_NEEDS)
    listener = open_listener(settings.host, settings.port) if is_serving else None
    if listener is not None:
        settings = settings.model_copy(update={"port": listener.getsockname()[1]})
    installation = open_installation(settings)
    task = Task(frame, installation, listener, is_once=is_once, has_sample=has_sample)
    with asyncio.Runner(loop_factory=None if listener is None else uvloop.new_event_loop) as runner:
        code = runner.run(_serve(task))
    if code is not ExitCode.SUCCESS:
        raise CommandFailedError(code)


def _is_own(host: str) -> bool:
    """Whether nobody but this machine can reach what listens there."""
    return host == "localhost" or is_loopback(normalize_address(host))


def choose_address(settings: Settings, host: str | None, port: int | None) -> Settings:
    """The settings, with what the command line says of the address."""
    told = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    return settings.model_copy(update=told) if told else settings


@dataclass(frozen=True, slots=True)
class Task:
    """What the command is to do. `listener` None: no server."""

    frame: Frame
    installation: Installation
    listener: socket.socket | None
    is_once: bool
    has_sample: bool


async def _serve(task: Task) -> ExitCode:
    masker = Masker()
    stop = asyncio.Event()
    try:
        with log_to_folder(task.installation, masker), stopping(stop.set):
            return await _run_engine(task, masker, stop)
    finally:
        await task.installation.aclose()


async def _run_engine(task: Task, masker: Masker, stop: asyncio.Event) -> ExitCode:
    installation = task.installation
    grace_ms = installation.settings.shutdown_grace_ms
    mark_ms = installation.clock.now_ms()
    tail, part = prepare_embedded(installation) if task.listener is not None else (None, None)
    async with (
        open_engine(installation, name="up", takes_all=True, grace_ms=grace_ms, masker=masker, part=part) as engine,
        AsyncExitStack() as stack,
    ):
        if task.listener is not None and tail is not None:
            server = await stack.enter_async_context(open_embedded(installation, engine, tail, task.listener))
            stack.enter_context(tell_address(installation.folder, server.address))
            await _tell_sign_in(task, server)
        code = ExitCode.SUCCESS
        if task.has_sample and await _is_new(installation):
            code = await _run_sample(task.frame, installation, engine)
            mark_ms = installation.clock.now_ms()
        if not task.is_once:
            await _stay(task.frame, installation, stop, mark_ms)
        return code


async def _tell_sign_in(task: Task, server: OpenServer) -> None:
    """Where the server is, and the link by which whoever has the data folder signs in."""
    installation = task.installation
    async with installation.database.write.begin() as session:
        link = await make_sign_in_link(session, installation.settings, now_ms=installation.clock.now_ms())
    task.frame.output.say(f"The server is on http://{server.address}; sign in once, within 10 minutes, by {link}")


async def _is_new(installation: Installation) -> bool:
    async with installation.database.read() as session:
        page = await list_runs(session, DEFAULT_WORKSPACE_ID, RunFilter(), limit=1)
    return not page.items


async def _run_sample(frame: Frame, installation: Installation, engine: Engine) -> ExitCode:
    frame.output.say("A new data folder: running the sample workflow once.")
    await publish_sample(installation, engine)
    pinned = await pin_target(installation, SAMPLE, None)
    request = StartRequest(
        workspace_id=DEFAULT_WORKSPACE_ID,
        workflow=pinned.version,
        input={},
        actor=_ACTOR,
        trigger={"kind": "manual"},
        timeout_ms=installation.settings.run_timeout_ms or None,
    )
    started = await engine.start(request)
    followed = Followed(started.run_no, started.run_id, f"{pinned.workflow.title}  {started.run_id}", History(pinned.workflow))
    status = await carry_run(engine, installation, frame.output, followed, patience_ms=None)
    return exit_code_of_status(status)


async def publish_sample(installation: Installation, engine: Engine) -> None:
    """Puts the sample among the workflows, as a person would: pushed and published."""
    data = files("flowforge.entrypoints").joinpath("samples", f"{SAMPLE}.yaml").read_bytes()
    check, at_ms = installation.check_source, installation.clock.now_ms()
    sessions, author = installation.database.write, Author(_ACTOR, at_ms=at_ms)
    async with sessions.begin() as session:
        source = Source(data, DocumentFormat.YAML)
        pushed = await push_draft(session, _ACTOR, DEFAULT_WORKSPACE_ID, source, check=check, at_ms=at_ms)
        await tell_pushed(session, author, pushed)
    if not pushed.workflow.has_draft:
        return
    async with installation.database.read() as session:
        publication = await prepare_publication(session, DEFAULT_WORKSPACE_ID, SAMPLE, check=check)
    # In the writer's thread: a duty of the server may be in a transaction of its own now, and could never end it if the loop waited here.
    await engine.committer.call(installation.store.define, publication.digest, publication.definition)
    async with sessions.begin() as session:
        published = await publish(session, _ACTOR, DEFAULT_WORKSPACE_ID, publication, note="The sample", at_ms=at_ms)
        await tell_published(session, author, pushed.workflow, published)


async def _stay(frame: Frame, installation: Installation, stop: asyncio.Event, mark_ms: int) -> None:
    """Tells the runs that ended since `mark_ms`, until it is time to stop."""
    frame.output.say(f"FlowForge is up on {installation.folder.root}. Ctrl-C ends it; `flowforge runs list` shows the runs.")
    mark = (mark_ms, 0)
    while not stop.is_set():
        try:
            await asyncio.wait_for(stop.wait(), _LOOK_S)
        except TimeoutError:
            mark = await _tell_finished(frame, installation, mark)
    frame.output.say("Ending: steps in flight may end, everything else goes on at the next start.")


async def _tell_finished(frame: Frame, installation: Installation, mark: tuple[int, int]) -> tuple[int, int]:
    async with installation.database.read() as session:
        finished = await list_finished_runs(session, DEFAULT_WORKSPACE_ID, after=mark)
    _tell(frame, finished)
    return (finished[-1].finished_at_ms or mark[0], finished[-1].no) if finished else mark


def _tell(frame: Frame, finished: Sequence[RunHeader]) -> None:
    for header in finished:
        if frame.output.is_json:
            frame.output.write_line(describe_row(header))
        elif not frame.output.is_quiet:
            length = format_length(header.duration_ms or 0)
            frame.output.write_text(f"{header.status:10} {header.workflow}  {header.id}  {length}  {header.error_code or ''}")
