"""Triggers: kinds, lists, single ones, and those that are attached by the API."""

from typing import Annotated, Final

from fastapi import Path, Response
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit.service import record
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations.registry import Registry
from flowforge.triggers import repository
from flowforge.triggers.attaching import Wish, attach, change, detach, require_attached
from flowforge.triggers.checking import check_deeply, check_trigger
from flowforge.triggers.errors import (
    HookPathTakenError,
    KindNotFoundError,
    OwnedByDocumentError,
    TriggerInvalidError,
    TriggerNotFoundError,
)
from flowforge.triggers.lists import KINDS_FORM, TRIGGERS
from flowforge.triggers.reading import get_row, read_figures, read_trigger
from flowforge.triggers.recording import Recorder
from flowforge.triggers.registry import KINDS, get_kind
from flowforge.triggers.rights import list_visible_workflows, require_for
from flowforge.triggers.schemas import KindAnswer, NewTrigger, TriggerAnswer, TriggerPatch
from flowforge.triggers.types import Figures, Trigger
from flowforge.triggers.views import describe_for_audit, show_trigger
from flowforge.web.calls import Call, CallIn
from flowforge.web.lists import Asked, Page
from flowforge.web.queries import make_asked
from flowforge.web.routing import Router
from flowforge.workflows.errors import WorkflowNotFoundError
from flowforge.workflows.service import get_workflow
from flowforge.workflows.subjects import read_subject

triggers: Final = Router("triggers", "/triggers")
TriggerIn = Annotated[str, Path(max_length=64, description="The trigger's id.", examples=["trg_01jz5c2q8hm7k3v9x4e6t0w1yb"])]
_FRESH: Final = Figures(0, 0, 0, None)


@triggers.get("/types", "trigger:read", summary="The kinds of triggers")
async def list_kinds(asked: Annotated[Asked, make_asked(KINDS_FORM)]) -> Page[KindAnswer]:
    kept, following = KINDS_FORM.page(list(KINDS.values()), asked)
    return Page(data=[KindAnswer.model_validate(kind.describe()) for kind in kept], next_cursor=following)


@triggers.get("/types/{name}", "trigger:read", errors=[KindNotFoundError], summary="A kind of trigger")
async def get_one_kind(name: Annotated[str, Path(max_length=40, examples=["webhook"])]) -> KindAnswer:
    return KindAnswer.model_validate(get_kind(name).describe())


@triggers.get("", "trigger:read", summary="Triggers")
async def list_triggers(call: CallIn, asked: Annotated[Asked, make_asked(TRIGGERS)]) -> Page[TriggerAnswer]:
    """In the order in which they were made."""
    selection = TRIGGERS.read(asked, call.workspace_id)
    async with call.report() as session:
        visible = await list_visible_workflows(session, call, "trigger:read")
        rows = await repository.list_triggers(session, call.workspace_id, selection, workflow_ids=visible)
    kept, following = selection.cut(rows)
    url = call.parts.settings.public_url
    return Page(data=[show_trigger(read_trigger(row), read_figures(row), url) for row in kept], next_cursor=following)


@triggers.get("/{trigger_id}", "trigger:read", errors=[TriggerNotFoundError], summary="A trigger")
async def get_trigger(call: CallIn, trigger_id: TriggerIn) -> TriggerAnswer:
    await call.port(Recorder).run_once()
    async with call.read() as session:
        row = await get_row(session, call.workspace_id, trigger_id)
        await require_for(session, call, "trigger:read", row.workflow_id)
    return show_trigger(read_trigger(row), read_figures(row), call.parts.settings.public_url)


