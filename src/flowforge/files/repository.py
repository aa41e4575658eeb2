"""Rows of files and uploads, always within one workspace."""

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.engine.tables import run_blobs, runs
from flowforge.files.models import FileRow, PieceRow, UploadRow


async def find_file(session: AsyncSession, workspace_id: str, file_id: str) -> FileRow | None:
    query = select(FileRow).where(FileRow.workspace_id == workspace_id, FileRow.id == file_id)
    return (await session.scalars(query)).one_or_none()


async def list_known_files(session: AsyncSession, workspace_id: str, file_ids: Sequence[str]) -> set[str]:
    """Those of the ids that the workspace may read: files that were sent there, and files that its runs name."""
    sent = select(FileRow.id).where(FileRow.workspace_id == workspace_id, FileRow.id.in_(file_ids))
    known = set(await session.scalars(sent))
    missing = [file_id for file_id in file_ids if file_id not in known]
    if missing:
        named = select(run_blobs.c.blob).join(runs, runs.c.no == run_blobs.c.run_no)
        known |= set(await session.scalars(named.where(runs.c.workspace_id == workspace_id, run_blobs.c.blob.in_(missing))))
    return known


async def delete_file(session: AsyncSession, workspace_id: str, file_id: str) -> None:
    await session.execute(delete(FileRow).where(FileRow.workspace_id == workspace_id, FileRow.id == file_id))


async def find_upload(session: AsyncSession, workspace_id: str, upload_id: str, *, is_locked: bool = False) -> UploadRow | None:
    query = select(UploadRow).where(UploadRow.workspace_id == workspace_id, UploadRow.id == upload_id)
    return (await session.scalars(query.with_for_update() if is_locked else query)).one_or_none()


async def list_pieces(session: AsyncSession, upload_id: str) -> Sequence[PieceRow]:
    """In the order of the file."""
    return (await session.scalars(select(PieceRow).where(PieceRow.upload_id == upload_id).order_by(PieceRow.start))).all()


async def list_expired_uploads(session: AsyncSession, before_ms: int, limit: int) -> Sequence[UploadRow]:
    """Of all workspaces."""
    query = select(UploadRow).where(UploadRow.expires_at < before_ms).order_by(UploadRow.expires_at).limit(limit)
    return (await session.scalars(query)).all()


async def delete_upload(session: AsyncSession, upload_id: str) -> None:
    await session.execute(delete(PieceRow).where(PieceRow.upload_id == upload_id))
    await session.execute(delete(UploadRow).where(UploadRow.id == upload_id))
