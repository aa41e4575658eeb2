"""`flowforge runs`: looking at runs. Steering them is in `runs_steering`, continuing them in `runs_continuing`."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final, cast

import typer

from flowforge.entrypoints.cli.arguments import read_pairs, read_time_ms, write_file
from flowforge.entrypoints.cli.codes import exit_code_of_status
from flowforge.entrypoints.cli.columns import show_value
from flowforge.entrypoints.cli.commands import runs_continuing, runs_steering
from flowforge.entrypoints.cli.commands.run_columns import (
    EFFECTS_COLUMNS,
    EVENTS_COLUMNS,
    LIST_COLUMNS,
    LOGS_COLUMNS,
    TREE_COLUMNS,
)
from flowforge.entrypoints.cli.failures import CommandFailedError, UsageError
from flowforge.entrypoints.cli.frame import Frame, frame_of
from flowforge.entrypoints.cli.options import with_options
from flowforge.entrypoints.cli.output import Output
from flowforge.entrypoints.cli.place import Place, open_place
from flowforge.entrypoints.cli.progress import make_progress, print_result, print_timeline
from flowforge.entrypoints.cli.run_place import OpenedRun, find_header, open_run
from flowforge.kit.border import encode
from flowforge.kit.values import JsonObject
from flowforge.runs.diagnosing import diagnose_run
from flowforge.runs.effects import read_effects
from flowforge.runs.events import EventStream
from flowforge.runs.export import export_run
from flowforge.runs.history import History
from flowforge.runs.relatives import list_relatives
from flowforge.runs.service import LoadedRun, RunFilter, list_logs, list_runs, load_run, read_journal
from flowforge.runs.types import JournalTurn, RunHeader
from flowforge.runs.views import describe_effect, describe_log, describe_row, describe_run, describe_step, error_of, output_of

app = typer.Typer(
    add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="Look at runs, steer them, continue them."
)

RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]

TREE_MAX: Final = 1_000
_POLL_S: Final = 0.25
_STATUSES: Final = ("queued", "running", "waiting", "paused", "completed", "failed", "cancelled", "timed_out")


@dataclass(frozen=True, slots=True)
class ListOptions:
    """Which runs `list` shows."""

    statuses: Annotated[
        list[str] | None, typer.Option("--status", help="Only these (repeatable, or by comma).", show_default=False)
    ] = None
    workflow: Annotated[str | None, typer.Option("--workflow", "-w", help="Its name or id.", show_default=False)] = None
    since: Annotated[str | None, typer.Option("--since", help="Started from then on: a time, or 2h, 7d.", show_default=False)] = (
        None
    )
    until: Annotated[str | None, typer.Option("--until", help="Started before then.", show_default=False)] = None
    subject: Annotated[str | None, typer.Option("--subject", help="What they are about.", show_default=False)] = None
    labels: Annotated[list[str] | None, typer.Option("--label", help="name=value (repeatable).", show_default=False)] = None
    error_codes: Annotated[list[str] | None, typer.Option("--error", help="An error code (repeatable).", show_default=False)] = (
        None
    )
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="At most so many.")] = 50
    cursor: Annotated[str | None, typer.Option("--cursor", help="Go on where a list ended.", show_default=False)] = None


@app.command("list")
@with_options(ListOptions)
def list_(ctx: typer.Context, options: ListOptions) -> None:
    """Runs, the newest first."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        wanted = _read_filter(options, place.now_ms)
        cursor, limit = options.cursor, options.limit
        page = place.report(lambda session: list_runs(session, place.workspace_id, wanted, cursor=cursor, limit=limit))
    frame.output.write_rows(map(describe_row, page.items), LIST_COLUMNS, empty="There is no such run.")
    if page.cursor is not None:
        frame.output.say(f"There are more: --cursor {page.cursor}")


def _read_filter(options: ListOptions, now_ms: int) -> RunFilter:
    return RunFilter(
        statuses=read_statuses(options.statuses or []),
        workflow=options.workflow,
        since_ms=None if options.since is None else read_time_ms(options.since, now_ms, "--since"),
        until_ms=None if options.until is None else read_time_ms(options.until, now_ms, "--until"),
        subject=options.subject,
        error_codes=tuple(options.error_codes or ()),
        labels=read_pairs(options.labels or [], "--label"),
    )


def read_statuses(given: list[str]) -> tuple[str, ...]:
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


SHOWN: Final = ("id", "workflow", "version", "status", "subject", "labels", "triggered_by", "started_at", "finished_at", "input")


def _print_run(frame: Frame, opened: OpenedRun, described: JsonObject) -> None:
    header = {name: described[name] for name in SHOWN if described[name] not in (None, {}, "")}
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
        _follow(frame, place, run, history)
        assert history.finished is not None
        status = history.finished["status"]
        output, error = output_of(history, place.installation.load_blob), error_of(history)
    print_result(frame.output, {"run_id": run_id, "status": status, "output": output, "error": error}, history)
    code = exit_code_of_status(status)
    if code:
        raise CommandFailedError(code)


def _follow(frame: Frame, place: Place, run: LoadedRun, history: History) -> None:
    """Shows the run until it has ended."""
    progress = make_progress(history, frame.output, f"{run.header.workflow}  {run.header.id}", place.installation.clock)
    turns = run.turns
    try:
        while True:
            for turn in turns:
                progress.update(turn)
            if history.finished is not None:
                return
            time.sleep(_POLL_S)
            turns = _read_new(place, run.header, history.last_seq)
    finally:
        progress.close()


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
        run = _load(place, run_id)
        header, stream = run.header, EventStream(History(run.workflow))
        while True:
            turns = _read_new(place, header, stream.history.last_seq)
            made = [event.as_json() for turn in turns for event in stream.read(turn) if event.seq > after]
            if made or not is_followed:
                frame.output.write_rows(made, EVENTS_COLUMNS, empty="There is no such event.")
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
        frame.output.write_rows(shown, LOGS_COLUMNS)
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
    frame.output.write_rows(rows, EFFECTS_COLUMNS, empty="The run has touched nothing outside.")


@app.command()
def tree(ctx: typer.Context, run_id: RunId) -> None:
    """The runs that called this one, the run itself, and those that it called, each below the one that called it."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        header = find_header(place, run_id)
        page = place.report(lambda session: list_relatives(session, header, limit=TREE_MAX, cursor=None))
    frame.output.write_rows(page.items, TREE_COLUMNS)
    if page.cursor is not None:
        frame.output.say(f"There are more than {TREE_MAX}; `flowforge runs list` finds every one.")


@app.command()
def diagnose(ctx: typer.Context, run_id: RunId) -> None:
    """What went wrong, whether it is new, and what helps."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        opened = open_run(place, run_id)
        told = place.read(lambda session: diagnose_run(session, opened, place.now_ms))
    print_diagnosis(frame.output, told)


def print_diagnosis(output: Output, told: JsonObject) -> None:
    if output.is_json:
        output.write_line(told)
        return
    output.write_text(show_value(told["sentence"]))
    error = told["error"]
    if isinstance(error, dict):
        output.write_text(f"{error['code']} at {told['failing_step']}: {error['message']}")
        output.write_text(f"So failed in the last 7 days: {told['same_error']} runs.")
    for suggestion in cast("list[JsonObject]", told["suggestions"]):
        request = suggestion.get("request")
        output.write_text(f"  {suggestion['text']}" + (f"  ({request})" if request else ""))


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
