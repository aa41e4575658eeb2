"""`flowforge users`."""

from typing import Annotated, Final

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit.service import Author
from flowforge.entrypoints.cli.columns import field
from flowforge.entrypoints.cli.frame import ACTOR, frame_of
from flowforge.entrypoints.cli.place import Place, open_place
from flowforge.identity.service import (
    HANDED_LINK_MS,
    LinkPurpose,
    NewPerson,
    UserFilter,
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
from flowforge.kit.values import JsonObject
from flowforge.language.times import format_timestamp_ms

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="People: make, list, disable, let in.")

COLUMNS = (
    field("email", "email", style="bold"),
    field("name", "name"),
    field("status", "status"),
    field("id", "id"),
    field("made", "created_at"),
)
_PAGE: Final = 200

EmailIn = Annotated[str, typer.Argument(help="The person's email, or id.")]


def _describe(user: User) -> JsonObject:
    created_at = format_timestamp_ms(user.created_at_ms)
    return {"id": user.id, "email": user.email, "name": user.name, "status": user.status, "created_at": created_at}


def _name_author(place: Place) -> Author:
    return Author(actor=ACTOR, at_ms=place.now_ms, keyring=place.installation.keyring)


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
        now_ms, author = place.now_ms, _name_author(place)

        async def make(session: AsyncSession) -> tuple[User, str]:
            person = NewPerson(email, name or email.partition("@")[0])
            row = await create_person(session, person, now_ms=now_ms, by=ACTOR)
            if role is not None:
                await assign_role(session, row.id, role, at_ms=now_ms, actor=ACTOR)
            token = await make_link(session, row, LinkPurpose.SIGN_IN, now_ms=now_ms, lives_ms=HANDED_LINK_MS)
            await tell_user(session, author, "created", row, at_ms=now_ms, after={"email": row.email, "role": role})
            return describe_user(row), token

        user, token = place.write(make)
        link = make_link_url(place.installation.settings, token, LinkPurpose.SIGN_IN)
    frame.output.say(f"{user.email} is made. This link signs in, once, within 24 hours:")
    _print_link(ctx, user, link)


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """Everybody who was not deleted."""
    frame = frame_of(ctx)
    with open_place(frame) as place:

        async def read(session: AsyncSession) -> list[User]:
            rows = await list_users(session, UserFilter(sort="email", limit=_PAGE))
            found = list(rows)
            while len(rows) > _PAGE:
                found.pop()
                last = found[-1]
                rows = await list_users(session, UserFilter(sort="email", limit=_PAGE, after=[last.email_key, last.id]))
                found.extend(rows)
            return [describe_user(row) for row in found]

        users = place.read(read)
    frame.output.write_rows(
        map(_describe, users), COLUMNS, empty="There is nobody; `flowforge users create EMAIL --role owner` makes the first."
    )


@app.command()
def link(ctx: typer.Context, email: EmailIn) -> None:
    """Print a link that lets a person in: once, within a day. Links that were made before are void."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        now_ms, author = place.now_ms, _name_author(place)

        async def make(session: AsyncSession) -> tuple[User, str]:
            row = await get_user(session, email, is_locked=True)
            token = await make_link(session, row, LinkPurpose.SIGN_IN, now_ms=now_ms, lives_ms=HANDED_LINK_MS)
            await tell_user(session, author, "sign_in_link_made", row, at_ms=now_ms)
            return describe_user(row), token

        user, token = place.write(make)
        address = make_link_url(place.installation.settings, token, LinkPurpose.SIGN_IN)
    if user.status == "disabled":
        frame.output.say(f"{user.email} is disabled; the link is good once `flowforge users enable {user.email}` was done.")
    _print_link(ctx, user, address)


@app.command()
def disable(ctx: typer.Context, email: EmailIn) -> None:
    """Let a person in no more; sessions, tokens and keys of the person are refused from now on."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        now_ms, author = place.now_ms, _name_author(place)

        async def change(session: AsyncSession) -> User:
            row = await get_user(session, email, is_locked=True)
            if await disable_user(session, row, now_ms):
                await tell_user(session, author, "disabled", row, at_ms=now_ms)
            return describe_user(row)

        user = place.write(change)
    frame.output.confirm(f"{user.email} is disabled.", _describe(user))


@app.command()
def enable(ctx: typer.Context, email: EmailIn) -> None:
    """Let a person in again."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        now_ms, author = place.now_ms, _name_author(place)

        async def change(session: AsyncSession) -> User:
            row = await get_user(session, email, is_locked=True)
            if await enable_user(session, row, now_ms):
                await tell_user(session, author, "enabled", row, at_ms=now_ms)
            return describe_user(row)

        user = place.write(change)
    frame.output.confirm(f"{user.email} is enabled.", _describe(user))


def _print_link(ctx: typer.Context, user: User, address: str) -> None:
    output = frame_of(ctx).output
    if output.is_json:
        output.write_line(_describe(user) | {"link": address})
    else:
        output.write_text(address)
