"""`flowforge export`."""

from pathlib import Path
from typing import Annotated

import typer

from flowforge.audit.service import record_as
from flowforge.entrypoints.cli.arguments import write_file
from flowforge.entrypoints.cli.frame import frame_of
from flowforge.entrypoints.cli.place import open_place
from flowforge.kit.border import encode
from flowforge.workflows.transfer.service import describe_export, export_configuration

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def export(
    ctx: typer.Context,
    workflows: Annotated[
        list[str] | None, typer.Argument(metavar="NAME...", help="These workflows alone; else everything.", show_default=False)
    ] = None,
    *,
    file: Annotated[Path | None, typer.Option("--output", "-o", help="Write into this file.", show_default=False)] = None,
) -> None:
    """The workspace's configuration as one file, without secrets.

    Projects, workflows with their versions and drafts, sets, templates, names of variables. Values of variables and secrets stay here.
    `flowforge import` brings it in elsewhere.
    """
    frame = frame_of(ctx)
    with open_place(frame) as place:
        found = place.read(
            lambda session: export_configuration(session, place.workspace_id, names=workflows or None, at_ms=place.now_ms)
        )
        noted = describe_export(found)
        author = place.author
        place.write(
            lambda session: record_as(
                session,
                author,
                "configuration.exported",
                "configuration",
                place.workspace_id,
                after=noted,
                workspace_id=place.workspace_id,
            )
        )
    data = encode(found.model_dump(mode="json")) + b"\n"
    if file is None:
        frame.output.write_bytes(data)
        return
    write_file(file, data)
    frame.output.confirm(f"Wrote {file}.", {"file": str(file)} | noted)
