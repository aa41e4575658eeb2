"""What a change of a person leaves behind: its row in the audit log, and, of some, its event in the outbox, in one transaction."""

from typing import Final

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit.service import INSTALLATION, Author, Personal, record_as
from flowforge.engine.tables import outbox
from flowforge.identity.models_accounts import UserRow
from flowforge.kit.border import encode
from flowforge.kit.ids import DEFAULT_WORKSPACE_ID, make_uuid
from flowforge.kit.values import JsonValue

_EVENTS: Final = frozenset({"created", "disabled", "deleted"})


async def tell_user(
    session: AsyncSession,
    author: Author,
    what: str,
    user: UserRow,
    *,
    at_ms: int,
    before: dict[str, JsonValue] | None = None,
    after: dict[str, JsonValue] | None = None,
) -> None:
    """Records `user.<what>`; the outside hears of those that are events. All values are of the person, and erased with the person."""
    if what in _EVENTS:
        await session.execute(
            insert(outbox).values(
                workspace_id=user.workspace_id or DEFAULT_WORKSPACE_ID,
                aggregate_type="user",
                aggregate_id=user.id,
                event_type=f"user.{what}",
                payload=encode({"seq": make_uuid() >> 65, "actor": author.actor, "data": {"user_id": user.id}}).decode(),
                created_at=at_ms,
                due_at=at_ms,
            )
        )
    await record_as(
        session,
        author,
        f"user.{what}",
        "user",
        user.id,
        before=_seal(user.id, before),
        after=_seal(user.id, after),
        workspace_id=INSTALLATION,
    )


def _seal(user_id: str, values: dict[str, JsonValue] | None) -> dict[str, object] | None:
    return None if values is None else {name: Personal(user_id, value) for name, value in values.items()}
