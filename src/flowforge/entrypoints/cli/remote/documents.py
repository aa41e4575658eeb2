"""`flowforge validate` and `flowforge workflows push` on a server."""

from collections.abc import Sequence
from typing import cast

from flowforge.entrypoints.cli.arguments import read_source
from flowforge.entrypoints.cli.codes import ExitCode
from flowforge.entrypoints.cli.commands.validate import tell_checked
from flowforge.entrypoints.cli.failures import CommandFailedError, UsageError, describe_detail, format_detail
from flowforge.entrypoints.cli.remote.connection import Server
from flowforge.entrypoints.cli.remote.paths import make_path
from flowforge.entrypoints.cli.remote.refusals import read_details
from flowforge.entrypoints.cli.remote.workflows import publish_draft
from flowforge.kit.errors import ConflictError, Detail, NotFoundError
from flowforge.kit.values import JsonObject
from flowforge.language.reading.document_reader import read_document
from flowforge.workflows.types import Source


def validate(server: Server, files: list[str], *, is_strict: bool) -> None:
    all_valid = True
    for file in files:
        body: JsonObject = {"yaml": _read_text(file, read_source(file)), "strict": is_strict}
        told = cast("JsonObject", server.ask("POST", "/workflows/validate", body))
        errors, warnings = ([*read_details(told[part])] for part in ("errors", "warnings"))
        is_valid = not errors and not (is_strict and warnings)
        all_valid = all_valid and is_valid
        tell_checked(server.output, file, errors, warnings, is_valid=is_valid)
    if not all_valid:
        raise CommandFailedError(ExitCode.FAILED)


def push(server: Server, files: list[str], *, allow_faults: bool, is_published: bool, note: str) -> None:
    for file, source in [(file, read_source(file)) for file in files]:
        pushed = _push(server, file, source, allow_faults=allow_faults)
        did = "created" if pushed["created"] else "updated" if pushed["changed"] else "unchanged"
        server.output.confirm(f"{file}: draft of {pushed['workflow']} {did}.", pushed)
        _say_details(server, file, [*read_details(pushed["faults"]), *read_details(pushed["warnings"])])
        name = str(pushed["workflow"])
        if is_published and server.get(make_path("workflows", name))["has_draft"]:
            publish_draft(server, name, note)


def _push(server: Server, file: str, source: Source, *, allow_faults: bool) -> JsonObject:
    body: JsonObject = {"yaml": _read_text(file, source)}
    query = {"allow_faults": allow_faults}
    name = _find_name(server, source)
    present = None if name is None else _find_etag(server, name)
    if name is None or present is None:
        made = cast("JsonObject", server.ask("POST", "/workflows", body, query=query))
        return _describe(file, made, cast("JsonObject", made["draft"]), is_new=True, is_changed=True)
    workflow, etag = present
    condition = {"If-None-Match": "*"} if etag is None else {"If-Match": f'"{etag}"'}
    saved = cast("JsonObject", server.ask("PUT", make_path("workflows", name, "draft"), body, query=query, headers=condition))
    return _describe(file, workflow, saved, is_new=False, is_changed=saved["etag"] != etag)


def _find_name(server: Server, source: Source) -> str | None:
    value = read_document(source.data, server.limits, source.format).value
    name = value.get("name") if isinstance(value, dict) else None
    return name if isinstance(name, str) and name else None


def _find_etag(server: Server, name: str) -> tuple[JsonObject, str | None] | None:
    """The workflow of that name and the ETag of its draft (None: it has none); None where there is no such workflow."""
    try:
        workflow = server.get(make_path("workflows", name))
    except NotFoundError:
        return None
    if not workflow["has_draft"]:
        return workflow, None
    try:
        return workflow, str(server.get(make_path("workflows", name, "draft"))["etag"])
    except NotFoundError:
        raise ConflictError(f"The draft of {name} has just been published or thrown away; push again.") from None


def _describe(file: str, workflow: JsonObject, saved: JsonObject, *, is_new: bool, is_changed: bool) -> JsonObject:
    return {
        "file": file,
        "workflow": workflow["name"],
        "workflow_id": workflow["id"],
        "etag": saved["etag"],
        "created": is_new,
        "changed": is_changed,
        "faults": [describe_detail(fault) for fault in read_details(saved["faults"])],
        "warnings": [describe_detail(warning) for warning in read_details(saved["warnings"])],
    }


def _say_details(server: Server, file: str, details: Sequence[Detail]) -> None:
    if not server.output.is_json:
        for detail in details:
            server.output.say(f"{file}:{format_detail(detail)}")


def _read_text(file: str, source: Source) -> str:
    try:
        return source.data.decode()
    except UnicodeDecodeError as fault:
        raise UsageError(f"{file} is no UTF-8 text.") from fault
