"""What a change of a workflow leaves behind besides the change: its row in the audit, and its event in the outbox, in one transaction."""

from typing import TYPE_CHECKING

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit.service import Author, author_of, record_as
from flowforge.engine.tables import outbox
from flowforge.kit.border import encode
from flowforge.kit.clock import SystemClock
from flowforge.kit.ids import make_uuid
from flowforge.kit.values import JsonObject
from flowforge.workflows.descriptions import describe_settings
from flowforge.workflows.types import Published, Pushed, WorkflowSummary

if TYPE_CHECKING:
    from flowforge.web.calls import Call

EVENTS = frozenset({"created", "updated", "published", "deprecated", "deleted", "restored"})


async def tell_change(
    session: AsyncSession,
    call: "Call",
    what: str,
    workflow: WorkflowSummary,
    *,
    before: JsonObject | None = None,
    after: JsonObject | None = None,
) -> None:
    """Records `workflow.<what>`, and tells the outside those that are events (`EVENTS`)."""
    author = author_of(call)
    await tell_change_as(session, author, what, workflow, before=before, after=after, traceparent=call.traceparent)


async def tell_change_as(
    session: AsyncSession,
    author: Author,
    what: str,
    workflow: WorkflowSummary,
    *,
    before: JsonObject | None = None,
    after: JsonObject | None = None,
    traceparent: str | None = None,
) -> None:
    """As `tell_change`, for what happens without a call."""
    if what in EVENTS:
        await _write_event(session, author, what, workflow, traceparent)
    action, workspace_id = f"workflow.{what}", workflow.workspace_id
    await record_as(session, author, action, "workflow", workflow.id, before=before, after=after, workspace_id=workspace_id)


async def tell_pushed(session: AsyncSession, author: Author, pushed: Pushed) -> None:
    """What `push_draft` did, if it did anything."""
    if pushed.is_new:
        await tell_change_as(session, author, "created", pushed.workflow, after=describe_settings(pushed.workflow))
    elif pushed.is_changed:
        before: JsonObject | None = None if pushed.before is None else {"draft": pushed.before}
        await tell_change_as(session, author, "draft_saved", pushed.workflow, before=before, after={"draft": pushed.etag})


async def tell_published(
    session: AsyncSession, author: Author, before: WorkflowSummary, published: Published, *, traceparent: str | None = None
) -> None:
    """A version is the current one now. `before`: the workflow as it was."""
    told = describe_settings(published.workflow) | {"digest": published.version.digest, "note": published.version.note}
    await tell_change_as(
        session, author, "published", published.workflow, before=describe_settings(before), after=told, traceparent=traceparent
    )


async def _write_event(
    session: AsyncSession, author: Author, what: str, workflow: WorkflowSummary, traceparent: str | None
) -> None:
    at_ms = SystemClock().now_ms() if author.at_ms is None else author.at_ms
    # The number makes the event's id, so it is another for every event of a workflow; under its topics it has that of the row.
    number = make_uuid() >> 65
    data: JsonObject = {"workflow_id": workflow.id, "version": workflow.current_version}
    await session.execute(
        insert(outbox).values(
            workspace_id=workflow.workspace_id,
            aggregate_type="workflow",
            aggregate_id=workflow.id,
            event_type=f"workflow.{what}",
            payload=encode({"seq": number, "actor": author.actor, "data": data}).decode(),
            traceparent=traceparent,
            created_at=at_ms,
            due_at=at_ms,
        )
    )
