"""What is done with triggers: tested, paused, fired; their figures, requests and held events."""

from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import Header, Response

from flowforge.audit.service import record
from flowforge.files.service import check_files
from flowforge.kit.border import digest_value
from flowforge.kit.errors import Detail
from flowforge.kit.ids import parse_id
from flowforge.kit.values import JsonObject
from flowforge.language.times import format_timestamp_ms
from flowforge.operations.registry import Registry
from flowforge.runs.once import IdempotencyMismatchError, Once
from flowforge.triggers import event_rows
from flowforge.triggers.attaching import pause
from flowforge.triggers.by_hand import make_data
from flowforge.triggers.checking import check_deeply, check_trigger
from flowforge.triggers.endpoints.triggers import TriggerIn
from flowforge.triggers.errors import ChoiceError, EventNotFoundError, TriggerInvalidError, TriggerNotFoundError, TriggerOffError
from flowforge.triggers.firing import Firing, Occurrence
from flowforge.triggers.form_trigger import FormInvalidError
from flowforge.triggers.holding import make_events_run
from flowforge.triggers.lists import REQUESTS
from flowforge.triggers.reading import get_row, read_figures, read_held, read_trigger
from flowforge.triggers.recording import Recorder
from flowforge.triggers.registry import get_kind
from flowforge.triggers.rights import require_for
from flowforge.triggers.schemas import (
    ChosenEvents,
    ConnectionAnswer,
    EventsDiscardedAnswer,
    EventsRunAnswer,
    FiguresAnswer,
    FireBody,
    FiredAnswer,
    HeldAnswer,
    PauseBody,
    RequestAnswer,
    TestAnswer,
    TriggerAnswer,
    TriggerTest,
    WarningAnswer,
)
from flowforge.triggers.types import Paused, Trigger
from flowforge.triggers.views import describe_for_audit, show_figures, show_request, show_trigger
from flowforge.web.batches.answering import GOES_ON, WAIT_DEFAULT, WaitIn, answer_batch
from flowforge.web.batches.rows import insert_batch
from flowforge.web.calls import Call, CallIn
from flowforge.web.lists import LIMIT_DEFAULT, Asked, Page, cut_page, mark_list, read_cursor
from flowforge.web.queries import CursorIn, LimitIn, make_asked
from flowforge.web.routing import Router
from flowforge.web.waiting import read_wait

operating: Final = Router("triggers", "/triggers")
KeyIn = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="The same key gives the same run for 24 hours.",
    ),
]


@operating.post("/test", "trigger:manage", summary="Look at the parameters of a trigger")
async def check_parameters(call: CallIn, body: TriggerTest) -> TestAnswer:
    """Whether they are valid, and whether what the trigger listens to can be reached. Nothing is stored or started."""
    trigger: JsonObject = {"id": "test", "uses": body.uses, "with": body.with_}
    if "input" in body.model_fields_set:
        trigger["input"] = body.input
    return await _look(call, body.uses, body.with_, trigger)


@operating.post("/{trigger_id}/test", "trigger:operate", errors=[TriggerNotFoundError], summary="Test a trigger")
async def check_one(call: CallIn, trigger_id: TriggerIn) -> TestAnswer:
    """As `POST /triggers/test`, for a trigger that is there."""
    trigger = await _find(call, trigger_id, "trigger:operate")
    described: JsonObject = {"id": "test", "uses": trigger.kind, "with": trigger.config}
    if trigger.has_input:
        described["input"] = trigger.input
    return await _look(call, trigger.kind, trigger.config, described)


async def _look(call: Call, kind: str, config: JsonObject, trigger: JsonObject) -> TestAnswer:
    try:
        warnings = check_trigger(trigger, call.port(Registry), call.limits)
        async with call.read() as session:
            faults = await check_deeply(session, call.workspace_id, kind, config, limits=call.limits, now_ms=call.now_ms)
    except TriggerInvalidError as fault:
        warnings, faults = [], list(fault.details)
    if faults:
        return TestAnswer(
            configuration_valid=False, errors=_list_details(faults), connection_test=None, warnings=_list_details(warnings)
        )
    found = get_kind(kind)
    parameters = found.complete(config)
    tested = await found.test(call, parameters)
    told = [*warnings, *(Detail("with", text, "warning") for text in found.warn(parameters))]
    connection = ConnectionAnswer(successful=tested.is_successful, message=tested.message)
    return TestAnswer(configuration_valid=True, errors=[], connection_test=connection, warnings=_list_details(told))


