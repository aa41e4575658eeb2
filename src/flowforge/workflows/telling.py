"""What a change of a workflow leaves behind besides the change: its row in the audit, and its event in the outbox, in one transaction."""

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit.service import record
from flowforge.engine.tables import outbox
from flowforge.kit.border import encode
from flowforge.kit.ids import make_uuid
from flowforge.kit.values import JsonObject
from flowforge.web.calls import Call
from flowforge.workflows.types import WorkflowSummary

EVENTS = frozenset({"created", "updated", "published", "deprecated", "deleted", "restored"})


async def tell_change(
    session: AsyncSession,
    call: Call,
    what: str,
    workflow: WorkflowSummary,
    *,
    before: JsonObject | None = None,
    after: JsonObject | None = None,
) -> None:
    """Records `workflow.<what>`, and tells the outside those that are events (`EVENTS`)."""
    if what in EVENTS:
        await _write_event(session, call, what, workflow)
    await record(session, call, f"workflow.{what}", "workflow", workflow.id, before=before, after=after)


async def _write_event(session: AsyncSession, call: Call, what: str, workflow: WorkflowSummary) -> None:
    at_ms = call.now_ms
    # The number makes the event's id, so it is another for every event of a workflow; under its topics it has that of the row.
    number = make_uuid() >> 65
    data: JsonObject = {"workflow_id": workflow.id, "version": workflow.current_version}
    await session.execute(
        insert(outbox).values(
            workspace_id=workflow.workspace_id,
            aggregate_type="workflow",
            aggregate_id=workflow.id,
            event_type=f"workflow.{what}",
            payload=encode({"seq": number, "actor": call.actor, "data": data}).decode(),
            traceparent=call.traceparent,
            created_at=at_ms,
            due_at=at_ms,
        )
    )
