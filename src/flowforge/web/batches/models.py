"""The table `batches`."""

from sqlalchemy import BigInteger, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from flowforge.kit.database.metadata import ID_LENGTH, JSON_TEXT, MILLISECONDS, NAME_LENGTH, Base


class BatchRow(Base):
    """Long work. `request`, `place`, `result`, `error`: JSON. `holder`: who works on it, until `held_until` unless it says so again.

    `place`: how far it is, in the words of its kind. `total` None: nobody has counted yet.
    """

    __tablename__ = "batches"
    __table_args__ = (Index(None, "finished_at", "held_until"),)

    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    workspace_id: Mapped[str] = mapped_column(String(ID_LENGTH))
    kind: Mapped[str] = mapped_column(String(40))
    status: Mapped[str] = mapped_column(String(20))
    actor: Mapped[str] = mapped_column(String(NAME_LENGTH))
    request: Mapped[str] = mapped_column(JSON_TEXT)
    place: Mapped[str] = mapped_column(JSON_TEXT)
    total: Mapped[int | None] = mapped_column(BigInteger)
    done: Mapped[int] = mapped_column(BigInteger)
    failed: Mapped[int] = mapped_column(BigInteger)
    result: Mapped[str] = mapped_column(JSON_TEXT)
    error: Mapped[str | None] = mapped_column(JSON_TEXT)
    is_stopping: Mapped[int] = mapped_column(Integer)
    holder: Mapped[str | None] = mapped_column(String(ID_LENGTH))
    held_until: Mapped[int] = mapped_column(MILLISECONDS)
    created_at: Mapped[int] = mapped_column(MILLISECONDS)
    updated_at: Mapped[int] = mapped_column(MILLISECONDS)
    finished_at: Mapped[int | None] = mapped_column(MILLISECONDS)
