"""`flowforge run` on a server."""

from typing import cast

from flowforge.entrypoints.cli.arguments import read_duration_ms, read_json, read_pairs, read_source, set_paths
from flowforge.entrypoints.cli.commands.run import RunOptions
from flowforge.entrypoints.cli.failures import UsageError
from flowforge.entrypoints.cli.options import with_options
from flowforge.entrypoints.cli.remote.connection import Server
from flowforge.entrypoints.cli.remote.following import follow_run, leave_with, print_run_result
from flowforge.entrypoints.cli.remote.refusals import read_details
from flowforge.entrypoints.cli.starting import is_file_name
from flowforge.kit.ids import make_id
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.reading.document_reader import read_document
from flowforge.workflows.errors import DocumentInvalidError


@with_options(RunOptions)
def run(server: Server, target: str, options: RunOptions) -> None:
    patience_ms = read_duration_ms(options.patience, "--patience")
    body = _write_start(server, target, options)
    # A key of its own, so that a start whose answer was lost is sent again without starting two.
    key = options.idempotency_key or make_id("key")
    started = cast("JsonObject", server.ask("POST", "/runs", body, headers={"Idempotency-Key": key}))
    if options.detach:
        _tell_id(server, str(started["id"]))
        return
    try:
        ended = follow_run(server, started, patience_ms=patience_ms)
    except KeyboardInterrupt:
        server.output.say(f"The run goes on at the server; `flowforge runs watch {started['id']}` follows it.")
        raise
    print_run_result(server, ended)
    leave_with(str(ended["status"]))


def _tell_id(server: Server, run_id: str) -> None:
    if server.output.is_json:
        server.output.write_line({"run_id": run_id})
    else:
        server.output.write_text(run_id)


def _write_start(server: Server, target: str, options: RunOptions) -> JsonObject:
    value = read_json(options.input_, server.limits, "--input")
    body: JsonObject = {"input": set_paths(value, options.set_ or [], server.limits), "priority": options.priority}
    labels: dict[str, JsonValue] = {**read_pairs(options.labels or [], "--label")}
    more: JsonObject = {"labels": labels, "subject": options.subject, "version": options.version, "use_mocks": options.mocks}
    body |= {name: given for name, given in more.items() if given}
    if not is_file_name(target):
        return body | {"workflow": target}
    if options.version is not None:
        raise UsageError("A file has no versions: leave --version out, or name the workflow.")
    source = read_source(target)
    reading = read_document(source.data, server.limits, source.format)
    if not isinstance(reading.value, dict):
        # The server says what is wrong with it, in the words and places of `validate`.
        told = cast("JsonObject", server.ask("POST", "/workflows/validate", {"yaml": source.data.decode(errors="replace")}))
        raise DocumentInvalidError(target, [*read_details(told["errors"])])
    return body | {"document": reading.value}
