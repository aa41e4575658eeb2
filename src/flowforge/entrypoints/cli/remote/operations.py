"""`flowforge operations` on a server."""

import json
from collections.abc import Iterator
from mimetypes import guess_type
from pathlib import Path
from typing import cast

from flowforge.entrypoints.cli.arguments import read_bytes, read_json, read_pairs, set_paths, set_value, write_file
from flowforge.entrypoints.cli.codes import ExitCode
from flowforge.entrypoints.cli.commands.operations import COLUMNS, print_reference, print_verdict
from flowforge.entrypoints.cli.failures import CommandFailedError, UsageError, describe_error, find_request_id, format_error
from flowforge.entrypoints.cli.remote.connection import Server
from flowforge.entrypoints.cli.remote.paths import make_path
from flowforge.kit.errors import FlowForgeError, ValidationError
from flowforge.kit.objects import parse_file
from flowforge.kit.values import JsonObject, JsonValue

_FAILED = frozenset({"OPERATION_FAILED", "DEPENDENCY_FAILED"})


def list_(server: Server) -> None:
    server.output.write_rows(server.list_rows("/operations"), COLUMNS)


def show(server: Server, name: str) -> None:
    described = server.get(make_path("operations", name))
    if server.output.is_json:
        server.output.write_line(described)
    else:
        print_reference(
            server.output, described, "The value itself, as in the examples." if described["examples"] else "Any JSON value."
        )


def schema(server: Server, name: str) -> None:
    made = {"operation": name} | server.get(make_path("operations", name, "schema"))
    server.output.write_text(json.dumps(made, ensure_ascii=False, indent=2))


def call(server: Server, name: str, *, input_: str, set_: list[str] | None, file: list[str] | None, save: str) -> None:
    parameters = set_paths(read_json(input_, server.limits, "--input"), set_ or [], server.limits)
    for path, source in read_pairs(file or [], "--file").items():
        parameters = set_value(parameters, path, _store_file(server, source), "--file")
    try:
        result = server.ask("POST", make_path("operations", name), parameters)
    except FlowForgeError as error:
        if error.code not in _FAILED:
            raise
        lines = format_error(error)
        server.output.write_error([f"{name} failed: {lines[0]}", *lines[1:]], describe_error(error, find_request_id(error) or ""))
        raise CommandFailedError(ExitCode.FAILED) from error
    server.output.write_text(json.dumps(result, ensure_ascii=False, indent=None if server.output.is_json else 2))
    if save:
        _save_file(server, result, save)


def test(server: Server, name: str, *, input_: str, set_: list[str] | None) -> None:
    parameters = set_paths(read_json(input_, server.limits, "--input"), set_ or [], server.limits)
    told = cast("JsonObject", server.ask("POST", make_path("operations", name, "test"), parameters))
    print_verdict(server.output, cast("list[JsonObject]", told["errors"]))


def _store_file(server: Server, source: str) -> JsonValue:
    path = Path(source)
    media_type = guess_type(path.name)[0] or "application/octet-stream"
    stored = server.upload("/files", path.name, read_bytes(source), media_type)
    return {
        "$file": {
            "id": stored["id"],
            "name": stored["name"],
            "media_type": stored["media_type"],
            "size": stored["size_bytes"],
            "sha256": stored["sha256"],
        }
    }


def _save_file(server: Server, result: JsonValue, target: str) -> None:
    found = list(_find_files(result))
    if len(found) != 1:
        raise UsageError(f"--save takes the one file of a result; this one holds {len(found)}.")
    write_file(target, server.send("GET", make_path("files", found[0], "content")).content)


def _find_files(value: JsonValue) -> Iterator[str]:
    try:
        yield parse_file(value).id
    except ValidationError:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        for item in inner:
            yield from _find_files(cast("JsonValue", item))
