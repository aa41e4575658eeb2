"""`flowforge runs`: looking at runs. Steering them is in `runs_steering`, continuing them in `runs_continuing`."""

import json
import time
from collections.abc import Iterator
from typing import Annotated, Final

import typer

from flowforge.entrypoints.cli.arguments import read_pairs, read_time_ms, write_file
from flowforge.entrypoints.cli.commands import runs_continuing, runs_steering
from flowforge.entrypoints.cli.execution import exit_code_of_status
from flowforge.entrypoints.cli.failures import CommandFailedError, UsageError
from flowforge.entrypoints.cli.frame import Frame, frame_of
from flowforge.entrypoints.cli.output import Column, field, show_value, status
from flowforge.entrypoints.cli.place import Place, open_place
from flowforge.entrypoints.cli.progress import make_progress, print_result, print_timeline
from flowforge.entrypoints.cli.run_place import OpenedRun, find_header, open_run
from flowforge.kit.border import encode
from flowforge.kit.values import JsonObject
from flowforge.runs.effects import read_effects
from flowforge.runs.events import EventStream
from flowforge.runs.export import export_run
from flowforge.runs.history import History
from flowforge.runs.service import LoadedRun, RunFilter, list_logs, list_runs, load_run, read_journal
from flowforge.runs.times import format_length
from flowforge.runs.types import JournalTurn, RunHeader
from flowforge.runs.views import describe_effect, describe_log, describe_row, describe_run, describe_step, error_of, output_of

app = typer.Typer(
    add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="Look at runs, steer them, continue them."
)

RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]

_POLL_S: Final = 0.25
_STATUSES: Final = ("queued", "running", "waiting", "paused", "completed", "failed", "cancelled", "timed_out")


def _length(row: JsonObject) -> str:
    duration_ms = row.get("duration_ms")
    return format_length(duration_ms) if isinstance(duration_ms, int) else ""


_LIST: Final = (
    field("run", "id", style="bold"),
    field("workflow", "workflow"),
    field("version", "version"),
    status(),
    field("started", "started_at"),
    Column("took", _length),
    field("error", "error_code"),
    field("subject", "subject"),
)
_EVENTS: Final = (
    field("seq", "seq"),
    field("time", "time"),
    field("event", "type", style="bold"),
    Column("step", lambda row: _show_place(row.get("data"))),
    Column("what", lambda row: _show_rest(row.get("data"))),
)
_LOGS: Final = (
    field("time", "time"),
    field("level", "level"),
    Column("step", lambda row: _show_place(row), style="bold"),
    field("message", "message"),
    Column("fields", lambda row: show_value(row["fields"]) if row["fields"] else ""),
)
_EFFECTS: Final = (
    Column("step", lambda row: _show_place(row), style="bold"),
    field("attempt", "attempt"),
    field("operation", "operation"),
    field("target", "target"),
    status("state", "state"),
    field("planned", "planned_at"),
    field("key", "key"),
)


def _show_place(data: object) -> str:
    if not isinstance(data, dict) or "step" not in data:
        return ""
    known: JsonObject = data
    return f"{known['iteration']}/{known['step']}" if known.get("iteration") else show_value(known["step"])


def _show_rest(data: object) -> str:
    if not isinstance(data, dict):
        return ""
    known: JsonObject = data
    hidden = ("run_id", "workflow_id", "step", "iteration")
    return "  ".join(f"{name}={show_value(value)}" for name, value in known.items() if name not in hidden and value is not None)


