"""The table `kept_answers`."""

from sqlalchemy import BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from flowforge.kit.database.metadata import ID_LENGTH, JSON_TEXT, MILLISECONDS, Base


class KeptAnswerRow(Base):
    """A request that came with an Idempotency-Key. `name`: digest of its path and key; `digest`: of its body.

    `event_no`: the named event that it stored, if it is about one. `answer`: JSON; None: it has not been answered yet.
    """

    __tablename__ = "kept_answers"
    __table_args__ = (Index(None, "asked_at"),)

    workspace_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    name: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    digest: Mapped[str] = mapped_column(String(ID_LENGTH))
    event_no: Mapped[int | None] = mapped_column(BigInteger)
    answer: Mapped[str | None] = mapped_column(JSON_TEXT)
    asked_at: Mapped[int] = mapped_column(MILLISECONDS)