@triggers.post(
    "",
    "trigger:manage",
    status=201,
    errors=[WorkflowNotFoundError, HookPathTakenError, TriggerInvalidError],
    summary="Attach a trigger to a workflow",
)
async def create_trigger(call: CallIn, response: Response, body: NewTrigger) -> TriggerAnswer:
    """The workflow's document stays as it is. The trigger is live while the workflow has a published version."""
    wish = _read_wish(call, body.uses, body.with_, has_input="input" in body.model_fields_set, value=body.input)
    async with call.change() as session:
        workflow = await get_workflow(session, call.workspace_id, read_subject(body.workflow_id, "wf"))
        await require_for(session, call, "trigger:manage", workflow.id)
        await _require_usable(call, session, wish)
        made = await attach(session, call.actor, workflow, wish, at_ms=call.now_ms)
        await record(session, call, "trigger.created", "trigger", made.id, after=describe_for_audit(made))
    response.headers["location"] = f"/api/v1/triggers/{made.id}"
    return show_trigger(made, _FRESH, call.parts.settings.public_url)


@triggers.patch(
    "/{trigger_id}",
    "trigger:manage",
    errors=[TriggerNotFoundError, OwnedByDocumentError, HookPathTakenError, TriggerInvalidError],
    summary="Change an attached trigger",
)
async def change_trigger(call: CallIn, trigger_id: TriggerIn, body: TriggerPatch) -> TriggerAnswer:
    """A document's own triggers are changed in the document, and by publishing it."""
    async with call.change() as session:
        row = await get_row(session, call.workspace_id, trigger_id, is_locked=True)
        await require_for(session, call, "trigger:manage", row.workflow_id)
        require_attached(row)
        before = read_trigger(row)
        wish = _merge(call, before, body)
        await _require_usable(call, session, wish)
        after = await change(session, call.actor, call.workspace_id, trigger_id, wish, at_ms=call.now_ms)
        noted = describe_for_audit(after)
        await record(session, call, "trigger.updated", "trigger", after.id, before=describe_for_audit(before), after=noted)
    return show_trigger(after, read_figures(row), call.parts.settings.public_url)


@triggers.delete(
    "/{trigger_id}",
    "trigger:manage",
    status=204,
    errors=[TriggerNotFoundError, OwnedByDocumentError],
    summary="Delete an attached trigger",
)
async def delete_trigger(call: CallIn, trigger_id: TriggerIn) -> None:
    """With the events that it holds. A document's own triggers go with the document."""
    async with call.change() as session:
        row = await get_row(session, call.workspace_id, trigger_id)
        await require_for(session, call, "trigger:manage", row.workflow_id)
        gone = await detach(session, call.workspace_id, trigger_id)
        await record(session, call, "trigger.deleted", "trigger", gone.id, before=describe_for_audit(gone))


def _read_wish(call: Call, kind: str, config: JsonObject, *, has_input: bool, value: JsonValue) -> Wish:
    trigger: JsonObject = {"id": "attached", "uses": kind, "with": config}
    if has_input:
        trigger["input"] = value
    check_trigger(trigger, call.port(Registry), call.limits)
    return Wish(kind, config, has_input, value)


async def _require_usable(call: Call, session: AsyncSession, wish: Wish) -> None:
    faults = await check_deeply(session, call.workspace_id, wish.kind, wish.config, limits=call.limits, now_ms=call.now_ms)
    if faults:
        raise TriggerInvalidError(faults)


def _merge(call: Call, before: Trigger, body: TriggerPatch) -> Wish:
    config = before.config if body.with_ is None else merge_patch(before.config, body.with_)
    if "input" not in body.model_fields_set:
        return _read_wish(call, before.kind, config, has_input=before.has_input, value=before.input)
    return _read_wish(call, before.kind, config, has_input=body.input is not None, value=body.input)


def merge_patch(value: JsonObject, patch: JsonObject) -> JsonObject:
    """RFC 7396."""
    merged = dict(value)
    for name, item in patch.items():
        before = merged.get(name)
        if item is None:
            merged.pop(name, None)
        elif isinstance(item, dict):
            merged[name] = merge_patch(before if isinstance(before, dict) else {}, item)
        else:
            merged[name] = item
    return merged