@app.command("list")
def list_(  # noqa: PLR0913 (the options are the contract's)
    ctx: typer.Context,
    *,
    statuses: Annotated[
        list[str] | None, typer.Option("--status", help="Only these (repeatable, or by comma).", show_default=False)
    ] = None,
    workflow: Annotated[str | None, typer.Option("--workflow", "-w", help="Its name or id.", show_default=False)] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Started from then on: a time, or 2h, 7d.", show_default=False)
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="Started before then.", show_default=False)] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="What they are about.", show_default=False)] = None,
    labels: Annotated[list[str] | None, typer.Option("--label", help="name=value (repeatable).", show_default=False)] = None,
    error_codes: Annotated[
        list[str] | None, typer.Option("--error", help="An error code (repeatable).", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="At most so many.")] = 50,
    cursor: Annotated[str | None, typer.Option("--cursor", help="Go on where a list ended.", show_default=False)] = None,
) -> None:
    """Runs, the newest first."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        wanted = RunFilter(
            statuses=_read_statuses(statuses or []),
            workflow=workflow,
            since_ms=None if since is None else read_time_ms(since, place.now_ms, "--since"),
            until_ms=None if until is None else read_time_ms(until, place.now_ms, "--until"),
            subject=subject,
            error_codes=tuple(error_codes or ()),
            labels=read_pairs(labels or [], "--label"),
        )
        page = place.read(lambda session: list_runs(session, place.workspace_id, wanted, cursor=cursor, limit=limit))
    frame.output.write_rows(map(describe_row, page.items), _LIST, empty="There is no such run.")
    if page.cursor is not None:
        frame.output.say(f"There are more: --cursor {page.cursor}")


def _read_statuses(given: list[str]) -> tuple[str, ...]:
    statuses = tuple(part.strip() for text in given for part in text.split(","))
    unknown = [name for name in statuses if name not in _STATUSES]
    if unknown:
        raise UsageError(f"{unknown[0]!r} is no status; there are {', '.join(_STATUSES)}.")
    return statuses


@app.command()
def show(
    ctx: typer.Context,
    run_id: RunId,
    *,
    has_steps: Annotated[bool, typer.Option("--steps/--no-steps", help="With its steps.")] = True,
) -> None:
    """One run: where it stands, its steps as a timeline, its error, and what to do next."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        opened = open_run(place, run_id)
        described = _describe(opened, place, has_steps=has_steps)
    if frame.output.is_json:
        frame.output.write_line(described)
        return
    _print_run(frame, opened, described)


def _describe(opened: OpenedRun, place: Place, *, has_steps: bool) -> JsonObject:
    run = opened.run
    described = describe_run(run.header, run.history, opened.steps, place.installation.load_blob, status=opened.status)
    if has_steps:
        described["steps"] = [describe_step(step) for step in opened.steps]
    return described


_SHOWN: Final = ("id", "workflow", "version", "status", "subject", "labels", "triggered_by", "started_at", "finished_at", "input")


def _print_run(frame: Frame, opened: OpenedRun, described: JsonObject) -> None:
    header = {name: described[name] for name in _SHOWN if described[name] not in (None, {}, "")}
    frame.output.write_object(header, title=opened.run.workflow.title if opened.run.workflow else "")
    frame.output.write_text("")
    print_timeline(opened.run.history, opened.standing.now_ms, opened.steps)
    frame.output.write_text("")
    if described["output"] is not None:
        frame.output.write_text(f"output: {json.dumps(described['output'], ensure_ascii=False, indent=2)}")
    frame.output.write_text(show_value(opened.explain()["sentence"]))
    for hint in _list_hints(opened):
        frame.output.write_text(hint)


def _list_hints(opened: OpenedRun) -> Iterator[str]:
    """What a person may do next."""
    run_id = opened.run.header.id
    for wait in opened.run.history.list_waits():
        if wait.kind == "attention":
            reason = wait.ref.get("reason")
            how = "resolve" if reason == "outcome_unknown" else "retry"
            yield f"  flowforge runs {how} {run_id} {wait.step}    (or skip)"
        elif wait.kind == "signal":
            yield f"  flowforge runs signal {run_id} {show_value(wait.ref.get('name'))}"
    if opened.status == "paused":
        yield f"  flowforge runs resume {run_id}"
    if opened.run.header.is_open and not opened.standing.workers:
        yield f"  flowforge runs continue {run_id}"


