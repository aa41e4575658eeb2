"""Deleting old rows: only up to a checkpoint, which the head marks first, because the triggers refuse all else."""

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit.models import AuditCheckpoint, AuditHead, AuditRow


async def find_retirable(session: AsyncSession, before_ms: int, up_to: int) -> int | None:
    """The newest checkpoint of before a time, at most at a row."""
    query = select(AuditCheckpoint.no).where(AuditCheckpoint.at < before_ms, AuditCheckpoint.no <= up_to)
    return (await session.scalars(query.order_by(AuditCheckpoint.no.desc()).limit(1))).one_or_none()


async def mark_retired(session: AsyncSession, no: int) -> None:
    """Rows up to this one, where a checkpoint is, may be deleted from now on."""
    await session.execute(update(AuditHead).values(retired_up_to=no).execution_options(synchronize_session=False))


async def delete_retired(session: AsyncSession, up_to: int, limit: int) -> int:
    """Deletes the oldest rows, some at a time; how many."""
    oldest = (await session.scalars(select(AuditRow.no).where(AuditRow.no <= up_to).order_by(AuditRow.no).limit(limit))).all()
    if oldest:
        statement = delete(AuditRow).where(AuditRow.no <= oldest[-1])
        await session.execute(statement.execution_options(synchronize_session=False))
    return len(oldest)
