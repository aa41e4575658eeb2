"""`flowforge users show, delete, restore, sessions, sign-out`."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Final

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit.service import erase_person
from flowforge.entrypoints.cli.columns import field
from flowforge.entrypoints.cli.failures import UsageError
from flowforge.entrypoints.cli.frame import frame_of
from flowforge.entrypoints.cli.place import open_place
from flowforge.identity.models_accounts import UserRow
from flowforge.identity.people import delete_user, erase_user, restore_user
from flowforge.identity.service import describe_user, get_user, tell_user
from flowforge.identity.sessions import end_sessions
from flowforge.identity.types_accounts import User
from flowforge.kit.values import JsonObject
from flowforge.language.times import format_timestamp_ms

EmailIn = Annotated[str, typer.Argument(help="The person's email, or id.")]
SESSION_COLUMNS: Final = (
    field("session", "id", style="bold"),
    field("by", "method"),
    field("with", "user_agent"),
    field("since", "created_at"),
    field("last used", "last_used_at"),
)


def register(app: typer.Typer) -> None:
    """Puts these commands into `flowforge users`."""
    for command in (show, delete, restore, sessions):
        app.command()(command)
    app.command("sign-out")(sign_out)


def describe(user: User) -> JsonObject:
    created_at = format_timestamp_ms(user.created_at_ms)
    return {"id": user.id, "email": user.email, "name": user.name, "status": user.status, "created_at": created_at}


def show(ctx: typer.Context, email: EmailIn) -> None:
    """One person."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        row = place.read(lambda session: get_user(session, email))
    frame.output.write_object(describe(describe_user(row)))


def delete(
    ctx: typer.Context,
    email: EmailIn,
    *,
    is_permanent: Annotated[
        bool, typer.Option("--permanent", help="For ever: also what tells who the person was, in the audit log too.")
    ] = False,
) -> None:
    """Take a person away, with sessions and tokens. `users restore` brings back who was not erased."""

    async def drop(session: AsyncSession, row: UserRow, now_ms: int) -> None:
        if not is_permanent:
            await delete_user(session, row, now_ms)
            return
        await erase_user(session, row, now_ms)
        await erase_person(session, row.id, at_ms=now_ms)

    word = "erased" if is_permanent else "deleted"
    user = _change(ctx, email, word, drop, include_deleted=is_permanent)
    frame_of(ctx).output.confirm(f"{email} is {word}.", {"id": user.id, "status": word})


def restore(ctx: typer.Context, email: EmailIn) -> None:
    """Bring a deleted person back, with the roles that the person had."""
    user = _change(ctx, email, "restored", restore_user, include_deleted=True)
    frame_of(ctx).output.confirm(f"{user.email} is back.", describe(user))


def sign_out(ctx: typer.Context, email: EmailIn) -> None:
    """End all sessions and tokens of a person, from the next request on."""

    async def end(session: AsyncSession, row: UserRow, _now_ms: int) -> None:
        await end_sessions(session, row)

    user = _change(ctx, email, "signed_out", end)
    frame_of(ctx).output.confirm(f"{user.email} is signed out everywhere.", describe(user))


def sessions(ctx: typer.Context, email: EmailIn) -> None:
    """Where a person is signed in: on a server, with --url."""
    del ctx, email
    raise UsageError("People are signed in at a server: name it with --url. `users sign-out` ends all sessions here, too.")


def _change(
    ctx: typer.Context,
    email: str,
    word: str,
    apply: Callable[[AsyncSession, UserRow, int], Awaitable[None]],
    *,
    include_deleted: bool = False,
) -> User:
    with open_place(frame_of(ctx)) as place:
        now_ms, author = place.now_ms, place.author

        async def work(session: AsyncSession) -> User:
            row = await get_user(session, email, include_deleted=include_deleted, is_locked=True)
            await apply(session, row, now_ms)
            await tell_user(session, author, word, row, at_ms=now_ms)
            return describe_user(row)

        return place.write(work)
