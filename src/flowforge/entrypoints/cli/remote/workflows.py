"""`flowforge workflows` on a server; `push` is in `documents`."""

from pathlib import Path
from typing import cast

from flowforge.entrypoints.cli.arguments import write_file
from flowforge.entrypoints.cli.commands.workflow_views import CHANGE_COLUMNS, LIST_COLUMNS, VERSION_COLUMNS
from flowforge.entrypoints.cli.commands.workflows import read_version
from flowforge.entrypoints.cli.failures import UsageError, format_detail
from flowforge.entrypoints.cli.remote.connection import Server
from flowforge.entrypoints.cli.remote.paths import make_path
from flowforge.entrypoints.cli.remote.refusals import read_details
from flowforge.kit.values import JsonObject


def list_(server: Server, *, search: str, include_deleted: bool) -> None:
    rows = server.list_rows("/workflows", {"q": search, "include_deleted": include_deleted, "sort": "name"})
    shown = map(_describe, rows)
    server.output.write_rows(shown, LIST_COLUMNS, empty="There is no workflow; `flowforge workflows push FILE` makes one.")


def _describe(workflow: JsonObject) -> JsonObject:
    return {name: value for name, value in workflow.items() if name != "recent_runs"}


def show(server: Server, subject: str) -> None:
    workflow = server.get(make_path("workflows", subject), {"include_deleted": True})
    server.output.write_object(_describe(workflow), title=str(workflow["title"]))


def publish(server: Server, subject: str, *, version: int | None, note: str) -> None:
    if version is None:
        publish_draft(server, subject, note)
        return
    published = server.ask("POST", make_path("workflows", subject, "versions", str(version), "publish"))
    _tell_published(server, subject, cast("JsonObject", published))


def publish_draft(server: Server, subject: str, note: str) -> None:
    """Makes the draft that is there now the next version, and tells it."""
    etag = server.get(make_path("workflows", subject, "draft"))["etag"]
    headers = {"If-Match": f'"{etag}"'}
    published = server.ask("POST", make_path("workflows", subject, "publish"), {"note": note}, headers=headers)
    _tell_published(server, subject, cast("JsonObject", published))


def _tell_published(server: Server, subject: str, published: JsonObject) -> None:
    name = str(server.get(make_path("workflows", subject))["name"])
    server.output.confirm(f"Version {published['version']} of {name} is published.", published | {"workflow": name})
    if not server.output.is_json:
        for warning in read_details(published["warnings"]):
            server.output.say(f"{name}:{format_detail(warning)}")


def versions(server: Server, subject: str) -> None:
    rows = server.list_rows(make_path("workflows", subject, "versions"))
    empty = f"{subject} has no version; `flowforge workflows publish {subject}` makes one."
    server.output.write_rows(rows, VERSION_COLUMNS, empty=empty)


def diff(server: Server, subject: str, left: str | None, right: str | None) -> None:
    from_, to = read_version(left), "draft" if right is None else read_version(right)
    query = {"from": None if from_ is None else str(from_), "to": str(to)}
    found = server.get(make_path("workflows", subject, "diff"), query)
    if server.output.is_json:
        server.output.write_line(found)
    elif not found["text"]:
        server.output.say(f"{found['from']} and {found['to']} are the same.")
    else:
        server.output.write_rows(cast("list[JsonObject]", found["changes"]), CHANGE_COLUMNS)
        server.output.write_text(f"\n{found['text']}")


def docs(server: Server, subject: str, *, version: str | None) -> None:
    wanted = read_version(version)
    query = {"version": None if wanted is None else str(wanted)}
    server.output.write_text(server.send("GET", make_path("workflows", subject, "docs"), query=query).text)


def export(server: Server, subjects: list[str] | None, *, version: str | None, folder: Path | None, is_all: bool) -> None:
    wanted = read_version(version)
    if not subjects and not is_all:
        raise UsageError("Name a workflow, or ask for --all.")
    names = _list_exportable(server, wanted) if is_all else subjects or []
    if folder is None and len(names) != 1:
        raise UsageError("Several workflows need a folder: --output FOLDER.")
    for name in names:
        _export_one(server, name, wanted, folder)


def _list_exportable(server: Server, wanted: int | str | None) -> list[str]:
    found = server.list_rows("/workflows")
    if wanted == "draft":
        return [str(workflow["name"]) for workflow in found if workflow["has_draft"]]
    return [str(workflow["name"]) for workflow in found if workflow["version"] is not None]


def _export_one(server: Server, subject: str, wanted: int | str | None, folder: Path | None) -> None:
    if wanted == "draft":
        found = server.get(make_path("workflows", subject, "draft"))
    else:
        number = server.get(make_path("workflows", subject))["version"] if wanted is None else wanted
        if number is None:
            raise UsageError(f"{subject} has no version; --version draft takes the draft.")
        found = server.get(make_path("workflows", subject, "versions", str(number)))
    text = str(found["yaml"])
    kind = "json" if text.lstrip().startswith("{") else "yaml"
    if folder is not None:
        path = folder / f"{subject}.{kind}"
        write_file(path, text.encode())
        server.output.confirm(f"Wrote {path}.", {"workflow": subject, "file": str(path)})
    elif server.frame.is_json_asked:
        server.output.write_line({"workflow": subject, "format": kind, "document": text})
    else:
        server.output.write_bytes(text.encode())


def deprecate(server: Server, subject: str) -> None:
    workflow = cast("JsonObject", server.ask("POST", make_path("workflows", subject, "deprecate")))
    server.output.confirm(f"{workflow['name']} is deprecated.", workflow)


def delete(server: Server, subject: str, *, is_forced: bool) -> None:
    found = server.get(make_path("workflows", subject))
    path = make_path("workflows", str(found["id"]))
    server.ask("DELETE", path, query={"force": is_forced})
    deleted = server.get(path, {"include_deleted": True})
    server.output.confirm(f"{found['name']} is deleted.", _describe(deleted))


def restore(server: Server, subject: str) -> None:
    workflow = cast("JsonObject", server.ask("POST", make_path("workflows", subject, "restore")))
    server.output.confirm(f"{workflow['name']} is back.", workflow)
