"""`flowforge triggers stats, fire, test, run, create, change, delete`."""

from dataclasses import asdict
from typing import Annotated, cast

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit.service import record_as
from flowforge.engine.store import WorkerFacts
from flowforge.entrypoints.cli.arguments import read_json, set_paths
from flowforge.entrypoints.cli.codes import ExitCode
from flowforge.entrypoints.cli.failures import CommandFailedError, UsageError
from flowforge.entrypoints.cli.frame import ACTOR, frame_of
from flowforge.entrypoints.cli.place import Place, open_place
from flowforge.entrypoints.ports import VersionsPort
from flowforge.entrypoints.server.clustered import ClusterRunner
from flowforge.kit.bus import MemoryBus
from flowforge.kit.errors import Detail
from flowforge.kit.limits import Limits
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.runs.steering import merge_patch
from flowforge.triggers.attaching import Wish, attach, detach, require_attached
from flowforge.triggers.attaching import change as change_attached
from flowforge.triggers.by_hand import make_data
from flowforge.triggers.checking import check_deeply, check_trigger
from flowforge.triggers.errors import TriggerInvalidError
from flowforge.triggers.firing import Firing, Occurrence
from flowforge.triggers.listing import get_trigger
from flowforge.triggers.reading import get_row, read_trigger
from flowforge.triggers.recording import Recorder
from flowforge.triggers.types import Fired, Trigger
from flowforge.triggers.views import describe_for_audit, show_figures
from flowforge.workflows.service import get_workflow

