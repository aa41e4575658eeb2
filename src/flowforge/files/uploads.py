"""Files that come in pieces, each at the offset where the last one ended (after the tus protocol 1.0, without its headers' names).

Each piece is an object of its own, stored before the row that names it: what was acknowledged is there, whatever dies.
"""

import asyncio
from collections.abc import Sequence
from typing import BinaryIO, Final

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.files import repository
from flowforge.files.errors import DigestMismatchError, UploadIncompleteError, UploadNotFoundError, UploadOffsetError
from flowforge.files.models import FileRow, PieceRow, UploadRow
from flowforge.files.service import keep_file
from flowforge.kit.clock import Clock
from flowforge.kit.database.session import Sessions
from flowforge.kit.ids import make_id
from flowforge.kit.objects import ObjectStore
from flowforge.kit.objects.store import ObjectWriter
from flowforge.kit.objects.values import FileValue, clean_media_type, clean_name

KEPT_MS: Final = 86_400_000
"""An upload that is not completed within this time is thrown away."""
_BATCH: Final = 100


async def begin_upload(
    session: AsyncSession, actor: str, workspace_id: str, *, name: str, media_type: str, size_bytes: int, at_ms: int
) -> UploadRow:
    """Announces a file."""
    row = UploadRow(
        id=make_id("upl"),
        workspace_id=workspace_id,
        name=clean_name(name),
        media_type=clean_media_type(media_type),
        size=size_bytes,
        received=0,
        created_at=at_ms,
        created_by=actor,
        expires_at=at_ms + KEPT_MS,
    )
    session.add(row)
    await session.flush()
    return row


async def list_pieces(session: AsyncSession, upload_id: str) -> Sequence[PieceRow]:
    """What has arrived, in the order of the file."""
    return await repository.list_pieces(session, upload_id)


async def get_upload(session: AsyncSession, workspace_id: str, upload_id: str, *, is_locked: bool = False) -> UploadRow:
    """Raises UploadNotFoundError."""
    row = await repository.find_upload(session, workspace_id, upload_id, is_locked=is_locked)
    if row is None:
        raise UploadNotFoundError(upload_id)
    return row


async def add_piece(session: AsyncSession, workspace_id: str, upload_id: str, *, start: int, piece: FileValue) -> UploadRow:
    """Takes a stored piece.

    Raises:
        UploadNotFoundError: there is no such upload.
        UploadOffsetError: it does not begin where the last one ended (somebody else may have sent it).
        UploadIncompleteError: it passes the announced size.
    """
    row = await get_upload(session, workspace_id, upload_id, is_locked=True)
    if start != row.received or row.file_id is not None:
        raise UploadOffsetError(row.received)
    if row.received + piece.size_bytes > row.size:
        raise UploadIncompleteError(row.received + piece.size_bytes, row.size)
    session.add(PieceRow(upload_id=row.id, start=start, size=piece.size_bytes, object_id=piece.id))
    row.received += piece.size_bytes
    try:
        await session.flush()
    except IntegrityError:
        raise UploadOffsetError(start) from None
    return row


async def join_pieces(objects: ObjectStore, upload: UploadRow, pieces: Sequence[PieceRow], sha256: str | None) -> FileValue:
    """One file from all pieces.

    Raises:
        UploadIncompleteError: bytes are missing.
        DigestMismatchError: it is not the file that was announced.
    """
    if upload.received != upload.size:
        raise UploadIncompleteError(upload.received, upload.size)
    return await asyncio.to_thread(_join, objects, upload, [piece.object_id for piece in pieces], sha256)


def _join(objects: ObjectStore, upload: UploadRow, object_ids: Sequence[str], sha256: str | None) -> FileValue:
    with objects.create(name=upload.name, media_type=upload.media_type) as writer:
        for object_id in object_ids:
            with objects.open(object_id) as piece:
                _append(writer, piece)
        file = writer.commit()
    if sha256 is not None and file.sha256 != sha256.lower():
        objects.delete(file.id)
        raise DigestMismatchError
    return file


def _append(writer: ObjectWriter, piece: BinaryIO) -> None:
    while data := piece.read(2**20):
        writer.write(data)


async def finish_upload(session: AsyncSession, actor: str, upload: UploadRow, file: FileValue, *, at_ms: int) -> FileRow:
    """Makes the joined file one of the workspace. Who comes second gets the file of who came first.

    Raises:
        UploadNotFoundError: it was thrown away meanwhile.
    """
    row = await get_upload(session, upload.workspace_id, upload.id, is_locked=True)
    if row.file_id is not None:
        known = await repository.find_file(session, row.workspace_id, row.file_id)
        if known is not None:
            return known
    row.file_id = file.id
    return await keep_file(session, actor, row.workspace_id, file, at_ms=at_ms)


class UploadSweeper:
    """A duty: uploads whose time is over go, with the pieces of those that were completed. Wanted once an hour."""

    def __init__(self, sessions: Sessions, objects: ObjectStore, clock: Clock) -> None:
        self._sessions = sessions
        self._objects = objects
        self._clock = clock

    async def run_once(self) -> None:
        """Raises StorageError: the database or the object store is away."""
        async with self._sessions.begin() as session:
            for row in await repository.list_expired_uploads(session, self._clock.now_ms(), _BATCH):
                for piece in await repository.list_pieces(session, row.id):
                    await asyncio.to_thread(self._objects.delete, piece.object_id)
                await repository.delete_upload(session, row.id)