def _list_details(details: Sequence[Detail]) -> list[WarningAnswer]:
    return [WarningAnswer(field=detail.field, message=detail.message, code=detail.code) for detail in details]


@operating.post("/{trigger_id}/pause", "trigger:operate", errors=[TriggerNotFoundError], summary="Pause a trigger")
async def pause_trigger(call: CallIn, trigger_id: TriggerIn, body: PauseBody | None = None) -> TriggerAnswer:
    """What comes meanwhile is held (`keep`), or refused as if the trigger were not there (`refuse`)."""
    paused = Paused((body or PauseBody()).events)
    return await _set_paused(call, trigger_id, paused, "trigger.paused")


@operating.post("/{trigger_id}/resume", "trigger:operate", errors=[TriggerNotFoundError], summary="Resume a trigger")
async def resume_trigger(call: CallIn, trigger_id: TriggerIn) -> TriggerAnswer:
    """Events that are held stay so until they are run or thrown away."""
    return await _set_paused(call, trigger_id, Paused.NO, "trigger.resumed")


async def _set_paused(call: Call, trigger_id: str, paused: Paused, action: str) -> TriggerAnswer:
    async with call.change() as session:
        row = await get_row(session, call.workspace_id, trigger_id, is_locked=True)
        await require_for(session, call, "trigger:operate", row.workflow_id)
        before, after = await pause(session, call.actor, call.workspace_id, trigger_id, paused, at_ms=call.now_ms)
        noted = describe_for_audit(after)
        await record(session, call, action, "trigger", after.id, before=describe_for_audit(before), after=noted)
    return show_trigger(after, read_figures(row), call.parts.settings.public_url)


@operating.post(
    "/{trigger_id}/fire",
    "trigger:operate",
    status=202,
    errors=[TriggerNotFoundError, TriggerOffError, FormInvalidError, IdempotencyMismatchError],
    summary="Fire a trigger by hand",
)
async def fire_trigger(
    call: CallIn, response: Response, trigger_id: TriggerIn, body: FireBody | None = None, idempotency_key: KeyIn = None
) -> FiredAnswer:
    """As if it had fired by itself, also while it is paused."""
    trigger = await _find(call, trigger_id, "trigger:operate")
    payload = None if body is None else body.payload
    once = None
    if idempotency_key is not None:
        once = Once("fire", trigger.id, idempotency_key, digest_value(payload))
    occurrence = Occurrence(
        trigger,
        make_data(trigger, payload, actor=call.actor, address=call.caller.address),
        call.now_ms,
        once=once,
        is_forced=True,
        remote_address=call.caller.address,
    )
    async with call.change() as session:
        await check_files(session, call.workspace_id, payload, "payload")
        await record(session, call, "trigger.fired", "trigger", trigger.id)
    fired = await call.port(Firing).fire(occurrence)
    if fired.is_duplicate:
        response.headers["idempotency-replayed"] = "true"
    return FiredAnswer(run_id=fired.run_id, status=fired.status, duplicate=fired.is_duplicate)


@operating.get("/{trigger_id}/stats", "trigger:read", errors=[TriggerNotFoundError], summary="How often a trigger was called")
async def get_figures(call: CallIn, trigger_id: TriggerIn) -> FiguresAnswer:
    await call.port(Recorder).run_once()
    async with call.read() as session:
        row = await get_row(session, call.workspace_id, trigger_id)
        await require_for(session, call, "trigger:read", row.workflow_id)
    return show_figures(read_figures(row))


