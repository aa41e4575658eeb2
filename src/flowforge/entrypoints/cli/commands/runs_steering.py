"""`flowforge runs cancel, pause, resume, retry, skip, resolve, signal, edit`: messages to a run."""

from typing import Annotated

import typer

from flowforge.engine.ports import RUN_QUEUE
from flowforge.entrypoints.cli.arguments import read_json, set_paths
from flowforge.entrypoints.cli.failures import UsageError
from flowforge.entrypoints.cli.frame import ACTOR, Frame, frame_of
from flowforge.entrypoints.cli.place import Place, open_place
from flowforge.entrypoints.cli.run_place import find_header, open_run, require_state
from flowforge.entrypoints.cli.staff import find_living_workers
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.runs.steering import check_correction, check_resolve, check_retry, check_skip, refuse_ended, send_mail
from flowforge.runs.types import RunHeader

RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]
StepKey = Annotated[str, typer.Argument(metavar="STEP", help="The step's id; in a loop with its path: items.3/fetch.")]
Value = Annotated[str | None, typer.Option("--output", help="JSON, @FILE, or - for stdin.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Puts these commands into `flowforge runs`."""
    for command in (cancel, pause, resume, retry, skip, resolve, signal, edit):
        app.command()(command)


def cancel(
    ctx: typer.Context,
    run_id: RunId,
    *,
    reason: Annotated[str, typer.Option("--reason", help="For the record.")] = "",
) -> None:
    """End a run: nothing new begins, steps in flight get 10 s, `finally` runs."""
    body: JsonObject = {"reason": reason} if reason else {}
    _send_simple(frame_of(ctx), run_id, "cancel", body, "is being cancelled")


def pause(ctx: typer.Context, run_id: RunId) -> None:
    """Begin no further step until the run is resumed. Steps in flight end, timers go on."""
    _send_simple(frame_of(ctx), run_id, "pause", {}, "pauses")


def resume(ctx: typer.Context, run_id: RunId) -> None:
    """Let a paused run go on."""
    _send_simple(frame_of(ctx), run_id, "resume", {}, "goes on")


def retry(ctx: typer.Context, run_id: RunId, step: StepKey) -> None:
    """Try a step again that waits for a person, or for its next attempt."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        opened = open_run(place, run_id)
        refuse_ended(opened.run)
        check_retry(opened.run, require_state(opened), step)
        _send(frame, place, opened.run.header, "retry", {"step": step}, f"tries {step} again")


def skip(ctx: typer.Context, run_id: RunId, step: StepKey, *, output: Value = None) -> None:
    """Pass over a step that waits, with an output of your own (else null)."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        opened = open_run(place, run_id)
        refuse_ended(opened.run)
        check_skip(opened.run, require_state(opened), step)
        body: JsonObject = {"step": step, "output": _read_value(place, output)}
        _send(frame, place, opened.run.header, "skip", body, f"skips {step}")


def resolve(
    ctx: typer.Context,
    run_id: RunId,
    step: StepKey,
    *,
    happened: Annotated[
        bool | None, typer.Option("--happened/--did-not-happen", help="Whether the effect took place.", show_default=False)
    ] = None,
    output: Value = None,
) -> None:
    """Say whether the effect of a step took place, of which nobody knows.

    It did: the step is completed with --output. It did not: the step is done again under the same key.
    """
    if happened is None:
        raise UsageError("Say --happened or --did-not-happen.")
    frame = frame_of(ctx)
    with open_place(frame) as place:
        opened = open_run(place, run_id)
        refuse_ended(opened.run)
        check_resolve(opened.run, require_state(opened), step)
        body: JsonObject = {"step": step, "happened": happened}
        if happened:
            body["output"] = _read_value(place, output)
        _send(frame, place, opened.run.header, "resolve", body, f"knows about {step} now")


def signal(
    ctx: typer.Context,
    run_id: RunId,
    name: Annotated[str, typer.Argument(help="The signal's name.")],
    *,
    key: Annotated[str | None, typer.Option("--key", help="For waits with this key.", show_default=False)] = None,
    payload: Annotated[str, typer.Option("--payload", help="JSON, @FILE, or - for stdin.")] = "null",
) -> None:
    """Send a signal. It is kept until a step of the run waits for it."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        header = find_header(place, run_id)
        body: JsonObject = {"name": name, "payload": _read_value(place, payload)}
        if key is not None:
            body["key"] = key
        _send(frame, place, header, "signal", body, f"has the signal {name}")


def edit(
    ctx: typer.Context,
    run_id: RunId,
    *,
    input_: Annotated[str | None, typer.Option("--input", "-i", help="The whole input.", show_default=False)] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="path=value (repeatable).", show_default=False)] = None,
) -> None:
    """Correct the input of an open run. What is evaluated later sees it; the journal keeps both."""
    if input_ is None and not set_:
        raise UsageError("Say what to correct: --input or --set.")
    frame = frame_of(ctx)
    with open_place(frame) as place:
        opened = open_run(place, run_id)
        refuse_ended(opened.run)
        limits = place.installation.settings.limits
        value = opened.run.history.input if input_ is None else read_json(input_, limits, "--input")
        corrected = check_correction(opened.run, set_paths(value, set_ or [], limits))
        _send(frame, place, opened.run.header, "edit", {"input": corrected}, "has the corrected input")


def _send_simple(frame: Frame, run_id: str, kind: str, body: JsonObject, told: str) -> None:
    with open_place(frame) as place:
        _send(frame, place, find_header(place, run_id), kind, body, told)


def _send(frame: Frame, place: Place, header: RunHeader, kind: str, body: JsonObject, told: str) -> None:
    doorbell = place.installation.doorbell
    send_mail(place.installation.store, header, kind, body, by=ACTOR)
    doorbell.ring(RUN_QUEUE, header.no, 0)
    frame.output.confirm(f"{header.id} {told}.", {"run_id": header.id, "sent": kind})
    if not find_living_workers(place):
        frame.output.say(f"No worker runs now: `flowforge runs continue {header.id}` or `flowforge up` lets the run see it.")


def _read_value(place: Place, text: str | None) -> JsonValue:
    return None if text is None else read_json(text, place.installation.settings.limits, "--output")
