"""`flowforge validate`."""

from collections.abc import Sequence
from typing import Annotated

import typer

from flowforge.entrypoints.cli.arguments import read_source
from flowforge.entrypoints.cli.codes import ExitCode
from flowforge.entrypoints.cli.failures import CommandFailedError, describe_detail, format_detail
from flowforge.entrypoints.cli.frame import frame_of
from flowforge.entrypoints.cli.output import Output
from flowforge.entrypoints.wiring import Toolbox
from flowforge.kit.errors import Detail

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def validate(
    ctx: typer.Context,
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Workflow files; - is stdin.")],
    *,
    is_strict: Annotated[bool, typer.Option("--strict", help="Warnings count as faults.")] = False,
) -> None:
    """Check workflow files: all faults at once, with line and column.

    Exit code 1 if one of them has faults.
    """
    frame = frame_of(ctx)
    toolbox = Toolbox(frame.load_settings())
    all_valid = True
    for file in files:
        checked = toolbox.check_source(read_source(file))
        is_valid = not checked.errors and not (is_strict and checked.warnings)
        all_valid = all_valid and is_valid
        tell_checked(frame.output, file, checked.errors, checked.warnings, is_valid=is_valid)
    if not all_valid:
        raise CommandFailedError(ExitCode.FAILED)


def tell_checked(output: Output, file: str, errors: Sequence[Detail], warnings: Sequence[Detail], *, is_valid: bool) -> None:
    """What was found in one file."""
    if output.is_json:
        faults, remarks = ([describe_detail(detail) for detail in details] for details in (errors, warnings))
        output.write_line({"file": file, "valid": is_valid, "errors": [*faults], "warnings": [*remarks]})
        return
    for detail in errors:
        output.write_text(f"{file}:{format_detail(detail)}")
    for detail in warnings:
        output.write_text(f"{file}:{format_detail(detail)} [warning]")
    if is_valid:
        output.write_text(f"{file}: valid")
