"""`flowforge init`."""

import json
from pathlib import Path
from typing import Annotated, Final

import typer

from flowforge.entrypoints.cli.arguments import write_file
from flowforge.entrypoints.cli.commands.schema import make_schema
from flowforge.entrypoints.cli.failures import UsageError
from flowforge.entrypoints.cli.frame import frame_of
from flowforge.entrypoints.wiring import Toolbox
from flowforge.kit.values import JsonObject

app = typer.Typer(add_completion=False, rich_markup_mode=None)

SCHEMA_FILE: Final = ".flowforge/workflow.schema.json"
WORKFLOW_FILE: Final = "workflows/hello.yaml"

_WORKFLOW: Final = """\
# yaml-language-server: $schema=../.flowforge/workflow.schema.json
flowforge: 1
name: hello
title: A first workflow
description: Greets some people, one by one, and says how many there were.

input:
  type: object
  properties:
    people: {type: array, items: {type: string}, default: [Ada, Grace, Edsger]}

steps:
  - id: greet
    uses: flow.foreach
    with: {items: "${{ input.people }}"}
    steps:
      - id: text
        uses: flow.set
        with: {values: {greeting: "Hello ${{ item }}!"}}
    output: "${{ steps.text.output.greeting }}"

output:
  greetings: "${{ steps.greet.output }}"
  people: "${{ size(input.people) }}"
"""

_README: Final = """\
# Workflows

A folder of FlowForge workflows. Each file in `workflows/` is one of them.

    flowforge validate workflows/*.yaml      # all faults at once, with line and column
    flowforge run workflows/hello.yaml       # run it, with live progress
    flowforge run workflows/hello.yaml --set 'people=["Alan"]' --json

    flowforge workflows push workflows/*.yaml --publish
    flowforge run hello

An editor that speaks the YAML language server (VS Code: the extension "YAML" by Red Hat) completes and checks the files by
`.flowforge/workflow.schema.json`. After you have installed more operations, `flowforge schema -o .flowforge/workflow.schema.json`
writes it anew.
"""

_GITIGNORE: Final = """\
/.flowforge/data/
.env
"""

_EXTENSIONS: Final[JsonObject] = {"recommendations": ["redhat.vscode-yaml"]}
_EDITOR: Final[JsonObject] = {"yaml.schemas": {f"./{SCHEMA_FILE}": ["workflows/*.yaml", "workflows/*.yml"]}}


@app.command()
def init(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(help="The folder to fill; made where there is none.")] = Path(),
    *,
    is_forced: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
) -> None:
    """Make a folder with a first workflow, ready for your editor."""
    frame = frame_of(ctx)
    schema = make_schema(Toolbox(frame.load_settings()), None)
    files = {
        WORKFLOW_FILE: _WORKFLOW,
        SCHEMA_FILE: _format_json(schema),
        ".vscode/settings.json": _format_json(_EDITOR),
        ".vscode/extensions.json": _format_json(_EXTENSIONS),
        "README.md": _README,
        ".gitignore": _GITIGNORE,
    }
    present = [name for name in files if (folder / name).exists()]
    if present and not is_forced:
        raise UsageError(f"{folder / present[0]} is there already; name another folder, or say --force to replace it.")
    for name, text in files.items():
        write_file(folder / name, text.encode())
    workflow = folder / WORKFLOW_FILE
    frame.output.confirm(f"Wrote {len(files)} files. Now: flowforge run {workflow}", {"folder": str(folder), "files": [*files]})


def _format_json(value: JsonObject) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"
