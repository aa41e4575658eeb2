"""`flowforge schema`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from flowforge.entrypoints.cli.arguments import write_file
from flowforge.entrypoints.cli.failures import UsageError
from flowforge.entrypoints.cli.frame import frame_of
from flowforge.entrypoints.wiring import Toolbox
from flowforge.kit.values import JsonObject
from flowforge.language.document_schema import document_schema

app = typer.Typer(add_completion=False, rich_markup_mode=None)

OPERATION = "operation"


@app.command()
def schema(
    ctx: typer.Context,
    what: Annotated[str | None, typer.Argument(metavar="[operation NAME]", help="Nothing: workflow documents.")] = None,
    name: Annotated[str | None, typer.Argument(hidden=True)] = None,
    *,
    output_file: Annotated[Path | None, typer.Option("--output", "-o", help="Write it to this file.", show_default=False)] = None,
) -> None:
    """The JSON Schema of workflow documents, or of an operation.

    An editor that knows it completes and checks workflow files.
    """
    if what not in (None, OPERATION) or (what == OPERATION) != (name is not None):
        raise UsageError("Ask for `flowforge schema`, or for `flowforge schema operation NAME`.")
    frame = frame_of(ctx)
    made = make_schema(Toolbox(frame.load_settings()), name)
    text = json.dumps(made, ensure_ascii=False, indent=2) + "\n"
    if output_file is None:
        frame.output.write_text(text)
        return
    write_file(output_file, text.encode())
    frame.output.say(f"Wrote {output_file}.")


def make_schema(toolbox: Toolbox, operation: str | None) -> JsonObject:
    """The schema of documents, or of one operation's parameters and result.

    Raises:
        NotFoundError: there is no such operation.
    """
    if operation is None:
        return document_schema(toolbox.registry)
    found = toolbox.registry.get(operation)
    return {"operation": found.name, "parameters": found.parameters_schema, "result": found.result_schema}
