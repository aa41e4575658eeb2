"""A person's own notifications."""

from typing import Annotated

from fastapi import Path, Query

from flowforge.kit.ids import parse_id
from flowforge.language.times import format_timestamp_ms
from flowforge.live import notifying
from flowforge.live.lists import NOTIFICATIONS
from flowforge.live.models import NotificationRow
from flowforge.live.subscription_errors import NotificationNotFoundError
from flowforge.runs.times import format_optional_time
from flowforge.web.bodies import Answer
from flowforge.web.callers import SIGNED_IN
from flowforge.web.calls import CallIn
from flowforge.web.lists import Asked, Page
from flowforge.web.queries import make_asked
from flowforge.web.routing import Router

router = Router("notifications", "/notifications")

UnreadIn = Annotated[bool, Query(description="Only those that were not read.")]


class NotificationAnswer(Answer):
    """`kind` says what it is about (`run.failed`, `delivery.dead`), `subject` is the id of what to look at."""

    id: str
    workspace_id: str
    kind: str
    title: str
    text: str
    subject: str | None
    created_at: str
    read_at: str | None


@router.get("", SIGNED_IN)
async def list_notifications(
    call: CallIn, asked: Annotated[Asked, make_asked(NOTIFICATIONS)], *, unread: UnreadIn = False
) -> Page[NotificationAnswer]:
    """One's own notifications, the newest first."""
    user_id = call.caller.user_id or ""
    selection = NOTIFICATIONS.read(asked, user_id, unread)
    async with call.read() as session:
        rows = await notifying.list_notifications(session, user_id, selection, is_unread=unread)
    kept, following = selection.cut(rows)
    return Page(data=[_describe(row) for row in kept], next_cursor=following)


@router.post("/{notification_id}/read", SIGNED_IN, status=204, errors=[NotificationNotFoundError])
async def read_notification(call: CallIn, notification_id: Annotated[str, Path(max_length=64)]) -> None:
    """Mark a notification as read."""
    checked = parse_id(notification_id, "ntf")
    async with call.change() as session:
        await notifying.mark_read(session, call.caller.user_id or "", checked, at_ms=call.now_ms)


def _describe(row: NotificationRow) -> NotificationAnswer:
    return NotificationAnswer(
        id=row.id,
        workspace_id=row.workspace_id,
        kind=row.kind,
        title=row.title,
        text=row.text,
        subject=row.subject,
        created_at=format_timestamp_ms(row.created_at),
        read_at=format_optional_time(row.read_at),
    )
