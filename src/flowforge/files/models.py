"""The tables `files`, `uploads` and `upload_pieces`. The bytes lie in the object store under the ids."""

from sqlalchemy import BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from flowforge.kit.database.metadata import ID_LENGTH, MILLISECONDS, NAME_LENGTH, Base

_FILE_NAME_LENGTH = 255


class FileRow(Base):
    """A file that somebody sent. Files that steps made have no row: their runs name them."""

    __tablename__ = "files"
    __table_args__ = (Index(None, "workspace_id", "created_at"),)

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    workspace_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    name: Mapped[str] = mapped_column(String(_FILE_NAME_LENGTH))
    media_type: Mapped[str] = mapped_column(String(NAME_LENGTH))
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[int] = mapped_column(MILLISECONDS)
    created_by: Mapped[str] = mapped_column(String(NAME_LENGTH))


class UploadRow(Base):
    """A file that comes in pieces. `received`: bytes so far; `file_id`: what became of it."""

    __tablename__ = "uploads"
    __table_args__ = (Index(None, "expires_at"),)

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    workspace_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    name: Mapped[str] = mapped_column(String(_FILE_NAME_LENGTH))
    media_type: Mapped[str] = mapped_column(String(NAME_LENGTH))
    size: Mapped[int] = mapped_column(BigInteger)
    received: Mapped[int] = mapped_column(BigInteger)
    file_id: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    created_at: Mapped[int] = mapped_column(MILLISECONDS)
    created_by: Mapped[str] = mapped_column(String(NAME_LENGTH))
    expires_at: Mapped[int] = mapped_column(MILLISECONDS)


class PieceRow(Base):
    """A piece that has arrived whole. `start`: its first byte's place in the file."""

    __tablename__ = "upload_pieces"

    upload_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    start: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    size: Mapped[int] = mapped_column(BigInteger)
    object_id: Mapped[str] = mapped_column(String(ID_LENGTH))