@app.command()
def watch(ctx: typer.Context, run_id: RunId) -> None:
    """Follow a run, wherever it is carried on, until it ends. Exit code as of `run`."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        run = _load(place, run_id)
        history = History(run.workflow)
        title = f"{run.header.workflow}  {run_id}"
        progress = make_progress(history, frame.output, title, place.installation.clock)
        try:
            for turn in run.turns:
                progress.update(turn)
            while history.finished is None:
                time.sleep(_POLL_S)
                for turn in _read_new(place, run.header, history.last_seq):
                    progress.update(turn)
        finally:
            progress.close()
        result: JsonObject = {
            "run_id": run_id,
            "status": history.finished["status"],
            "output": output_of(history, place.installation.load_blob),
            "error": error_of(history),
        }
        print_result(frame.output, result, history)
    code = exit_code_of_status(history.finished["status"])
    if code:
        raise CommandFailedError(code)


def _load(place: Place, run_id: str) -> LoadedRun:
    find_header(place, run_id)
    compile_definition = place.installation.compile_definition
    return place.read(lambda session: load_run(session, place.workspace_id, run_id, compile_definition=compile_definition))


def _read_new(place: Place, header: RunHeader, after_seq: int) -> list[JournalTurn]:
    return place.read(lambda session: read_journal(session, header, after_seq=after_seq))


@app.command()
def events(
    ctx: typer.Context,
    run_id: RunId,
    *,
    after: Annotated[int, typer.Option("--after", min=0, help="Only those behind this seq.")] = 0,
    is_followed: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run ends.")] = False,
) -> None:
    """What happened in a run, event by event."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        header = find_header(place, run_id)
        stream = EventStream()
        while True:
            turns = _read_new(place, header, stream.history.last_seq)
            made = [event.as_json() for turn in turns for event in stream.read(turn) if event.seq > after]
            if made or not is_followed:
                frame.output.write_rows(made, _EVENTS, empty="There is no such event.")
            if not is_followed or stream.history.finished is not None:
                return
            time.sleep(_POLL_S)


@app.command()
def logs(
    ctx: typer.Context,
    run_id: RunId,
    *,
    step: Annotated[str | None, typer.Option("--step", help="Only of this step.", show_default=False)] = None,
    is_followed: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run ends.")] = False,
) -> None:
    """What the steps of a run wrote to its log."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        seen_no = 0
        while True:
            header = find_header(place, run_id)
            seen_no = _write_logs(frame, place, header, seen_no, step)
            if not is_followed or not header.is_open:
                return
            time.sleep(_POLL_S)


def _write_logs(frame: Frame, place: Place, header: RunHeader, after_no: int, step: str | None) -> int:
    """Everything behind a line; the number of the last one."""
    while True:
        lines, last_no = place.read(lambda session, after=after_no: list_logs(session, header, after_no=after))
        if not lines:
            return last_no
        shown = [describe_log(line) for line in lines if step in (None, line.step_key)]
        frame.output.write_rows(shown, _LOGS)
        after_no = last_no


@app.command()
def why(ctx: typer.Context, run_id: RunId) -> None:
    """One true sentence: why the run is where it is."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        explained = open_run(place, run_id).explain()
    if frame.output.is_json:
        frame.output.write_line(explained)
    else:
        frame.output.write_text(show_value(explained["sentence"]))


@app.command()
def effects(ctx: typer.Context, run_id: RunId) -> None:
    """What the run did to the world: planned, confirmed, failed, or unknown."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        run = _load(place, run_id)
    rows = [describe_effect(effect) for effect in read_effects(run.turns, run.workflow)]
    frame.output.write_rows(rows, _EFFECTS, empty="The run has touched nothing outside.")


@app.command()
def export(
    ctx: typer.Context,
    run_id: RunId,
    *,
    file: Annotated[str | None, typer.Option("--output", "-o", help="Write it to this file.", show_default=False)] = None,
) -> None:
    """The run as one JSON document: definition, journal, effects. Secrets are in it by name only."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        document = encode(export_run(_load(place, run_id))) + b"\n"
    if file is None:
        frame.output.write_bytes(document)
        return
    write_file(file, document)
    frame.output.confirm(f"Wrote {file}.", {"run_id": run_id, "file": file})


runs_steering.register(app)
runs_continuing.register(app)
