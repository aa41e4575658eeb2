"""Notifications: what a person is told inside the product, once for each cause."""

from collections.abc import Sequence
from typing import Any, Final, cast

from sqlalchemy import CursorResult, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.cluster.outbox import PRIVATE
from flowforge.engine.tables import outbox
from flowforge.kit.border import encode
from flowforge.kit.ids import make_id, make_uuid
from flowforge.kit.values import JsonObject
from flowforge.live.models import TITLE_LENGTH, NotificationRow
from flowforge.live.subscription_errors import NotificationNotFoundError
from flowforge.live.types import Notice
from flowforge.web.selecting import Selection

CREATED: Final = "notification.created"
_BY: Final = "system"


async def notify(session: AsyncSession, notice: Notice, *, at_ms: int) -> bool:
    """Tells a person, in the session's transaction; False: of this cause the person was told before."""
    known = select(NotificationRow.id).where(NotificationRow.user_id == notice.user_id, NotificationRow.cause == notice.cause)
    if await session.scalar(known) is not None:
        return False
    notification_id = make_id("ntf")
    values = {
        "id": notification_id,
        "user_id": notice.user_id,
        "workspace_id": notice.workspace_id,
        "cause": notice.cause,
        "kind": notice.kind,
        "title": notice.title[:TITLE_LENGTH],
        "text": notice.text,
        "subject": notice.subject,
        "created_at": at_ms,
    }
    await session.execute(insert(NotificationRow).values(**values))
    data: JsonObject = {"user_id": notice.user_id, "notification_id": notification_id, "title": notice.title[:TITLE_LENGTH]}
    await session.execute(
        insert(outbox).values(
            workspace_id=notice.workspace_id,
            aggregate_type=PRIVATE,
            aggregate_id=notification_id,
            event_type=CREATED,
            payload=encode({"seq": make_uuid() >> 65, "actor": _BY, "data": data | {"kind": notice.kind}}).decode(),
            created_at=at_ms,
            due_at=at_ms,
        )
    )
    return True


async def list_notifications(
    session: AsyncSession, user_id: str, selection: Selection, *, is_unread: bool
) -> Sequence[NotificationRow]:
    """Those of one person."""
    query = select(NotificationRow).where(NotificationRow.user_id == user_id)
    if is_unread:
        query = query.where(NotificationRow.read_at.is_(None))
    return (await session.scalars(selection.narrow(query))).all()


async def mark_read(session: AsyncSession, user_id: str, notification_id: str, *, at_ms: int) -> None:
    """It was read; once more makes no difference. Raises NotificationNotFoundError: it is not the person's."""
    own = (NotificationRow.user_id == user_id, NotificationRow.id == notification_id)
    statement = update(NotificationRow).where(*own, NotificationRow.read_at.is_(None)).values(read_at=at_ms)
    changed = cast("CursorResult[Any]", await session.execute(statement.execution_options(synchronize_session=False)))
    if not changed.rowcount and await session.scalar(select(NotificationRow.id).where(*own)) is None:
        raise NotificationNotFoundError(notification_id)
