"""Who people are in other systems: one row for each account that a connector, a workflow or a person has told of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.identity.models_accounts import ExternalIdentityRow
from flowforge.identity.types_accounts import ExternalIdentity
from flowforge.kit.border import decode, encode
from flowforge.kit.ids import make_id
from flowforge.kit.values import JsonObject


@dataclass(frozen=True, slots=True)
class ToldIdentity:
    """What is told of an account in another system. `source`: `connector_sync`, `workflow` or `manual`."""

    connector: str
    external_id: str
    source: str
    email: str | None = None
    name: str | None = None
    attributes: JsonObject = field(default_factory=dict[str, object])  # type: ignore[assignment]
    verified_at_ms: int | None = None


async def put_identity(session: AsyncSession, user_id: str, told: ToldIdentity, now_ms: int) -> ExternalIdentity:
    """Keeps what is told; an account that is known already is this person's from now on."""
    query = select(ExternalIdentityRow).where(
        ExternalIdentityRow.connector == told.connector, ExternalIdentityRow.external_id == told.external_id
    )
    row = (await session.scalars(query.with_for_update())).one_or_none()
    if row is None:
        row = ExternalIdentityRow(id=make_id("xid"), connector=told.connector, external_id=told.external_id, created_at=now_ms)
        session.add(row)
    row.user_id, row.source, row.email, row.name = user_id, told.source, told.email, told.name
    row.attributes, row.verified_at = encode(told.attributes).decode(), told.verified_at_ms
    await session.flush()
    return _show(row)


async def list_identities(session: AsyncSession, user_id: str) -> list[ExternalIdentity]:
    """Of one person, by connector."""
    query = select(ExternalIdentityRow).where(ExternalIdentityRow.user_id == user_id)
    rows = await session.scalars(query.order_by(ExternalIdentityRow.connector, ExternalIdentityRow.id))
    return [_show(row) for row in rows]


def _show(row: ExternalIdentityRow) -> ExternalIdentity:
    return ExternalIdentity(
        id=row.id,
        connector=row.connector,
        external_id=row.external_id,
        email=row.email,
        name=row.name,
        source=row.source,
        attributes=cast("Mapping[str, object]", decode(row.attributes)),
        created_at_ms=row.created_at,
        verified_at_ms=row.verified_at,
    )
