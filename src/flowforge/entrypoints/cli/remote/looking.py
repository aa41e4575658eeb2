"""`flowforge runs list, show, watch, events, logs, why, effects, tree, diagnose, export` on a server."""

import json
import time
from collections.abc import Sequence
from typing import Final, cast

from flowforge.entrypoints.cli.arguments import read_pairs, read_time_ms, write_file
from flowforge.entrypoints.cli.columns import show_value
from flowforge.entrypoints.cli.commands.run_columns import (
    EFFECTS_COLUMNS,
    EVENTS_COLUMNS,
    LIST_COLUMNS,
    LOGS_COLUMNS,
    TREE_COLUMNS,
)
from flowforge.entrypoints.cli.commands.runs import SHOWN, TREE_MAX, ListOptions, print_diagnosis, read_statuses
from flowforge.entrypoints.cli.options import with_options
from flowforge.entrypoints.cli.remote.connection import Server
from flowforge.entrypoints.cli.remote.following import (
    follow_run,
    has_ended,
    leave_with,
    print_run_result,
    print_steps,
    read_events,
)
from flowforge.entrypoints.cli.remote.paths import make_path
from flowforge.kit.clock import SystemClock
from flowforge.kit.values import JsonObject
from flowforge.language.times import format_timestamp_ms

_POLL_S: Final = 1.0


@with_options(ListOptions)
def list_(server: Server, options: ListOptions) -> None:
    where = _write_where(server, options)
    rows, cursor = server.list_some("/runs", {"where": where}, limit=options.limit, cursor=options.cursor)
    server.output.write_rows(rows, LIST_COLUMNS, empty="There is no such run.")
    if cursor is not None:
        server.output.say(f"There are more: --cursor {cursor}")


def _write_where(server: Server, options: ListOptions) -> list[str]:
    now_ms = SystemClock().now_ms()
    where: list[str] = []
    if options.statuses:
        where.append(f"status:in:{','.join(read_statuses(options.statuses))}")
    if options.workflow is not None:
        workflow = server.get(make_path("workflows", options.workflow), {"include_deleted": True})
        where.append(f"workflow_id:eq:{workflow['id']}")
    for text, comparison, option in ((options.since, "ge", "--since"), (options.until, "lt", "--until")):
        if text is not None:
            where.append(f"started_at:{comparison}:{format_timestamp_ms(read_time_ms(text, now_ms, option))}")
    if options.subject is not None:
        where.append(f"subject:eq:{options.subject}")
    if options.error_codes:
        where.append(f"error_code:in:{','.join(options.error_codes)}")
    return where + [f"labels.{name}:eq:{value}" for name, value in read_pairs(options.labels or [], "--label").items()]


def show(server: Server, run_id: str, *, has_steps: bool) -> None:
    described = server.get(make_path("runs", run_id))
    steps = server.list_rows(make_path("runs", run_id, "steps")) if has_steps or not server.output.is_json else []
    if server.output.is_json:
        if has_steps:
            described["steps"] = [*steps]
        server.output.write_line(described)
        return
    header = {name: described[name] for name in SHOWN if described[name] not in (None, {}, "")}
    server.output.write_object(header)
    server.output.write_text("")
    print_steps(described, steps)
    server.output.write_text("")
    if described["output"] is not None:
        server.output.write_text(f"output: {json.dumps(described['output'], ensure_ascii=False, indent=2)}")
    server.output.write_text(show_value(server.get(make_path("runs", run_id, "why"))["sentence"]))
    for hint in _list_hints(described):
        server.output.write_text(hint)


def _list_hints(described: JsonObject) -> Sequence[str]:
    """What a person may do next."""
    hints: list[str] = []
    for wait in cast("list[JsonObject]", described["waiting_for"]):
        ref = cast("JsonObject", wait["ref"])
        if wait["kind"] == "attention":
            how = "resolve" if ref.get("reason") == "outcome_unknown" else "retry"
            hints.append(f"  flowforge runs {how} {described['id']} {show_value(ref.get('step'))}    (or skip)")
        elif wait["kind"] == "signal":
            hints.append(f"  flowforge runs signal {described['id']} {show_value(ref.get('name'))}")
    return hints + ([f"  flowforge runs resume {described['id']}"] if described["status"] == "paused" else [])


def watch(server: Server, run_id: str) -> None:
    run = follow_run(server, server.get(make_path("runs", run_id)), patience_ms=None)
    print_run_result(server, run)
    leave_with(str(run["status"]))


def events(server: Server, run_id: str, *, after: int, is_followed: bool) -> None:
    while True:
        page = read_events(server, run_id, after, is_waiting=is_followed)
        if page.events or not is_followed:
            server.output.write_rows(page.events, EVENTS_COLUMNS, empty="There is no such event.")
        after = page.after
        if page.has_ended or (not is_followed and not page.has_more):
            return


def logs(server: Server, run_id: str, *, step: str | None, is_followed: bool) -> None:
    seen = 0
    while True:
        is_last = not is_followed or has_ended(server.get(make_path("runs", run_id)))
        rows = server.list_rows(make_path("runs", run_id, "logs"), {"step": step})
        server.output.write_rows(rows[seen:], LOGS_COLUMNS)
        seen = len(rows)
        if is_last:
            return
        time.sleep(_POLL_S)


def why(server: Server, run_id: str) -> None:
    explained = server.get(make_path("runs", run_id, "why"))
    if server.output.is_json:
        server.output.write_line(explained)
    else:
        server.output.write_text(show_value(explained["sentence"]))


def effects(server: Server, run_id: str) -> None:
    rows = server.list_rows(make_path("runs", run_id, "effects"))
    server.output.write_rows(rows, EFFECTS_COLUMNS, empty="The run has touched nothing outside.")


def tree(server: Server, run_id: str) -> None:
    rows, cursor = server.list_some(make_path("runs", run_id, "tree"), limit=TREE_MAX)
    server.output.write_rows(rows, TREE_COLUMNS)
    if cursor is not None:
        server.output.say(f"There are more than {TREE_MAX}; `flowforge runs list` finds every one.")


def diagnose(server: Server, run_id: str) -> None:
    print_diagnosis(server.output, server.get(make_path("runs", run_id, "diagnose")))


def export(server: Server, run_id: str, *, file: str | None) -> None:
    document = server.send("GET", make_path("runs", run_id, "export")).content
    if file is None:
        server.output.write_bytes(document.rstrip(b"\n") + b"\n")
        return
    write_file(file, document)
    server.output.confirm(f"Wrote {file}.", {"run_id": run_id, "file": file})
