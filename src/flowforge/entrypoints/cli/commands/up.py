"""`flowforge up`."""

import asyncio
from collections.abc import Sequence
from importlib.resources import files
from typing import Annotated, Final

import typer

from flowforge.engine.births import StartRequest
from flowforge.engine.executor import Engine
from flowforge.entrypoints.cli.carrying import Followed, carry_run, exit_code_of_status, stopping
from flowforge.entrypoints.cli.codes import ExitCode
from flowforge.entrypoints.cli.failures import CommandFailedError, UsageError
from flowforge.entrypoints.cli.frame import Frame, frame_of
from flowforge.entrypoints.cli.starting import pin_target
from flowforge.entrypoints.running import log_to_folder, open_engine
from flowforge.entrypoints.wiring import Installation, open_installation
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.kit.masking import Masker
from flowforge.language.reading.document_reader import DocumentFormat
from flowforge.runs.history import History
from flowforge.runs.service import RunFilter, list_finished_runs, list_runs
from flowforge.runs.times import format_length
from flowforge.runs.types import RunHeader
from flowforge.runs.views import describe_row
from flowforge.workflows.service import prepare_publication, publish, push_draft
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
) -> None:
    """Run the engine on the data folder until it is told to stop.

    It takes up all open runs, those of dead workers too. A new data folder gets a sample workflow, which is run once. Ctrl-C or SIGTERM
    ends it in order: steps in flight get SHUTDOWN_GRACE. Where DATABASE_URL is set, `worker` and `scheduler` do this.
    """
    frame = frame_of(ctx)
    settings = frame.load_settings()
    if settings.database_url is not None:
        raise UsageError(
            "`flowforge up` works on a data folder, and DATABASE_URL names a database that many share: start `flowforge worker` and "
            "`flowforge scheduler`, or unset DATABASE_URL."
        )
    installation = open_installation(settings)
    code = asyncio.run(_serve(frame, installation, is_once=is_once, has_sample=has_sample))
    if code is not ExitCode.SUCCESS:
        raise CommandFailedError(code)


async def _serve(frame: Frame, installation: Installation, *, is_once: bool, has_sample: bool) -> ExitCode:
    masker = Masker()
    stop = asyncio.Event()
    try:
        with log_to_folder(installation, masker), stopping(stop.set):
            return await _run_engine(frame, installation, masker, stop, is_once=is_once, has_sample=has_sample)
    finally:
        await installation.aclose()


async def _run_engine(
    frame: Frame, installation: Installation, masker: Masker, stop: asyncio.Event, *, is_once: bool, has_sample: bool
) -> ExitCode:
    grace_ms = installation.settings.shutdown_grace_ms
    async with open_engine(installation, name="up", takes_all=True, grace_ms=grace_ms, masker=masker) as engine:
        code = ExitCode.SUCCESS
        if has_sample and await _is_new(installation):
            code = await _run_sample(frame, installation, engine)
        if not is_once:
            await _stay(frame, installation, stop)
        return code


async def _is_new(installation: Installation) -> bool:
    async with installation.database.read() as session:
        page = await list_runs(session, DEFAULT_WORKSPACE_ID, RunFilter(), limit=1)
    return not page.items


async def _run_sample(frame: Frame, installation: Installation, engine: Engine) -> ExitCode:
    frame.output.say("A new data folder: running the sample workflow once.")
    await publish_sample(installation)
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


async def publish_sample(installation: Installation) -> None:
    """Puts the sample among the workflows, as a person would: pushed and published."""
    data = files("flowforge.entrypoints").joinpath("samples", f"{SAMPLE}.yaml").read_bytes()
    check, at_ms = installation.check_source, installation.clock.now_ms()
    sessions = installation.database.write
    async with sessions.begin() as session:
        source = Source(data, DocumentFormat.YAML)
        pushed = await push_draft(session, _ACTOR, DEFAULT_WORKSPACE_ID, source, check=check, at_ms=at_ms)
    if not pushed.workflow.has_draft:
        return
    async with installation.database.read() as session:
        publication = await prepare_publication(session, DEFAULT_WORKSPACE_ID, SAMPLE, check=check)
    installation.store.define(publication.digest, publication.definition)
    async with sessions.begin() as session:
        await publish(session, _ACTOR, DEFAULT_WORKSPACE_ID, publication, note="The sample", at_ms=at_ms)


async def _stay(frame: Frame, installation: Installation, stop: asyncio.Event) -> None:
    """Tells the runs that end, until it is time to stop."""
    frame.output.say(f"FlowForge is up on {installation.folder.root}. Ctrl-C ends it; `flowforge runs list` shows the runs.")
    mark = (installation.clock.now_ms(), 0)
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
