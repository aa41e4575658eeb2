"""`flowforge runs cancel, pause, resume, retry, skip, resolve, signal, edit, change` on a server."""

from typing import cast

from flowforge.entrypoints.cli.arguments import read_json, set_paths
from flowforge.entrypoints.cli.commands.runs_steering import read_change
from flowforge.entrypoints.cli.failures import UsageError
from flowforge.entrypoints.cli.remote.connection import Server
from flowforge.entrypoints.cli.remote.paths import make_path
from flowforge.kit.ids import make_id
from flowforge.kit.values import JsonObject, JsonValue


def cancel(server: Server, run_id: str, *, reason: str) -> None:
    body: JsonObject = {"reason": reason} if reason else {}
    _send(server, "POST", make_path("runs", run_id, "cancel"), body, f"{run_id} is being cancelled")


def pause(server: Server, run_id: str) -> None:
    _send(server, "POST", make_path("runs", run_id, "pause"), None, f"{run_id} pauses")


def resume(server: Server, run_id: str) -> None:
    _send(server, "POST", make_path("runs", run_id, "resume"), None, f"{run_id} goes on")


def retry(server: Server, run_id: str, step: str) -> None:
    _send_step(server, run_id, step, "retry", None, f"tries {step} again")


def skip(server: Server, run_id: str, step: str, *, output: str | None) -> None:
    _send_step(server, run_id, step, "skip", {"output": _read_value(server, output)}, f"skips {step}")


def resolve(server: Server, run_id: str, step: str, *, happened: bool | None, output: str | None) -> None:
    if happened is None:
        raise UsageError("Say --happened or --did-not-happen.")
    body: JsonObject = {"happened": happened}
    if happened:
        body["output"] = _read_value(server, output)
    _send_step(server, run_id, step, "resolve", body, f"knows about {step} now")


def signal(server: Server, run_id: str, name: str, *, key: str | None, payload: str) -> None:
    body: JsonObject = {"name": name, "payload": read_json(payload, server.limits, "--payload")}
    if key is not None:
        body["key"] = key
    headers = {"Idempotency-Key": make_id("key")}
    server.ask("POST", make_path("runs", run_id, "signals"), body, headers=headers)
    _tell(server, run_id, "signal", f"{run_id} has the signal {name}")


def edit(server: Server, run_id: str, *, input_: str | None, set_: list[str] | None) -> None:
    if input_ is None and not set_:
        raise UsageError("Say what to correct: --input or --set.")
    before = server.get(make_path("runs", run_id))["input"]
    value = before if input_ is None else read_json(input_, server.limits, "--input")
    corrected = set_paths(value, set_ or [], server.limits)
    patch = _make_patch(before, corrected)
    server.ask("PATCH", make_path("runs", run_id, "input"), patch)
    _tell(server, run_id, "edit", f"{run_id} has the corrected input")


def change(server: Server, run_id: str, *, labels: list[str] | None, subject: str | None, priority: int | None) -> None:
    after = cast("JsonObject", server.ask("PATCH", make_path("runs", run_id), read_change(labels, subject, priority)))
    server.output.confirm(f"{after['id']} is changed.", after)


def _make_patch(before: JsonValue, after: JsonValue) -> JsonValue:
    """The JSON Merge Patch from one value to the other."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return after
    patch: JsonObject = dict.fromkeys(name for name in before if name not in after)
    return patch | {name: _make_patch(before.get(name), value) for name, value in after.items() if before.get(name) != value}


def _send_step(server: Server, run_id: str, key: str, verb: str, body: JsonValue, told: str) -> None:
    iteration, _, step = key.rpartition("/")
    server.ask("POST", make_path("runs", run_id, "steps", step, verb), body, query={"iteration": iteration})
    _tell(server, run_id, verb, f"{run_id} {told}")


def _send(server: Server, method: str, path: str, body: JsonValue, told: str) -> None:
    server.ask(method, path, body)
    verb, run_id = path.rsplit("/", 1)[-1], path.split("/")[2]
    _tell(server, run_id, verb, told)


def _tell(server: Server, run_id: str, verb: str, told: str) -> None:
    server.output.confirm(f"{told}.", {"run_id": run_id, "sent": verb})


def _read_value(server: Server, text: str | None) -> JsonValue:
    return None if text is None else read_json(text, server.limits, "--output")
