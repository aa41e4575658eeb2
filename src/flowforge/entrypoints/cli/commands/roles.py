"""`flowforge roles`: which there are, and who has them, on this machine's data folder."""

from functools import partial
from typing import Annotated, Final

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit.service import record_as
from flowforge.entrypoints.cli.columns import field
from flowforge.entrypoints.cli.frame import ACTOR, frame_of
from flowforge.entrypoints.cli.place import Place, open_place
from flowforge.identity.assignments import AssignmentFilter, assign_role, get_person_by_text, list_assignments, unassign_role
from flowforge.identity.errors_roles import WorkspaceNotFoundError
from flowforge.identity.lists import ASSIGNMENTS
from flowforge.identity.roles import Role, get_role, list_roles, read_names
from flowforge.identity.scopes import Scope
from flowforge.identity.workspaces import find_workspace
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.times import format_timestamp_ms
from flowforge.web.selecting import read_all

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="Roles: which there are, who has them.")

COLUMNS: Final = (field("role", "name", style="bold"), field("built in", "built_in"), field("description", "description"))
GIVEN_COLUMNS: Final = (
    field("who", "principal", style="bold"),
    field("role", "role"),
    field("scope", "scope"),
    field("since", "created_at"),
)

Person = Annotated[str, typer.Argument(metavar="PERSON", help="An email, or usr_…")]
RoleName = Annotated[str, typer.Argument(metavar="ROLE", help="As `roles list` shows it.")]
In = Annotated[str | None, typer.Option("--in", metavar="WORKSPACE", help="Only in this workspace; left out, everywhere.")]


def _describe(role: Role) -> JsonObject:
    permissions: list[JsonValue] = [*sorted(role.permissions)]
    return {"name": role.name, "built_in": role.is_built_in, "description": role.description, "permissions": permissions}


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """All roles, the built-in ones first."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        found = place.report(list_roles)
    frame.output.write_rows(map(_describe, found), COLUMNS)


@app.command()
def show(ctx: typer.Context, name: RoleName) -> None:
    """The permissions of one role."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        role = place.read(lambda session: get_role(session, name))
    rows: list[JsonObject] = [{"permission": permission} for permission in sorted(role.permissions)]
    frame.output.write_rows(rows, (field("permission", "permission"),), empty="This role holds nothing.")


@app.command()
def given(
    ctx: typer.Context, *, person: Annotated[str | None, typer.Option("--to", help="Only what this person was given.")] = None
) -> None:
    """Who has which role, and where."""
    frame = frame_of(ctx)

    async def look(session: AsyncSession) -> list[JsonObject]:
        principal = None if person is None else (await get_person_by_text(session, person)).id
        rows = await read_all(ASSIGNMENTS, partial(list_assignments, session, AssignmentFilter(principal=principal)))
        names = await read_names(session, [row.role for row in rows])
        return [
            {
                "principal": row.principal,
                "role": names.get(row.role, row.role),
                "scope": str(Scope(row.workspace_id, row.project_id)),
                "created_at": format_timestamp_ms(row.created_at),
            }
            for row in rows
        ]

    with open_place(frame) as place:
        rows = place.report(look)
    frame.output.write_rows(rows, GIVEN_COLUMNS, empty="Nobody has a role.")


@app.command()
def give(ctx: typer.Context, person: Person, role: RoleName, *, workspace: In = None) -> None:
    """Give a person a role: `flowforge roles give ann@example.com operator`."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        result = place.write(lambda session: _give(session, place, person, role, workspace))
    frame.output.confirm(f"{person} has the role {role} ({result['scope']}).", result)


@app.command()
def take(ctx: typer.Context, person: Person, role: RoleName, *, workspace: In = None) -> None:
    """Take a role from a person. The last owner stays one."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        result = place.write(lambda session: _take(session, place, person, role, workspace))
    frame.output.confirm(f"{person} does not have the role {role} ({result['scope']}).", result)


async def _give(session: AsyncSession, place: Place, person: str, role: str, workspace: str | None) -> JsonObject:
    user, scope = await get_person_by_text(session, person), await _find_scope(session, workspace)
    row_id = await assign_role(session, user.id, role, at_ms=place.now_ms, actor=ACTOR, scope=scope)
    told: JsonObject = {"principal": user.id, "role": role, "scope": str(scope)}
    if row_id is not None:
        await record_as(
            session, place.author, "role.assigned", "role_assignment", row_id, after=told, workspace_id=scope.workspace_id
        )
    return told


async def _take(session: AsyncSession, place: Place, person: str, role: str, workspace: str | None) -> JsonObject:
    user, scope = await get_person_by_text(session, person), await _find_scope(session, workspace)
    row_id = await unassign_role(session, user.id, role, scope=scope)
    told: JsonObject = {"principal": user.id, "role": role, "scope": str(scope)}
    if row_id is not None:
        await record_as(
            session, place.author, "role.unassigned", "role_assignment", row_id, before=told, workspace_id=scope.workspace_id
        )
    return told


async def _find_scope(session: AsyncSession, workspace: str | None) -> Scope:
    if workspace is None:
        return Scope()
    row = await find_workspace(session, workspace)
    if row is None:
        raise WorkspaceNotFoundError(workspace)
    return Scope(row.id)
