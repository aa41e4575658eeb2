"""The one chain of an installation: numbered without gaps, its writers in line behind the lock of its head."""

from dataclasses import replace
from typing import Final

from sqlalchemy import insert, select, update
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit.models import AuditHead, AuditRow
from flowforge.audit.rows import FIRST_HASH, chain_hash, describe_entry, write_json
from flowforge.audit.types import Entry
from flowforge.kit.errors import InvariantError

HEAD: Final = 1


async def lock_head(session: AsyncSession) -> AuditHead:
    """Where the chain ends; until the transaction ends nobody else adds to it."""
    query = select(AuditHead).where(AuditHead.id == HEAD).with_for_update().execution_options(populate_existing=True)
    found = (await session.scalars(query)).one_or_none()
    if found is None:
        await _make_head(session)
        found = (await session.scalars(query)).one()
    return found


async def find_head(session: AsyncSession) -> AuditHead | None:
    """Where the chain ends, without a lock; None: nothing was ever written."""
    return await session.get(AuditHead, HEAD)


async def append(session: AsyncSession, head: AuditHead, entry: Entry) -> Entry:
    """Adds the row behind the locked head and gives it as it is stored. What the entry says of number and hash is not looked at."""
    numbered = replace(entry, no=head.no + 1, hash="")
    stored = replace(numbered, hash=chain_hash(head.hash, describe_entry(numbered)))
    await session.execute(
        insert(AuditRow).values(
            no=stored.no,
            workspace_id=stored.workspace_id,
            entity=stored.entity,
            entity_id=stored.entity_id,
            action=stored.action,
            actor=stored.actor,
            credential=stored.credential,
            ip=write_json(stored.ip),
            request_id=stored.request_id,
            before=write_json(stored.before),
            after=write_json(stored.after),
            at=stored.at_ms,
            hash=stored.hash,
        )
    )
    await session.execute(
        update(AuditHead)
        .where(AuditHead.id == HEAD)
        .values(no=stored.no, hash=stored.hash)
        .execution_options(synchronize_session=False)
    )
    return stored


async def _make_head(session: AsyncSession) -> None:
    """Two at once make one: the second waits for the first, and then does nothing."""
    values = {"id": HEAD, "no": 0, "hash": FIRST_HASH, "retired_up_to": 0}
    match session.get_bind().dialect.name:
        case "postgresql":
            await session.execute(postgresql.insert(AuditHead).values(values).on_conflict_do_nothing())
        case "sqlite":
            await session.execute(sqlite.insert(AuditHead).values(values).on_conflict_do_nothing())
        case "mysql" | "mariadb":
            await session.execute(mysql.insert(AuditHead).values(values).prefix_with("IGNORE"))
        case name:
            raise InvariantError(f"The audit log knows no database {name}.")
