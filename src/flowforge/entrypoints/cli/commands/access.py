"""`flowforge access`: who may do what, and why, on this machine's data folder."""

from typing import Annotated, Final

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.entrypoints.cli.codes import ExitCode
from flowforge.entrypoints.cli.columns import field
from flowforge.entrypoints.cli.failures import CommandFailedError
from flowforge.entrypoints.cli.frame import frame_of
from flowforge.entrypoints.cli.place import open_place
from flowforge.identity.access import Explanation, Reason, explain_access
from flowforge.identity.access import find_who_can as look_who_can
from flowforge.identity.assignments import get_person_by_text
from flowforge.identity.errors_roles import WorkspaceNotFoundError
from flowforge.identity.roles import check_permissions
from flowforge.identity.scopes import Scope
from flowforge.identity.workspaces import find_workspace
from flowforge.kit.values import JsonObject

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="Who may do what, and why.")

COLUMNS: Final = (
    field("effect", "effect", style="bold"),
    field("who", "email"),
    field("role", "role"),
    field("group", "group"),
    field("scope", "scope"),
    field("why", "sentence"),
)

Permission = Annotated[str, typer.Argument(metavar="PERMISSION", help="area:verb, like workflow:publish.")]
In = Annotated[str | None, typer.Option("--in", metavar="WORKSPACE", help="In this workspace; left out, in the default one.")]


def _describe(reason: Reason) -> JsonObject:
    return {
        "effect": reason.effect,
        "user_id": reason.person.id,
        "email": reason.person.email,
        "role": reason.role,
        "group": None if reason.group is None else reason.group.name,
        "scope": None if reason.scope is None else str(reason.scope),
        "sentence": reason.sentence,
    }


@app.command()
def explain(
    ctx: typer.Context,
    person: Annotated[str, typer.Argument(metavar="PERSON", help="An email, or usr_…")],
    permission: Permission,
    *,
    workspace: In = None,
) -> None:
    """Why a person may do something, or may not; leaves with 1 where not."""
    frame = frame_of(ctx)
    check_permissions("permission", [permission])

    async def look(session: AsyncSession) -> Explanation:
        scope = await _find_scope(session, workspace or place.workspace_id)
        return await explain_access(session, (await get_person_by_text(session, person)).id, permission, scope)

    with open_place(frame) as place:
        found = place.report(look)
    frame.output.write_rows(map(_describe, found.because), COLUMNS)
    if not found.is_allowed:
        raise CommandFailedError(ExitCode.FAILED)


@app.command("who-can")
def find_who_can(ctx: typer.Context, permission: Permission, *, workspace: In = None) -> None:
    """Everybody who may do something, and why."""
    frame = frame_of(ctx)
    check_permissions("permission", [permission])

    async def look(session: AsyncSession) -> list[Reason]:
        people = await look_who_can(session, permission, await _find_scope(session, workspace or place.workspace_id))
        return [reason for reasons in people for reason in reasons]

    with open_place(frame) as place:
        found = place.report(look)
    frame.output.write_rows(map(_describe, found), COLUMNS, empty="Nobody may do this.")


async def _find_scope(session: AsyncSession, workspace: str) -> Scope:
    row = await find_workspace(session, workspace)
    if row is None:
        raise WorkspaceNotFoundError(workspace)
    return Scope(row.id)
