"""`flowforge run`."""

import asyncio
from dataclasses import dataclass, replace
from typing import Annotated

import typer

from flowforge.engine.births import DEFAULT_PRIORITY, StartRequest
from flowforge.engine.events import PinnedVersion
from flowforge.engine.executor import Started
from flowforge.entrypoints.cli.arguments import read_duration_ms, read_json, read_pairs, set_paths
from flowforge.entrypoints.cli.carrying import Followed, carry_run, carrying_engine, run_interruptibly
from flowforge.entrypoints.cli.codes import ExitCode, exit_code_of_status
from flowforge.entrypoints.cli.failures import CommandFailedError, format_detail
from flowforge.entrypoints.cli.frame import ACTOR, Frame, frame_of
from flowforge.entrypoints.cli.options import with_options
from flowforge.entrypoints.cli.starting import Pinned, pin_target, start_detached
from flowforge.entrypoints.wiring import Installation, open_installation
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.kit.settings import Settings
from flowforge.runs.history import History

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How `run` starts a run."""

    input_: Annotated[str, typer.Option("--input", "-i", help="The input: JSON, @FILE, or - for stdin.")] = "{}"
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="path=value into the input (repeatable).", show_default=False)
    ] = None
    labels: Annotated[list[str] | None, typer.Option("--label", help="name=value (repeatable).", show_default=False)] = None
    version: Annotated[
        int | None, typer.Option("--version", min=1, help="A version of the workflow; else the current one.", show_default=False)
    ] = None
    mocks: Annotated[bool, typer.Option("--mocks", help="Steps give their `mock` instead of running.")] = False
    idempotency_key: Annotated[
        str | None, typer.Option("--idempotency-key", help="The same key gives the same run.", show_default=False)
    ] = None
    subject: Annotated[str | None, typer.Option("--subject", help="What the run is about.", show_default=False)] = None
    priority: Annotated[int, typer.Option("--priority", min=0, max=9, help="0 goes first.")] = DEFAULT_PRIORITY
    patience: Annotated[str, typer.Option("--patience", help="How long a wait for a time may be; 0 waits for none.")] = "1m"
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Only queue it, for a running engine; print its id.")] = False


@app.command()
@with_options(RunOptions)
def run(
    ctx: typer.Context,
    target: Annotated[str, typer.Argument(metavar="FILE|NAME", help="A workflow file (- is stdin), or a published workflow.")],
    options: RunOptions,
) -> None:
    """Run a workflow file, or a published workflow by its name.

    The run is durable: after a kill `flowforge runs continue` goes on where it was. Exit code 3: it waits for a person, a signal, or
    for a time beyond --patience.
    """
    frame = frame_of(ctx)
    settings = frame.load_settings()
    patience_ms = read_duration_ms(options.patience, "--patience")
    template = _read_request(options, settings)
    installation = open_installation(settings)

    async def work() -> ExitCode:
        try:
            pinned = await pin_target(installation, target, options.version)
            _say_warnings(frame, target, pinned)
            request = replace(template, workflow=pinned.version)
            if options.detach:
                return await _detach(frame, installation, request, pinned)
            return await _carry(frame, installation, request, pinned, patience_ms)
        finally:
            await installation.aclose()

    code = asyncio.run(run_interruptibly(work(), frame.output))
    if code is not ExitCode.SUCCESS:
        raise CommandFailedError(code)


def _read_request(options: RunOptions, settings: Settings) -> StartRequest:
    """What the options say of the start; the version that it takes is looked up later."""
    value = read_json(options.input_, settings.limits, "--input")
    return StartRequest(
        workspace_id=DEFAULT_WORKSPACE_ID,
        workflow=PinnedVersion(id="", name="", version=None, digest=""),
        input=set_paths(value, options.set_ or [], settings.limits),
        actor=ACTOR,
        trigger={"kind": "manual"},
        labels=read_pairs(options.labels or [], "--label"),
        subject=options.subject,
        priority=options.priority,
        mocks=options.mocks or settings.mocks,
        timeout_ms=settings.run_timeout_ms or None,
        dedup=None if options.idempotency_key is None else f"start:{options.idempotency_key}",
    )


def _say_warnings(frame: Frame, target: str, pinned: Pinned) -> None:
    if not frame.output.is_json:
        for warning in pinned.warnings:
            frame.output.say(f"{target}:{format_detail(warning)}")


async def _detach(frame: Frame, installation: Installation, request: StartRequest, pinned: Pinned) -> ExitCode:
    run_id = await start_detached(installation, request, pinned.workflow)
    if frame.output.is_json:
        frame.output.write_line({"run_id": run_id})
    else:
        frame.output.write_text(run_id)
    return ExitCode.SUCCESS


async def _carry(frame: Frame, installation: Installation, request: StartRequest, pinned: Pinned, patience_ms: int) -> ExitCode:
    started: Started | None = None
    try:
        async with carrying_engine(installation, "run") as engine:
            started = await engine.start(request)
            title = f"{pinned.workflow.title}  {started.run_id}"
            run_no = started.run_no
            followed = Followed(run_no, started.run_id, title, History(pinned.workflow))
            status = await carry_run(engine, installation, frame.output, followed, patience_ms=patience_ms)
    except asyncio.CancelledError:
        if started is not None:
            frame.output.say(f"Interrupted; `flowforge runs continue {started.run_id}` goes on where it was.")
        raise
    return exit_code_of_status(status)
