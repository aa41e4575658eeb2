"""`flowforge runs cancel, pause, resume, retry, skip, resolve, signal, edit, change`: what people do with a run."""

from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit.service import record_as
from flowforge.engine.ports import RUN_QUEUE
from flowforge.entrypoints.cli.arguments import read_json, read_pairs, set_paths
from flowforge.entrypoints.cli.failures import UsageError
from flowforge.entrypoints.cli.frame import Frame, frame_of
from flowforge.entrypoints.cli.place import Place, open_place
from flowforge.entrypoints.cli.run_place import find_header, open_run, require_state, tell_run
from flowforge.entrypoints.cli.staff import find_living_workers
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.runs.changing import change_run, check_patch, describe_changeable
from flowforge.runs.steering import check_correction, check_resolve, check_retry, check_skip, refuse_ended
from flowforge.runs.types import RunHeader
from flowforge.runs.views import describe_row

RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]
StepKey = Annotated[str, typer.Argument(metavar="STEP", help="The step's id; in a loop with its path: items.3/fetch.")]
Value = Annotated[str | None, typer.Option("--output", help="JSON, @FILE, or - for stdin.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Puts these commands into `flowforge runs`."""
    for command in (cancel, pause, resume, retry, skip, resolve, signal, edit, change):
        app.command()(command)


def cancel(
    ctx: typer.Context,
    run_id: RunId,
    *,
    reason: Annotated[str, typer.Option("--reason", help="For the record.")] = "",
) -> None:
    """End a run: nothing new begins, steps in flight get 10 s, `finally` runs."""
    body: JsonObject = {"reason": reason} if reason else {}
    _send_simple(frame_of(ctx), run_id, "cancel", body, "is being cancelled", body)


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
        body: JsonObject = {"step": step}
        _send(frame, place, opened.run.header, "retry", body, f"tries {step} again", body)


def skip(ctx: typer.Context, run_id: RunId, step: StepKey, *, output: Value = None) -> None:
    """Pass over a step that waits, with an output of your own (else null)."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        opened = open_run(place, run_id)
        refuse_ended(opened.run)
        check_skip(opened.run, require_state(opened), step)
        body: JsonObject = {"step": step, "output": _read_value(place, output)}
        _send(frame, place, opened.run.header, "skip", body, f"skips {step}", {"step": step})


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
        noted: JsonObject = {"step": step, "happened": happened}
        _send(frame, place, opened.run.header, "resolve", body, f"knows about {step} now", noted)


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
        _send(frame, place, header, "signal", body, f"has the signal {name}", {"name": name, "key": key})


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
        noted: JsonObject = {"fields": [*_list_changed(opened.run.history.input, corrected)]}
        _send(frame, place, opened.run.header, "edit", {"input": corrected}, "has the corrected input", noted)


def change(
    ctx: typer.Context,
    run_id: RunId,
    *,
    labels: Annotated[
        list[str] | None,
        typer.Option("--label", help="name=value; an empty value takes it away (repeatable).", show_default=False),
    ] = None,
    subject: Annotated[
        str | None, typer.Option("--subject", help="What the run is about; empty: nothing.", show_default=False)
    ] = None,
    priority: Annotated[
        int | None, typer.Option("--priority", min=0, max=9, help="0 is first; of an open run.", show_default=False)
    ] = None,
) -> None:
    """Change labels, subject or priority of a run. What it has begun keeps its priority."""
    frame, patch = frame_of(ctx), read_change(labels, subject, priority)
    with open_place(frame) as place:
        header = find_header(place, run_id)

        async def apply(session: AsyncSession) -> RunHeader:
            before, after = await change_run(session, header, patch, if_match=None)
            if before != after:
                noted, workspace_id = (describe_changeable(before), describe_changeable(after)), place.workspace_id
                await record_as(
                    session,
                    place.author,
                    "run.updated",
                    "run",
                    after.id,
                    before=noted[0],
                    after=noted[1],
                    workspace_id=workspace_id,
                )
            return after

        after = place.write(apply)
    frame.output.confirm(f"{after.id} is changed.", describe_row(after))


def read_change(labels: list[str] | None, subject: str | None, priority: int | None) -> JsonObject:
    """The merge patch of the options, by the rules of a start.

    Raises:
        UsageError: nothing is named.
        ValidationError: a value is bad.
    """
    patch: JsonObject = {}
    if labels:
        patch["labels"] = {name: value or None for name, value in read_pairs(labels, "--label").items()}
    if subject is not None:
        patch["subject"] = subject or None
    if priority is not None:
        patch["priority"] = priority
    if not patch:
        raise UsageError("Say what to change: --label, --subject or --priority.")
    return check_patch(patch)


def _list_changed(before: JsonValue, after: JsonValue) -> list[str]:
    """The fields that differ."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return []
    return sorted(
        name for name in before.keys() | after.keys() if (name in before, before.get(name)) != (name in after, after.get(name))
    )


def _send_simple(frame: Frame, run_id: str, kind: str, body: JsonObject, told: str, noted: JsonObject | None = None) -> None:
    with open_place(frame) as place:
        _send(frame, place, find_header(place, run_id), kind, body, told, noted)


def _send(
    frame: Frame, place: Place, header: RunHeader, kind: str, body: JsonObject, told: str, noted: JsonObject | None
) -> None:
    doorbell = place.installation.doorbell
    tell_run(place, header, kind, body, noted=noted)
    doorbell.ring(RUN_QUEUE, header.no, 0)
    frame.output.confirm(f"{header.id} {told}.", {"run_id": header.id, "sent": kind})
    if not find_living_workers(place):
        frame.output.say(f"No worker runs now: `flowforge runs continue {header.id}` or `flowforge up` lets the run see it.")


def _read_value(place: Place, text: str | None) -> JsonValue:
    return None if text is None else read_json(text, place.installation.settings.limits, "--output")
