"""The one chain of an installation: numbered without gaps, its writers in line behind the lock of its head."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

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


async def append(session: AsyncSession, head: AuditHead, entries: Sequence[Entry]) -> None:
    """Adds the rows behind the locked head. What the entries say of number and hash is not looked at."""
    no, last_hash = head.no, head.hash
    rows: list[dict[str, Any]] = []
    for entry in entries:
        numbered = replace(entry, no=no + 1, hash="")
        no, last_hash = numbered.no, chain_hash(last_hash, describe_entry(numbered))
        rows.append(_make_row(replace(numbered, hash=last_hash)))
    await session.execute(insert(AuditRow), rows)
    await session.execute(
        update(AuditHead).where(AuditHead.id == HEAD).values(no=no, hash=last_hash).execution_options(synchronize_session=False)
    )


def _make_row(entry: Entry) -> dict[str, Any]:
    return {
        "no": entry.no,
        "workspace_id": entry.workspace_id,
        "entity": entry.entity,
        "entity_id": entry.entity_id,
        "action": entry.action,
        "actor": entry.actor,
        "credential": entry.credential,
        "ip": write_json(entry.ip),
        "request_id": entry.request_id,
        "before": write_json(entry.before),
        "after": write_json(entry.after),
        "at": entry.at_ms,
        "hash": entry.hash,
    }


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
