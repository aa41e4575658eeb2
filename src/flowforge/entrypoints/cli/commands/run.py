"""`flowforge run`."""

import asyncio
from typing import Annotated

import typer

from flowforge.engine.births import DEFAULT_PRIORITY, StartRequest
from flowforge.engine.store import Verdict
from flowforge.entrypoints.cli.arguments import read_duration_ms, read_json, read_pairs, set_paths
from flowforge.entrypoints.cli.codes import ExitCode
from flowforge.entrypoints.cli.execution import (
    INTERRUPT_GRACE_MS,
    Followed,
    carry_run,
    exit_code_of_status,
    run_interruptibly,
)
from flowforge.entrypoints.cli.failures import CommandFailedError, format_detail
from flowforge.entrypoints.cli.frame import ACTOR, Frame, frame_of
from flowforge.entrypoints.cli.starting import Pinned, find_run, pin_target, start_detached
from flowforge.entrypoints.running import log_to_folder, open_engine
from flowforge.entrypoints.wiring import Installation, open_installation
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID
from flowforge.kit.masking import Masker
from flowforge.runs.history import History

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def run(  # noqa: PLR0913 (the options are the contract's)
    ctx: typer.Context,
    target: Annotated[str, typer.Argument(metavar="FILE|NAME", help="A workflow file (- is stdin), or a published workflow.")],
    *,
    input_: Annotated[str, typer.Option("--input", "-i", help="The input: JSON, @FILE, or - for stdin.")] = "{}",
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="path=value into the input (repeatable).", show_default=False)
    ] = None,
    labels: Annotated[list[str] | None, typer.Option("--label", help="name=value (repeatable).", show_default=False)] = None,
    version: Annotated[
        int | None, typer.Option("--version", min=1, help="A version of the workflow; else the current one.", show_default=False)
    ] = None,
    mocks: Annotated[bool, typer.Option("--mocks", help="Steps give their `mock` instead of running.")] = False,
    idempotency_key: Annotated[
        str | None, typer.Option("--idempotency-key", help="The same key gives the same run.", show_default=False)
    ] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="What the run is about.", show_default=False)] = None,
    priority: Annotated[int, typer.Option("--priority", min=0, max=9, help="0 goes first.")] = DEFAULT_PRIORITY,
    patience: Annotated[str, typer.Option("--patience", help="How long a wait for a time may be; 0 waits for none.")] = "1m",
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Only queue it, for a running engine; print its id.")] = False,
) -> None:
    """Run a workflow file, or a published workflow by its name.

    The run is durable: after a kill `flowforge runs continue` goes on where it was. Exit code 3: it waits for a person, a signal, or
    for a time beyond --patience.
    """
    frame = frame_of(ctx)
    settings = frame.load_settings()
    value = set_paths(read_json(input_, settings.limits, "--input"), set_ or [], settings.limits)
    patience_ms = read_duration_ms(patience, "--patience")
    named_labels = read_pairs(labels or [], "--label")
    installation = open_installation(settings)

    async def work() -> ExitCode:
        try:
            pinned = await pin_target(installation, target, version)
            _say_warnings(frame, target, pinned)
            request = StartRequest(
                workspace_id=DEFAULT_WORKSPACE_ID,
                workflow=pinned.version,
                input=value,
                actor=ACTOR,
                trigger={"kind": "manual"},
                labels=named_labels,
                subject=subject,
                priority=priority,
                mocks=mocks or settings.mocks,
                dedup=None if idempotency_key is None else f"start:{idempotency_key}",
            )
            if detach:
                return await _detach(frame, installation, request, pinned)
            return await _carry(frame, installation, request, pinned, patience_ms)
        finally:
            await installation.aclose()

    code = asyncio.run(run_interruptibly(work()))
    if code is not ExitCode.SUCCESS:
        raise CommandFailedError(code)


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
    masker = Masker()
    engine_of = open_engine(installation, name="run", takes_all=False, grace_ms=INTERRUPT_GRACE_MS, masker=masker)
    run_id = ""
    try:
        with log_to_folder(installation, masker):
            async with engine_of as engine:
                started = await engine.start(request)
                run_id, run_no = started.run_id, started.run_no
                if started.verdict is Verdict.DUPLICATE:
                    header = await find_run(installation, run_id)
                    run_no = header.no
                    engine.adopt(run_no)
                followed = Followed(run_no, run_id, f"{pinned.workflow.title}  {run_id}", History(pinned.workflow))
                status = await carry_run(engine, installation, frame.output, followed, patience_ms=patience_ms)
    except asyncio.CancelledError:
        frame.output.say(f"Interrupted; `flowforge runs continue {run_id}` goes on where it was.")
        raise
    return exit_code_of_status(status)
