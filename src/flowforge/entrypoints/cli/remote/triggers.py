"""`flowforge triggers` on a server."""

from typing import cast

from flowforge.entrypoints.cli.arguments import read_json
from flowforge.entrypoints.cli.commands.triggers import COLUMNS, EVENT_COLUMNS, KIND_COLUMNS, REQUEST_COLUMNS
from flowforge.entrypoints.cli.commands.triggers_changing import leave_unless_valid, read_parameters
from flowforge.entrypoints.cli.remote.connection import Server
from flowforge.entrypoints.cli.remote.paths import make_path
from flowforge.kit.values import JsonObject


def list_(server: Server) -> None:
    rows = map(_describe, server.list_rows("/triggers"))
    server.output.write_rows(rows, COLUMNS, empty="There is no trigger; a workflow's `triggers` go live when it is published.")


def _describe(trigger: JsonObject) -> JsonObject:
    return trigger | cast("JsonObject", trigger["figures"])


def types(server: Server) -> None:
    server.output.write_rows(server.list_rows("/triggers/types"), KIND_COLUMNS)


def show(server: Server, trigger_id: str) -> None:
    server.output.write_object(_describe(server.get(make_path("triggers", trigger_id))))


def pause(server: Server, trigger_id: str, *, refuses: bool) -> None:
    how = "refuse" if refuses else "keep"
    _tell(
        server, cast("JsonObject", server.ask("POST", make_path("triggers", trigger_id, "pause"), {"events": how})), "paused", how
    )


def resume(server: Server, trigger_id: str) -> None:
    _tell(server, cast("JsonObject", server.ask("POST", make_path("triggers", trigger_id, "resume"))), "resumed", "")


def _tell(server: Server, trigger: JsonObject, word: str, paused: str) -> None:
    told = f"The trigger {trigger['key']} of {trigger['workflow']} is {word}."
    server.output.confirm(told, {"id": trigger["id"], "paused": paused})


def requests(server: Server, trigger_id: str) -> None:
    rows = server.list_rows(make_path("triggers", trigger_id, "requests"))
    server.output.write_rows(rows, REQUEST_COLUMNS, empty="Nothing has come for it yet.")


def events(server: Server, trigger_id: str) -> None:
    rows, _ = server.list_some(make_path("triggers", trigger_id, "events"), limit=200)
    server.output.write_rows(rows, EVENT_COLUMNS, empty="It holds nothing.")


def discard(server: Server, trigger_id: str) -> None:
    told = cast("JsonObject", server.ask("POST", make_path("triggers", trigger_id, "events", "discard"), {"all": True}))
    count = told.get("discarded", 0)
    server.output.confirm(f"{count} events are thrown away.", {"discarded": count})


def stats(server: Server, trigger_id: str) -> None:
    server.output.write_object(server.get(make_path("triggers", trigger_id, "stats")))


def fire(server: Server, trigger_id: str, *, payload: str) -> None:
    body: JsonObject = {"payload": read_json(payload, server.limits, "--payload")}
    fired = cast("JsonObject", server.ask("POST", make_path("triggers", trigger_id, "fire"), body))
    told: JsonObject = {name: fired[name] for name in ("run_id", "status", "duplicate")}
    server.output.confirm(f"{fired['run_id']} is started.", told)


def test(server: Server, trigger_id: str) -> None:
    told = cast("JsonObject", server.ask("POST", make_path("triggers", trigger_id, "test")))
    server.output.write_object(told)
    connection = cast("JsonObject", told["connection_test"] or {})
    leave_unless_valid(is_valid=told["configuration_valid"] is True and connection.get("successful") is not False)


def run(server: Server, trigger_id: str) -> None:
    told = cast("JsonObject", server.ask("POST", make_path("triggers", trigger_id, "events", "run"), {"all": True}))
    if "run" not in told:
        server.output.confirm(f"The server runs them; GET /api/v1/batches/{told['id']} tells how far it is.", told)
        return
    failed = cast("list[JsonObject]", told["failed"])
    server.output.confirm(f"{told['run']} events were run, {len(failed)} could not be, {told['left']} are held still.", told)
    leave_unless_valid(is_valid=not failed)


def create(server: Server, workflow: str, uses: str, *, with_: str, set_: list[str] | None, input_: str | None) -> None:
    body: JsonObject = {"workflow_id": workflow, "uses": uses, "with": read_parameters(with_, set_, server.limits)}
    if input_ is not None:
        body["input"] = read_json(input_, server.limits, "--input")
    made = cast("JsonObject", server.ask("POST", "/triggers", body))
    server.output.confirm(f"The trigger {made['id']} starts {made['workflow']}.", _shorten(made))


def change(server: Server, trigger_id: str, *, with_: str, set_: list[str] | None, input_: str | None) -> None:
    body: JsonObject = {"with": read_parameters(with_, set_, server.limits)}
    if input_ is not None:
        body["input"] = read_json(input_, server.limits, "--input")
    after = cast("JsonObject", server.ask("PATCH", make_path("triggers", trigger_id), body))
    server.output.confirm(f"The trigger {after['id']} of {after['workflow']} is changed.", _shorten(after))


def delete(server: Server, trigger_id: str) -> None:
    gone = server.get(make_path("triggers", trigger_id))
    server.ask("DELETE", make_path("triggers", trigger_id))
    server.output.confirm(f"The trigger {gone['id']} of {gone['workflow']} is deleted.", _shorten(gone))


def _shorten(trigger: JsonObject) -> JsonObject:
    return {name: trigger[name] for name in ("id", "workflow", "uses", "status")}
