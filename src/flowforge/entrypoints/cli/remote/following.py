"""A run of a server, followed until it ends or stands still."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from flowforge.entrypoints.cli.codes import ExitCode, exit_code_of_status
from flowforge.entrypoints.cli.failures import CommandFailedError
from flowforge.entrypoints.cli.remote.connection import Server
from flowforge.entrypoints.cli.remote.paths import make_path
from flowforge.kit.clock import SystemClock
from flowforge.kit.values import JsonObject
from flowforge.language.times import parse_timestamp_ms
from flowforge.runs.timeline import draw_timeline
from flowforge.runs.times import format_length
from flowforge.runs.types import NOTHING, TERMINAL_STATUSES, Attempt, ErrorValue, StepRecord, WaitingFor

_WAIT: Final = "2s"
"""How long one request waits for an event, before it is looked whether the run stands still."""
_STILL: Final = frozenset({"signal", "attention"})


@dataclass(frozen=True, slots=True)
class EventsRead:
    """Some events of a run, in order. `after`: the number behind which the next ones are."""

    events: Sequence[JsonObject]
    after: int
    has_more: bool
    has_ended: bool


def read_events(server: Server, run_id: str, after: int, *, is_waiting: bool) -> EventsRead:
    """The events behind a number; `is_waiting`: stays for a moment where there is none yet."""
    query = {"after": after, "limit": 200, "wait": _WAIT if is_waiting else None}
    page = server.get(make_path("runs", run_id, "events"), query)
    found = cast("list[JsonObject]", page["data"])
    last = cast("int", found[-1]["seq"]) if found else after
    return EventsRead(found, last, page.get("next_cursor") is not None, page["has_ended"] is True)


def follow_run(server: Server, run: JsonObject, *, patience_ms: int | None) -> JsonObject:
    """Shows a run's events until it has ended, or stands still for a person, a signal, or a time beyond the patience; the run then.

    `patience_ms` None: until it has ended.
    """
    clock = SystemClock()
    run_id, after, begun_ms = str(run["id"]), 0, clock.now_ms()
    while True:
        page = read_events(server, run_id, after, is_waiting=True)
        after = page.after
        if server.output.is_json and not server.output.is_quiet:
            for event in page.events:
                server.output.write_line(event)
        if page.has_ended:
            return server.get(make_path("runs", run_id))
        if page.has_more or (page.events and patience_ms is None):
            continue
        run = server.get(make_path("runs", run_id))
        if patience_ms is not None and _stands_still(run, clock.now_ms(), begun_ms, patience_ms):
            return run


def has_ended(run: Mapping[str, object]) -> bool:
    return run["status"] in TERMINAL_STATUSES


def _stands_still(run: JsonObject, now_ms: int, begun_ms: int, patience_ms: int) -> bool:
    if run["status"] == "paused":
        return True
    if run["status"] == "queued":
        return now_ms - begun_ms >= patience_ms
    waits = cast("list[JsonObject]", run["waiting_for"])
    return run["status"] == "waiting" and bool(waits) and all(_is_beyond(wait, now_ms, patience_ms) for wait in waits)


def _is_beyond(wait: JsonObject, now_ms: int, patience_ms: int) -> bool:
    until_ms = _read_ms(wait["until"])
    if wait["kind"] in _STILL:
        return True
    return until_ms is not None and until_ms - now_ms > patience_ms


def print_run_result(server: Server, run: JsonObject) -> None:
    """The end of `run` and `watch`: the last JSON line, or the timeline and the output."""
    output = server.output
    result: JsonObject = {"run_id": run["id"], "status": run["status"], "output": run["output"], "error": run["error"]}
    if output.is_json:
        output.write_line({"type": "result", **result})
        return
    if not output.is_quiet:
        length_ms = run["duration_ms"]
        took = f" in {format_length(length_ms)}" if isinstance(length_ms, int) else ""
        output.write_text(f"{run['id']} {run['status']}{took}")
        print_steps(run, server.list_rows(make_path("runs", str(run["id"]), "steps")))
    if run["status"] == "completed":
        output.write_text(json.dumps(run["output"], ensure_ascii=False, indent=2))
        return
    for wait in cast("list[JsonObject]", run["waiting_for"]):
        until = "" if wait["until"] is None else f" until {wait['until']}"
        output.say(f"The run waits: {wait['kind']}{until}.")
    error = run["error"]
    if isinstance(error, dict):
        where = f" in the step {error['step']}" if error.get("step") else ""
        output.say(f"{error['code']}{where}: {error['message']}")
    output.say(f"`flowforge runs show {run['id']}` says more, `flowforge runs why {run['id']}` why.")


def leave_with(status: str) -> None:
    """Raises CommandFailedError where the status of a run means another exit code than success."""
    code = exit_code_of_status(status)
    if code is not ExitCode.SUCCESS:
        raise CommandFailedError(code)


def print_steps(run: JsonObject, steps: Sequence[JsonObject]) -> None:
    """The steps of a run as bars, on stdout."""
    # Only a terminal pays for rich.
    from flowforge.entrypoints.cli.tables import make_console, make_timeline_table

    started_ms = _read_ms(run["started_at"]) or 0
    edge_ms = _read_ms(run["finished_at"]) or SystemClock().now_ms()
    make_console().print(make_timeline_table(draw_timeline([_read_step(step) for step in steps], started_ms, edge_ms)))


def _read_step(step: JsonObject) -> StepRecord:
    key = f"{step['iteration']}/{step['id']}" if step["iteration"] else str(step["id"])
    wait, error = step["waiting_for"], step["error"]
    attempts = cast("list[JsonObject]", step["attempts"])
    return StepRecord(
        key=key,
        uses=str(step["kind"]),
        status=str(step["status"]),
        port=cast("str | None", step["port"]),
        attempts=[Attempt(number, str(attempt["status"]), 0, None, NOTHING, None) for number, attempt in enumerate(attempts, 1)],
        output=NOTHING,
        error=cast("ErrorValue", error) if isinstance(error, dict) else None,
        started_at_ms=_read_ms(step["started_at"]),
        finished_at_ms=_read_ms(step["finished_at"]),
        waits_for=None
        if not isinstance(wait, dict)
        else WaitingFor(key, str(wait["kind"]), _read_ms(wait["until"]), cast("JsonObject", wait["ref"])),
        child_run_id=None,
    )


def _read_ms(text: object) -> int | None:
    return parse_timestamp_ms(text) if isinstance(text, str) else None
