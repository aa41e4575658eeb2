"""`flowforge variables`."""

from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.entrypoints.cli.arguments import STDIN, read_bytes, read_loose
from flowforge.entrypoints.cli.columns import field
from flowforge.entrypoints.cli.failures import UsageError
from flowforge.entrypoints.cli.frame import frame_of
from flowforge.entrypoints.cli.place import open_place
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.times import format_timestamp_ms
from flowforge.vault.service import delete_variable, list_variables, read_variables, set_variable
from flowforge.vault.telling import tell_variable_deleted, tell_variable_set
from flowforge.vault.types import Variable

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="Variables of the workspace.")

COLUMNS = (
    field("variable", "name", style="bold"),
    field("value", "value"),
    field("version", "version"),
    field("changed", "updated_at"),
)


def _describe(variable: Variable) -> JsonObject:
    updated_at = format_timestamp_ms(variable.updated_at_ms)
    return {"name": variable.name, "value": variable.value, "version": variable.version, "updated_at": updated_at}


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """All variables and their values."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        variables = place.read(lambda session: list_variables(session, place.workspace_id))
    frame.output.write_rows(
        map(_describe, variables), COLUMNS, empty="There is no variable; `flowforge variables set NAME VALUE` makes one."
    )


@app.command("set")
def set_(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Capital letters, digits and _: SHOP_URL.")],
    value: Annotated[str, typer.Argument(help="JSON, or else text; - reads it from stdin.")] = STDIN,
    *,
    is_text: Annotated[bool, typer.Option("--text", help="Text, even where it could be read as JSON.")] = False,
) -> None:
    """Make a variable, or give it a new value. Runs under way keep the value that they started with."""
    frame = frame_of(ctx)
    text = read_stdin() if value == STDIN else value
    with open_place(frame) as place:
        limits = place.installation.settings.limits
        parsed: JsonValue = text if is_text else read_loose(text, limits)

        async def change(session: AsyncSession) -> Variable:
            had = await read_variables(session, place.workspace_id, [name])
            made = await set_variable(session, place.workspace_id, name, value=parsed, at_ms=place.now_ms, limits=limits)
            await tell_variable_set(session, place.author, place.workspace_id, name, had=had, value=made.value)
            return made

        variable = place.write(change)
    frame.output.confirm(f"The variable {name} is set (version {variable.version}).", _describe(variable))


def read_stdin() -> str:
    try:
        return read_bytes(STDIN).decode().removesuffix("\n")
    except UnicodeDecodeError as fault:
        raise UsageError("What came on stdin is no UTF-8 text.") from fault


@app.command()
def delete(ctx: typer.Context, name: Annotated[str, typer.Argument(help="The variable's name.")]) -> None:
    """Remove a variable."""
    frame = frame_of(ctx)
    with open_place(frame) as place:

        async def change(session: AsyncSession) -> None:
            had = await read_variables(session, place.workspace_id, [name])
            await delete_variable(session, place.workspace_id, name)
            await tell_variable_deleted(session, place.author, place.workspace_id, name, had=had)

        place.write(change)
    frame.output.confirm(f"The variable {name} is gone.", {"name": name, "set": False})
