"""`flowforge users`."""

from functools import partial
from typing import Annotated
from urllib.parse import urlsplit

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.entrypoints.cli.columns import field
from flowforge.entrypoints.cli.commands import users_changing
from flowforge.entrypoints.cli.commands.users_changing import EmailIn, describe
from flowforge.entrypoints.cli.frame import ACTOR, frame_of
from flowforge.entrypoints.cli.place import Place, open_place
from flowforge.entrypoints.server.address import find_address
from flowforge.identity.lists import USERS
from flowforge.identity.service import (
    HANDED_LINK_MS,
    LinkPurpose,
    NewPerson,
    assign_role,
    create_person,
    describe_user,
    disable_user,
    enable_user,
    get_user,
    list_users,
    make_link,
    make_link_url,
    tell_user,
)
from flowforge.identity.types_accounts import User
from flowforge.web.selecting import read_all

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="People: make, list, disable, let in.")

COLUMNS = (
    field("email", "email", style="bold"),
    field("name", "name"),
    field("status", "status"),
    field("id", "id"),
    field("made", "created_at"),
)


@app.command()
def create(
    ctx: typer.Context,
    email: Annotated[str, typer.Argument(help="The person's email.")],
    *,
    role: Annotated[str | None, typer.Option("--role", help="A role for the whole installation: owner, admin, builder …")] = None,
    name: Annotated[str, typer.Option("--name", help="What the person is called; else the email's beginning.")] = "",
) -> None:
    """Make a person, and print a link that lets the person in: once, within a day."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        now_ms, author = place.now_ms, place.author

        async def make(session: AsyncSession) -> tuple[User, str]:
            person = NewPerson(email, name or email.partition("@")[0])
            row = await create_person(session, person, now_ms=now_ms, by=ACTOR)
            if role is not None:
                await assign_role(session, row.id, role, at_ms=now_ms, actor=ACTOR)
            token = await make_link(session, row, LinkPurpose.SIGN_IN, now_ms=now_ms, lives_ms=HANDED_LINK_MS)
            await tell_user(session, author, "created", row, at_ms=now_ms, after={"email": row.email, "role": role})
            return describe_user(row), token

        user, token = place.write(make)
        link = _make_address(place, token)
    frame.output.say(f"{user.email} is made. This link signs in, once, within 24 hours:")
    _print_link(ctx, user, link)


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """Everybody who was not deleted."""
    frame = frame_of(ctx)
    with open_place(frame) as place:

        async def read(session: AsyncSession) -> list[User]:
            return [describe_user(row) for row in await read_all(USERS, partial(list_users, session), sort="email")]

        users = place.read(read)
    frame.output.write_rows(
        map(describe, users), COLUMNS, empty="There is nobody; `flowforge users create EMAIL --role owner` makes the first."
    )


@app.command()
def link(ctx: typer.Context, email: EmailIn) -> None:
    """Print a link that lets a person in: once, within a day. Links that were made before are void."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        now_ms, author = place.now_ms, place.author

        async def make(session: AsyncSession) -> tuple[User, str]:
            row = await get_user(session, email, is_locked=True)
            token = await make_link(session, row, LinkPurpose.SIGN_IN, now_ms=now_ms, lives_ms=HANDED_LINK_MS)
            await tell_user(session, author, "sign_in_link_made", row, at_ms=now_ms)
            return describe_user(row), token

        user, token = place.write(make)
        address = _make_address(place, token)
    if user.status == "disabled":
        frame.output.say(f"{user.email} is disabled; the link is good once `flowforge users enable {user.email}` was done.")
    _print_link(ctx, user, address)


@app.command()
def disable(ctx: typer.Context, email: EmailIn) -> None:
    """Let a person in no more; sessions, tokens and keys of the person are refused from now on."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        now_ms, author = place.now_ms, place.author

        async def change(session: AsyncSession) -> User:
            row = await get_user(session, email, is_locked=True)
            if await disable_user(session, row, now_ms):
                await tell_user(session, author, "disabled", row, at_ms=now_ms)
            return describe_user(row)

        user = place.write(change)
    frame.output.confirm(f"{user.email} is disabled.", describe(user))


@app.command()
def enable(ctx: typer.Context, email: EmailIn) -> None:
    """Let a person in again."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        now_ms, author = place.now_ms, place.author

        async def change(session: AsyncSession) -> User:
            row = await get_user(session, email, is_locked=True)
            if await enable_user(session, row, now_ms):
                await tell_user(session, author, "enabled", row, at_ms=now_ms)
            return describe_user(row)

        user = place.write(change)
    frame.output.confirm(f"{user.email} is enabled.", describe(user))


def _make_address(place: Place, token: str) -> str:
    """On PUBLIC_URL; where that is not set, on this machine, at the port that a server of this folder has taken (`up --port 0`)."""
    settings, running = place.installation.settings, find_address(place.installation.folder)
    if running is not None:
        settings = settings.model_copy(update={"port": urlsplit(running).port})
    return make_link_url(settings, token, LinkPurpose.SIGN_IN)


def _print_link(ctx: typer.Context, user: User, address: str) -> None:
    output = frame_of(ctx).output
    if output.is_json:
        output.write_line(describe(user) | {"link": address})
    else:
        output.write_text(address)


users_changing.register(app)
