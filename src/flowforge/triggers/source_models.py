"""What triggers remember of their sources: the tables `watched_files`, `event_readers` and `mailbox_readers`."""

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from flowforge.kit.database.metadata import BIG_KEY, ID_LENGTH, JSON_TEXT, MILLISECONDS, Base


class WatchedFileRow(Base):
    """A file that a trigger has seen. `path_digest`: SHA-256 of `path`, which is below the root.

    `size` and `modified_at`: as last looked at; `changed_at`: when that was first seen so, by our clock. `event`: what is to be told of
    the file once it stands still; empty: nothing.
    """

    __tablename__ = "watched_files"

    trigger_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    path_digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    path: Mapped[str] = mapped_column(JSON_TEXT)
    size: Mapped[int] = mapped_column(BigInteger)
    modified_at: Mapped[int] = mapped_column(MILLISECONDS)
    changed_at: Mapped[int] = mapped_column(MILLISECONDS)
    event: Mapped[str] = mapped_column(String(10))


class WatchedFolderRow(Base):
    """The files that were in a trigger's folder before it was watched were taken note of; `digest`: of its parameters then."""

    __tablename__ = "watched_folders"

    trigger_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))


class EventReaderRow(Base):
    """Every event up to the outbox's number `position` was offered to the triggers."""

    __tablename__ = "event_readers"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    position: Mapped[int] = mapped_column(BIG_KEY)


class MailboxReaderRow(Base):
    """How far a trigger has read its mailbox: messages up to `last_uid`, as long as the folder has the same `validity`."""

    __tablename__ = "mailbox_readers"

    trigger_id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    validity: Mapped[int] = mapped_column(BigInteger)
    last_uid: Mapped[int] = mapped_column(BigInteger)
    next_at: Mapped[int] = mapped_column(MILLISECONDS)
    failures: Mapped[int] = mapped_column(BigInteger, default=0)
