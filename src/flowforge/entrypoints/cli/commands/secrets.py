"""`flowforge secrets`."""

from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.entrypoints.cli.arguments import read_secret_text
from flowforge.entrypoints.cli.columns import field
from flowforge.entrypoints.cli.frame import frame_of
from flowforge.entrypoints.cli.place import open_place
from flowforge.kit.values import JsonObject
from flowforge.language.times import format_timestamp_ms
from flowforge.vault.service import delete_secret, list_secrets, set_secret
from flowforge.vault.telling import tell_secret_deleted, tell_secret_set
from flowforge.vault.types import SecretSummary

app = typer.Typer(
    add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="Secrets of the workspace; values are never shown."
)

COLUMNS = (
    field("secret", "name", style="bold"),
    field("version", "version"),
    field("hosts", "hosts"),
    field("changed", "updated_at"),
)


def _describe(secret: SecretSummary) -> JsonObject:
    updated_at = format_timestamp_ms(secret.updated_at_ms)
    return {"name": secret.name, "set": True, "version": secret.version, "hosts": list(secret.hosts), "updated_at": updated_at}


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """The names of all secrets."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        secrets = place.read(lambda session: list_secrets(session, place.workspace_id))
    frame.output.write_rows(map(_describe, secrets), COLUMNS, empty="There is no secret; `flowforge secrets set NAME` makes one.")


@app.command("set")
def set_(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Capital letters, digits and _: SHOP_TOKEN.")],
    *,
    hosts: Annotated[
        list[str] | None, typer.Option("--host", help="Bind it to this host (repeatable); none: any host.", show_default=False)
    ] = None,
) -> None:
    """Make a secret, or give it a new value.

    The value is asked for without echo, or read from stdin: `pass show shop | flowforge secrets set SHOP_TOKEN`.
    """
    frame = frame_of(ctx)
    value = read_secret_text(f"Value of {name}: ")
    with open_place(frame) as place:
        keyring = place.installation.keyring

        async def change(session: AsyncSession) -> SecretSummary:
            made = await set_secret(
                session, keyring, place.workspace_id, name, value=value, hosts=hosts or (), at_ms=place.now_ms
            )
            await tell_secret_set(session, place.author, place.workspace_id, made)
            return made

        secret = place.write(change)
    frame.output.confirm(f"The secret {name} is set (version {secret.version}).", _describe(secret))


@app.command()
def delete(ctx: typer.Context, name: Annotated[str, typer.Argument(help="The secret's name.")]) -> None:
    """Remove a secret for good. Steps that need it fail from now on."""
    frame = frame_of(ctx)
    with open_place(frame) as place:

        async def change(session: AsyncSession) -> None:
            await delete_secret(session, place.workspace_id, name)
            await tell_secret_deleted(session, place.author, place.workspace_id, name)

        place.write(change)
    frame.output.confirm(f"The secret {name} is gone.", {"name": name, "set": False})
