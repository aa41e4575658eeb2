"""`flowforge import`."""

from typing import Annotated, Final

import pydantic
import typer

from flowforge.audit.service import record_as
from flowforge.entrypoints.cli.arguments import read_bytes
from flowforge.entrypoints.cli.columns import field
from flowforge.entrypoints.cli.frame import ACTOR, frame_of
from flowforge.entrypoints.cli.place import Place, open_place
from flowforge.entrypoints.triggering import make_trigger_switch
from flowforge.kit.errors import ValidationError
from flowforge.web.faults import read_faults
from flowforge.workflows.transfer.service import (
    Configuration,
    Import,
    ImportConflictError,
    Imported,
    Plan,
    apply_plan,
    describe_import,
    list_definitions,
    plan_import,
    tell_import,
)

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_COLUMNS: Final = (field("kind", "kind"), field("name", "name", style="bold"), field("action", "action"), field("", "message"))


@app.command("import")
def import_(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="What `flowforge export` wrote; - is stdin.")],
    *,
    is_dry: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")] = False,
    skips_conflicts: Annotated[
        bool, typer.Option("--skip-conflicts", help="Import the rest where items contradict what is here.")
    ] = False,
) -> None:
    """Bring in the configuration of another installation: all of it or nothing.

    Tells for each item whether it is made, changed, the same already, or contradicts what is here.
    """
    frame = frame_of(ctx)
    given = _read(file)
    with open_place(frame) as place:
        plan, told = place.run(_plan(place, given, is_dry=is_dry))
        if not is_dry:
            _apply(place, given, plan, skips_conflicts=skips_conflicts)
    frame.output.write_rows(
        [item.model_dump() for item in told.items], _COLUMNS, empty="The file holds nothing that could be imported."
    )
    for what, names in (("variables", told.missing_variables), ("secrets", told.missing_secrets)):
        if names:
            frame.output.say(f"Not set here yet, {what}: {', '.join(names)}.")


def _read(file: str) -> Configuration:
    try:
        return Configuration.model_validate_json(read_bytes(file))
    except pydantic.ValidationError as fault:
        # The words of the API for the same faults.
        faults = [{**error, "loc": ("body", *error["loc"])} for error in fault.errors()]
        raise ValidationError(f"{file} is no exported configuration.", read_faults(faults)) from fault


async def _plan(place: Place, given: Configuration, *, is_dry: bool) -> tuple[Plan, Imported]:
    installation = place.installation
    async with installation.database.read() as session:
        plan = await plan_import(session, place.workspace_id, given, check=installation.check_source, at_ms=place.now_ms)
        return plan, await tell_import(session, place.workspace_id, given, plan, is_dry=is_dry)


def _apply(place: Place, given: Configuration, plan: Plan, *, skips_conflicts: bool) -> None:
    conflicts = plan.list_conflicts()
    if conflicts and not skips_conflicts:
        raise ImportConflictError(conflicts)
    for digest, definition in list_definitions(plan):
        place.installation.store.define(digest, definition)
    place.run(_store(place, given, plan))


async def _store(place: Place, given: Configuration, plan: Plan) -> None:
    on_published = make_trigger_switch(place.installation).on_published
    async with place.installation.database.write.begin() as session:
        await apply_plan(Import(session, ACTOR, place.workspace_id, place.now_ms, plan, on_published), given)
        await record_as(
            session,
            place.author,
            "configuration.imported",
            "configuration",
            place.workspace_id,
            after=describe_import(plan),
            workspace_id=place.workspace_id,
        )
