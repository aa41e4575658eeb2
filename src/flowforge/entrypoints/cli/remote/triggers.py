"""`flowforge triggers` on a server."""

from typing import cast

from flowforge.entrypoints.cli.commands.triggers import COLUMNS, EVENT_COLUMNS, KIND_COLUMNS, REQUEST_COLUMNS
from flowforge.entrypoints.cli.remote.connection import Server
from flowforge.entrypoints.cli.remote.paths import make_path
from flowforge.kit.values import JsonObject


def list_(server: Server) -> None:
    rows = map(_describe, server.list_rows("/triggers"))
    server.output.write_rows(rows, COLUMNS, empty="There is no trigger; a workflow's `triggers` go live when it is published.")


def _describe(trigger: JsonObject) -> JsonObject:
    return trigger | cast("JsonObject", trigger["figures"])


def types(server: Server) -> None:
    server.output.write_rows(cast("list[JsonObject]", server.get("/triggers/types")["data"]), KIND_COLUMNS)


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
    rows = cast("list[JsonObject]", server.get(make_path("triggers", trigger_id, "requests"))["data"])
    server.output.write_rows(rows, REQUEST_COLUMNS, empty="Nothing has come for it yet.")


def events(server: Server, trigger_id: str) -> None:
    rows, _ = server.list_some(make_path("triggers", trigger_id, "events"), limit=200)
    server.output.write_rows(rows, EVENT_COLUMNS, empty="It holds nothing.")


def discard(server: Server, trigger_id: str) -> None:
    told = cast("JsonObject", server.ask("POST", make_path("triggers", trigger_id, "events", "discard"), {"all": True}))
    count = told.get("discarded", 0)
    server.output.confirm(f"{count} events are thrown away.", {"discarded": count})