TriggerId = Annotated[str, typer.Argument(help="The trigger's id, as `triggers list` shows it.")]
With = Annotated[str, typer.Option("--with", help="Its parameters: JSON, @FILE, or - for stdin.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="path=value of a parameter (repeatable).", show_default=False)]
Input = Annotated[
    str | None,
    typer.Option("--input", "-i", help="The run's input, by expressions over `trigger`: JSON, @FILE, or -.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Puts these commands into `flowforge triggers`."""
    for command in (stats, fire, run, create, change, delete):
        app.command()(command)
    app.command("test")(check)


def stats(ctx: typer.Context, trigger_id: TriggerId) -> None:
    """How often a trigger was called, and what came of it."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        _, figures = place.report(lambda session: get_trigger(session, place.workspace_id, trigger_id))
    frame.output.write_object(show_figures(figures).model_dump())


def fire(
    ctx: typer.Context,
    trigger_id: TriggerId,
    *,
    payload: Annotated[str, typer.Option("--payload", help="What comes: JSON, @FILE, or - for stdin.")] = "null",
) -> None:
    """Fire a trigger by hand, also while it is paused. Whoever works on the data folder carries the run on."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        value = read_json(payload, place.installation.settings.limits, "--payload")
        trigger, _ = place.read(lambda session: get_trigger(session, place.workspace_id, trigger_id))
        data = make_data(trigger, value, actor=ACTOR, address=None)
        author, workspace_id = place.author, place.workspace_id
        place.write(lambda session: record_as(session, author, "trigger.fired", "trigger", trigger.id, workspace_id=workspace_id))
        fired = place.run(_fire(place, Occurrence(trigger, data, place.now_ms, is_forced=True)))
    told: JsonObject = {"run_id": fired.run_id, "status": fired.status, "duplicate": fired.is_duplicate}
    frame.output.confirm(f"{fired.run_id} is started.", told)


async def _fire(place: Place, occurrence: Occurrence) -> Fired:
    installation = place.installation
    runner = ClusterRunner(installation, VersionsPort(installation), MemoryBus(), WorkerFacts(role="command"), "triggers fire")
    recorder = Recorder(installation.database.write, tells_outside=True)
    limits, clock = installation.settings.limits, installation.clock
    await runner.open()
    try:
        firing = Firing(installation.database, runner, installation.registry, limits, clock, installation.ids, recorder)
        return await firing.fire(occurrence)
    finally:
        await recorder.run_once()
        await runner.close()


def check(ctx: typer.Context, trigger_id: TriggerId) -> None:
    """Whether a trigger's parameters are valid. On a server also, whether what it listens to can be reached."""
    frame = frame_of(ctx)

    async def look(session: AsyncSession) -> tuple[list[Detail], list[Detail]]:
        trigger, _ = await get_trigger(session, place.workspace_id, trigger_id)
        wish = Wish(trigger.kind, trigger.config, trigger.has_input, trigger.input)
        try:
            return [], await _check(session, place, wish)
        except TriggerInvalidError as fault:
            return list(fault.details), []

    with open_place(frame) as place:
        errors, warnings = place.read(look)
    told: JsonObject = {
        "configuration_valid": not errors,
        "errors": [_show(fault) for fault in errors],
        "connection_test": None,
        "warnings": [_show(warning) for warning in warnings],
    }
    frame.output.write_object(told)
    leave_unless_valid(is_valid=not errors)


def run(ctx: typer.Context, trigger_id: TriggerId) -> None:
    """Run all events that a trigger holds, the oldest first: on a server, with --url."""
    del ctx, trigger_id
    raise UsageError("Held events are run by a server: name it with --url. `flowforge up` is one.")


def create(
    ctx: typer.Context,
    workflow: Annotated[str, typer.Argument(help="Name or id.")],
    uses: Annotated[str, typer.Argument(metavar="KIND", help="As `triggers types` shows it.")],
    *,
    with_: With = "{}",
    set_: Set = None,
    input_: Input = None,
) -> None:
    """Attach a trigger to a workflow, whose document stays as it is."""
    frame = frame_of(ctx)

    async def make(session: AsyncSession) -> Trigger:
        limits = place.installation.settings.limits
        value = None if input_ is None else read_json(input_, limits, "--input")
        wish = Wish(uses, read_parameters(with_, set_, limits), input_ is not None, value)
        found = await get_workflow(session, place.workspace_id, workflow)
        await _check(session, place, wish)
        made = await attach(session, ACTOR, found, wish, at_ms=place.now_ms)
        await _record(session, place, "trigger.created", made.id, None, describe_for_audit(made))
        return made

    with open_place(frame) as place:
        made = place.write(make)
    frame.output.confirm(f"The trigger {made.id} starts {made.workflow}.", describe(made))


def change(ctx: typer.Context, trigger_id: TriggerId, *, with_: With = "{}", set_: Set = None, input_: Input = None) -> None:
    """Change an attached trigger: what is named is merged in, null takes a parameter away. --input null: none."""
    frame = frame_of(ctx)

    async def apply(session: AsyncSession) -> Trigger:
        limits = place.installation.settings.limits
        row = await get_row(session, place.workspace_id, trigger_id, is_locked=True)
        require_attached(row)
        before = read_trigger(row)
        config = cast("JsonObject", merge_patch(before.config, read_parameters(with_, set_, limits)))
        value = before.input if input_ is None else read_json(input_, limits, "--input")
        has_input = before.has_input if input_ is None else value is not None
        wish = Wish(before.kind, config, has_input, value)
        await _check(session, place, wish)
        after = await change_attached(session, ACTOR, place.workspace_id, trigger_id, wish, at_ms=place.now_ms)
        await _record(session, place, "trigger.updated", after.id, describe_for_audit(before), describe_for_audit(after))
        return after

    with open_place(frame) as place:
        after = place.write(apply)
    frame.output.confirm(f"The trigger {after.id} of {after.workflow} is changed.", describe(after))


def delete(ctx: typer.Context, trigger_id: TriggerId) -> None:
    """Delete an attached trigger, with the events that it holds."""
    frame = frame_of(ctx)

    async def drop(session: AsyncSession) -> Trigger:
        gone = await detach(session, place.workspace_id, trigger_id)
        await _record(session, place, "trigger.deleted", gone.id, describe_for_audit(gone), None)
        return gone

    with open_place(frame) as place:
        gone = place.write(drop)
    frame.output.confirm(f"The trigger {gone.id} of {gone.workflow} is deleted.", describe(gone))


def read_parameters(with_: str, set_: list[str] | None, limits: Limits) -> JsonObject:
    """The parameters that `--with` and `--set` name."""
    value: JsonValue = set_paths(read_json(with_, limits, "--with"), set_ or [], limits)
    if not isinstance(value, dict):
        raise UsageError("--with wants a JSON object.")
    return value


def describe(trigger: Trigger) -> JsonObject:
    return {"id": trigger.id, "workflow": trigger.workflow, "uses": trigger.kind, "status": trigger.status.value}


def leave_unless_valid(*, is_valid: bool) -> None:
    """Exit code 1 where a check did not pass."""
    if not is_valid:
        raise CommandFailedError(ExitCode.FAILED)


async def _check(session: AsyncSession, place: Place, wish: Wish) -> list[Detail]:
    """The warnings. Raises TriggerInvalidError, which names every fault."""
    limits = place.installation.settings.limits
    trigger: JsonObject = {"id": "attached", "uses": wish.kind, "with": wish.config}
    warnings = check_trigger(trigger | ({"input": wish.input} if wish.has_input else {}), place.installation.registry, limits)
    faults = await check_deeply(session, place.workspace_id, wish.kind, wish.config, limits=limits, now_ms=place.now_ms)
    if faults:
        raise TriggerInvalidError(faults)
    return warnings


async def _record(
    session: AsyncSession, place: Place, action: str, trigger_id: str, before: JsonObject | None, after: JsonObject | None
) -> None:
    workspace_id = place.workspace_id
    await record_as(session, place.author, action, "trigger", trigger_id, before=before, after=after, workspace_id=workspace_id)


def _show(detail: Detail) -> JsonObject:
    return {name: value for name, value in asdict(detail).items() if name in {"field", "message", "code"}}
