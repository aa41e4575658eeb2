"""`flowforge triggers`."""

from typing import Annotated, Any, Final

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit.service import record_as
from flowforge.entrypoints.cli.columns import field
from flowforge.entrypoints.cli.commands import triggers_changing
from flowforge.entrypoints.cli.frame import ACTOR, frame_of
from flowforge.entrypoints.cli.place import Place, open_place
from flowforge.kit.values import JsonObject
from flowforge.language.times import format_timestamp_ms
from flowforge.triggers.attaching import pause as set_paused
from flowforge.triggers.listing import discard_held_events, get_trigger, list_all, list_held_events, list_last_requests
from flowforge.triggers.service import KINDS
from flowforge.triggers.types import Figures, Paused, Trigger
from flowforge.triggers.views import describe_for_audit, show_request, show_trigger

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True, help="What starts workflows by itself.")

TriggerId = Annotated[str, typer.Argument(help="The trigger's id, as `triggers list` shows it.")]
_EVENTS_SHOWN: Final = 200
COLUMNS = (
    field("trigger", "id", style="bold"),
    field("workflow", "workflow"),
    field("key", "key"),
    field("kind", "uses"),
    field("state", "status"),
    field("requests", "total"),
    field("failed", "failed"),
    field("last fired", "last_fired_at"),
)
KIND_COLUMNS = (field("kind", "name", style="bold"), field("title", "title"), field("description", "description"))
REQUEST_COLUMNS = (
    field("at", "at"),
    field("status", "status"),
    field("run", "run_id"),
    field("error", "error"),
    field("from", "remote_address"),
)
EVENT_COLUMNS = (field("event", "id", style="bold"), field("at", "at"), field("delivery", "delivery_id"))


def _describe(place: Place, found: tuple[Trigger, Figures]) -> JsonObject:
    answer: dict[str, Any] = show_trigger(*found, place.installation.settings.public_url).model_dump(by_alias=True)
    return answer | answer["figures"]


@app.command("list")
def list_(ctx: typer.Context) -> None:
    """All triggers: those of documents, and those beside them."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        found = place.report(lambda session: list_all(session, place.workspace_id))
        rows = [_describe(place, one) for one in found]
    frame.output.write_rows(rows, COLUMNS, empty="There is no trigger; a workflow's `triggers` go live when it is published.")


@app.command()
def types(ctx: typer.Context) -> None:
    """The kinds of triggers."""
    frame_of(ctx).output.write_rows((kind.describe() for kind in KINDS.values()), KIND_COLUMNS)


@app.command()
def show(ctx: typer.Context, trigger_id: TriggerId) -> None:
    """A trigger, its parameters and figures."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        found = place.read(lambda session: get_trigger(session, place.workspace_id, trigger_id))
        described = _describe(place, found)
    frame.output.write_object(described)


@app.command()
def pause(
    ctx: typer.Context,
    trigger_id: TriggerId,
    *,
    refuses: Annotated[bool, typer.Option("--refuse", help="Take nothing meanwhile; else it is held.")] = False,
) -> None:
    """Let a trigger rest: what comes meanwhile is held until somebody runs it or throws it away."""
    _set_paused(ctx, trigger_id, Paused.REFUSE if refuses else Paused.KEEP, "paused")


@app.command()
def resume(ctx: typer.Context, trigger_id: TriggerId) -> None:
    """Let a paused trigger fire again."""
    _set_paused(ctx, trigger_id, Paused.NO, "resumed")


def _set_paused(ctx: typer.Context, trigger_id: str, paused: Paused, word: str) -> None:
    frame = frame_of(ctx)

    async def work(session: AsyncSession) -> Trigger:
        before, after = await set_paused(session, ACTOR, place.workspace_id, trigger_id, paused, at_ms=place.now_ms)
        noted = describe_for_audit(after)
        await record_as(
            session,
            place.author,
            f"trigger.{word}",
            "trigger",
            after.id,
            before=describe_for_audit(before),
            after=noted,
            workspace_id=place.workspace_id,
        )
        return after

    with open_place(frame) as place:
        trigger = place.write(work)
    frame.output.confirm(
        f"The trigger {trigger.key} of {trigger.workflow} is {word}.", {"id": trigger.id, "paused": paused.value}
    )


@app.command()
def requests(ctx: typer.Context, trigger_id: TriggerId) -> None:
    """The last 100 requests, the newest first."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        rows = place.report(lambda session: list_last_requests(session, place.workspace_id, trigger_id))
    shown: list[JsonObject] = [show_request(row).model_dump() for row in rows]
    frame.output.write_rows(shown, REQUEST_COLUMNS, empty="Nothing has come for it yet.")


@app.command()
def events(ctx: typer.Context, trigger_id: TriggerId) -> None:
    """The events that a paused trigger holds, the oldest first."""
    frame = frame_of(ctx)
    with open_place(frame) as place:
        held = place.read(lambda session: list_held_events(session, place.workspace_id, trigger_id, _EVENTS_SHOWN))
    rows: list[JsonObject] = [
        {"id": event.id, "at": format_timestamp_ms(event.at_ms), "delivery_id": event.dedup, "data": event.data} for event in held
    ]
    frame.output.write_rows(rows, EVENT_COLUMNS, empty="It holds nothing.")


@app.command()
def discard(ctx: typer.Context, trigger_id: TriggerId) -> None:
    """Throw away all events that a trigger holds."""
    frame = frame_of(ctx)

    async def work(session: AsyncSession) -> int:
        count = await discard_held_events(session, place.workspace_id, trigger_id)
        noted: JsonObject = {"events": count}
        await record_as(
            session, place.author, "trigger.events_discarded", "trigger", trigger_id, after=noted, workspace_id=place.workspace_id
        )
        return count

    with open_place(frame) as place:
        count = place.write(work)
    frame.output.confirm(f"{count} events are thrown away.", {"discarded": count})


triggers_changing.register(app)