@operating.get("/{trigger_id}/requests", "trigger:read", errors=[TriggerNotFoundError], summary="The last requests of a trigger")
async def list_requests(
    call: CallIn, trigger_id: TriggerIn, asked: Annotated[Asked, make_asked(REQUESTS)]
) -> Page[RequestAnswer]:
    """The newest first, 100 at most; those that were refused too."""
    selection = REQUESTS.read(asked, trigger_id)
    await call.port(Recorder).run_once()
    await _find(call, trigger_id, "trigger:read")
    async with call.read() as session:
        rows = await event_rows.list_requests(session, call.workspace_id, trigger_id, selection)
    kept, following = selection.cut(rows)
    return Page(data=[show_request(row) for row in kept], next_cursor=following)


@operating.get("/{trigger_id}/events", "trigger:read", errors=[TriggerNotFoundError], summary="The events that a trigger holds")
async def list_events(
    call: CallIn, trigger_id: TriggerIn, limit: LimitIn = LIMIT_DEFAULT, cursor: CursorIn = None
) -> Page[HeldAnswer]:
    """The oldest first."""
    await _find(call, trigger_id, "trigger:read")
    mark = mark_list("trigger events", trigger_id)
    place = read_cursor(cursor, mark, [str])
    async with call.read() as session:
        after_id = str(place[0]) if place else ""
        rows = await event_rows.list_held(session, call.workspace_id, trigger_id, after_id=after_id, limit=limit)
    kept, following = cut_page(rows, limit, mark, lambda row: [row.id])
    data = [
        HeldAnswer(id=held.id, at=format_timestamp_ms(held.at_ms), delivery_id=held.dedup, data=held.data)
        for held in map(read_held, kept)
    ]
    return Page(data=data, next_cursor=following)


@operating.post(
    "/{trigger_id}/events/run",
    "trigger:operate",
    errors=[TriggerNotFoundError, EventNotFoundError, TriggerOffError],
    response_model=EventsRunAnswer,
    answers=GOES_ON,
    summary="Run held events",
)
async def run_events(call: CallIn, trigger_id: TriggerIn, body: ChosenEvents, wait: WaitIn = WAIT_DEFAULT) -> Response:
    """Each becomes a run, the oldest first; those that cannot start stay held, and the answer says why."""
    wait_ms = read_wait(wait)
    ids = _read_choice(body)
    trigger = await _find(call, trigger_id, "trigger:operate")
    async with call.change() as session:
        found = await event_rows.list_held_ids(session, call.workspace_id, trigger_id, ids)
        _require_all(ids, found)
        batch = make_events_run(call, trigger, found)
        await insert_batch(session, batch)
        await record(session, call, "trigger.events_run", "trigger", trigger.id, after={"events": len(found), "batch": batch.id})
    return await answer_batch(call, batch, wait_ms)


@operating.post(
    "/{trigger_id}/events/discard",
    "trigger:operate",
    errors=[TriggerNotFoundError, EventNotFoundError],
    summary="Throw held events away",
)
async def discard_events(call: CallIn, trigger_id: TriggerIn, body: ChosenEvents) -> EventsDiscardedAnswer:
    ids = _read_choice(body)
    await _find(call, trigger_id, "trigger:operate")
    async with call.change() as session:
        if ids is not None:
            found = await event_rows.list_held(session, call.workspace_id, trigger_id, ids=ids, limit=len(ids))
            _require_all(ids, [row.id for row in found])
        count = await event_rows.delete_held(session, call.workspace_id, trigger_id, ids)
        noted: JsonObject = {"events": count}
        await record(session, call, "trigger.events_discarded", "trigger", trigger_id, after=noted)
    return EventsDiscardedAnswer(discarded=count)


async def _find(call: Call, trigger_id: str, permission: str) -> Trigger:
    async with call.read() as session:
        row = await get_row(session, call.workspace_id, trigger_id)
        await require_for(session, call, permission, row.workflow_id)
    return read_trigger(row)


def _read_choice(body: ChosenEvents) -> list[str] | None:
    """None: all."""
    if (body.ids is None) == (body.all is None):
        raise ChoiceError
    return None if body.ids is None else list(dict.fromkeys(parse_id(event_id, "evt") for event_id in body.ids))


def _require_all(ids: list[str] | None, found: Sequence[str]) -> None:
    missing = [event_id for event_id in ids or () if event_id not in set(found)]
    if missing:
        raise EventNotFoundError(missing[0])
