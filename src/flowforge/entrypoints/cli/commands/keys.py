"""`flowforge keys`."""

from functools import partial
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit.service import record_as
from flowforge.entrypoints.cli.columns import field
from flowforge.entrypoints.cli.frame import frame_of
from flowforge.entrypoints.cli.place import open_place
from flowforge.identity.keys import list_key_usage
from flowforge.identity.lists import KEY_USAGE, KEYS
from flowforge.identity.service import KeyWish, create_key, get_key, get_user, list_keys, revoke_key, summarize_key
from flowforge.identity.types_accounts import KeySummary, KeyUsage, NewKey
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.times import format_timestamp_ms
from flowforge.web.bodies import TitleAdapter
from flowforge.web.selecting import read_all

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="API keys of the workspace.")

KeyIn = Annotated[str, typer.Argument(help="Its id, or its first 12 characters.")]
COLUMNS = (
    field("prefix", "prefix", style="bold"),
    field("name", "name"),
    field("permissions", "permissions"),
    field("expires", "expires_at"),
    field("state", "state"),
)
USAGE_COLUMNS = (
    field("hour", "hour", style="bold"),
    field("from", "address"),
    field("requests", "requests"),
    field("last used", "last_used_at"),
)


def _describe(key: KeySummary, now_ms: int) -> JsonObject:
    state = "revoked" if key.revoked_at_ms is not None else "expired" if key.expires_at_ms <= now_ms else "good"
    return {
        "id": key.id,
        "prefix": key.prefix,
        "name": key.name,
        "user_id": key.user_id,
        "permissions": list(key.permissions),
        "tier": key.tier,
        "expires_at": format_timestamp_ms(key.expires_at_ms),
        "state": state,
    }


@app.command()
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    *,
    email: Annotated[str, typer.Option("--user", help="Whose rights it has, at most: an email or id.")],
    permissions: Annotated[list[str], typer.Option("--permission", help="What it may do, like workflow:start (repeatable).")],
    expires_in: Annotated[str, typer.Option("--expires", help="How long it is good, a year at most.")] = "90d",
    tier: Annotated[str | None, typer.Option("--tier", help="free, basic, pro or enterprise; else RATE_TIER.")] = None,
) -> None:
    """Make an API key, and print it: the only time that it is shown."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        now_ms, author = place.now_ms, place.author

        async def make(session: AsyncSession) -> NewKey:
            user = await get_user(session, email)
            made = await create_key(session, user.id, place.workspace_id, KeyWish(name, permissions, expires_in, tier), now_ms)
            after: dict[str, JsonValue] = {"name": name, "prefix": made.summary.prefix, "permissions": [*permissions]}
            await record_as(session, author, "key.created", "key", made.summary.id, after=after, workspace_id=place.workspace_id)
            return made

        made = place.write(make)
    if frame.output.is_json:
        frame.output.write_line(_describe(made.summary, now_ms) | {"key": made.text})
        return
    frame.output.say("Keep it: it is not shown again.")
    frame.output.write_text(made.text)


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """All keys of the workspace, by their first 12 characters."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        now_ms = place.now_ms

        async def read(session: AsyncSession) -> list[KeySummary]:
            return [summarize_key(row) for row in await read_all(KEYS, partial(list_keys, session, place.workspace_id))]

        keys = place.read(read)
    rows = (_describe(key, now_ms) for key in keys)
    frame.output.write_rows(rows, COLUMNS, empty="There is no key; `flowforge keys create NAME` makes one.")


@app.command()
def revoke(ctx: typer.Context, key: KeyIn) -> None:
    """Refuse a key for ever, within 5 seconds."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        now_ms, author = place.now_ms, place.author

        async def change(session: AsyncSession) -> KeySummary:
            row = await get_key(session, place.workspace_id, key)
            if await revoke_key(session, row, now_ms):
                before: dict[str, JsonValue] = {"name": row.name, "prefix": row.prefix}
                await record_as(session, author, "key.revoked", "key", row.id, before=before, workspace_id=place.workspace_id)
            return summarize_key(row)

        summary = place.write(change)
    frame.output.confirm(f"The key {summary.prefix} is revoked.", _describe(summary, now_ms))


@app.command()
def show(ctx: typer.Context, key: KeyIn) -> None:
    """One key; its text is never shown again."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        now_ms = place.now_ms
        row = place.read(lambda session: get_key(session, place.workspace_id, key))
    frame.output.write_object(_describe(summarize_key(row), now_ms))


@app.command()
def rename(ctx: typer.Context, key: KeyIn, name: Annotated[str, typer.Argument(help="What the key is for.")]) -> None:
    """Give a key another name. Nothing else of a key changes."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        now_ms, author = place.now_ms, place.author

        async def change(session: AsyncSession) -> KeySummary:
            row = await get_key(session, place.workspace_id, key)
            before, row.name = row.name, TitleAdapter.validate_python(name)
            noted: tuple[dict[str, JsonValue], dict[str, JsonValue]] = ({"name": before}, {"name": name})
            workspace_id = place.workspace_id
            await record_as(
                session, author, "key.updated", "key", row.id, before=noted[0], after=noted[1], workspace_id=workspace_id
            )
            return summarize_key(row)

        summary = place.write(change)
    frame.output.confirm(f"The key {summary.prefix} is called {name}.", _describe(summary, now_ms))


@app.command()
def usage(ctx: typer.Context, key: KeyIn) -> None:
    """How often a key was used, by hour and address, the latest first, of the last 90 days."""
    frame = frame_of(ctx)
    with open_place(frame) as place:

        async def read(session: AsyncSession) -> list[KeyUsage]:
            row = await get_key(session, place.workspace_id, key)
            return await read_all(KEY_USAGE, partial(list_key_usage, session, place.workspace_id, row))

        used = place.read(read)
    rows: list[JsonObject] = [
        {
            "hour": format_timestamp_ms(one.hour_at_ms),
            "address": one.address,
            "requests": one.requests,
            "last_used_at": format_timestamp_ms(one.used_at_ms),
        }
        for one in used
    ]
    frame.output.write_rows(rows, USAGE_COLUMNS, empty="It was not used in the last 90 days.")
