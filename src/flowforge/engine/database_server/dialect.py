"""What the stores' statements need of a server: one connection, its transactions, and the few texts that differ.

Statements are written once, for both kinds: `%s` marks, names in double quotes where MySQL reserves them. They run under READ COMMITTED.
"""

import os
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

Row: TypeAlias = Sequence[object]
Statement: TypeAlias = tuple[str, Row]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Texts:
    """Statements, and parts of them, that are not the same on both."""

    share: str
    """Keeps a row as it is until COMMIT, for any number of readers."""
    due_groups: str
    """Workspace, suspect, priority and first `due_at` of all that is queued, by hops over the index. Takes the time: due ones only."""
    job_groups: str
    """Workspace and priority of all jobs that wait in a queue, by hops over the index. Takes the queue."""
    lock_rate: str
    """Behind an INSERT into `rates`: rows that are there are locked for writing and stay as they are."""
    order_of_due: str
    """By the index alone: only InnoDB's holds the primary key at its end."""


class Session(ABC):
    """A connection to a server. For one thread at a time."""

    texts: Texts
    error: type[Exception]
    """The class of all errors of the driver."""
    is_in_doubt: bool = False
    """COMMIT was sent and not answered. Where the connection is lost, it may have happened."""

    @abstractmethod
    def fetch(self, text: str, values: Row = ()) -> list[Any]:
        """All rows of a SELECT."""

    @abstractmethod
    def fetch_each(self, statements: Sequence[Statement]) -> list[list[Any]]:
        """The rows of several SELECTs, in one round trip where the server can do that."""

    @abstractmethod
    def send(self, text: str, values: Row = ()) -> None:
        """A statement without an answer: its error may come with a later one, or with COMMIT."""

    @abstractmethod
    def change(self, text: str, values: Row = ()) -> int:
        """How many rows it changed. MySQL does not count those that were so before."""

    @abstractmethod
    def insert(self, text: str, values: Row) -> int:
        """Inserts one row; returns its number (`no`), which the database gave."""

    @abstractmethod
    def transaction(self, *, is_piped: bool = True) -> AbstractContextManager[None]:
        """BEGIN to COMMIT, ROLLBACK where anything is raised. Savepoints need one that is not piped."""

    @abstractmethod
    def upsert(self, table: str, keys: Sequence[str], columns: Sequence[str] = (), *, keeps: bool = False) -> tuple[str, str]:
        """What stands before and behind the rows of an INSERT that writes `columns` over a row that is there; or `keeps` it."""

    @abstractmethod
    def split(self, rows: Sequence[Row]) -> list[Sequence[Row]]:
        """The rows in parts that one statement can take."""

    @abstractmethod
    def read_time_ms(self) -> int:
        """The server's clock: milliseconds since 1970 (UTC)."""

    @property
    @abstractmethod
    def is_usable(self) -> bool:
        """False: the connection is lost or closed."""

    @abstractmethod
    def find_socket(self) -> int:
        """The descriptor of the connection's socket. Raises `error` or OSError where it is closed."""

    def interrupt(self) -> None:
        """Cuts the connection under whoever uses it, from any thread. The descriptor stays theirs."""
        # One that is closed meanwhile is as well as cut.
        with suppress(OSError, self.error), socket.socket(fileno=os.dup(self.find_socket())) as line:
            line.shutdown(socket.SHUT_RDWR)

    @abstractmethod
    def close(self) -> None: ...


class Writing(Protocol):
    """Does work on a connection, at a time by the database's clock: a transaction, again where others were in the way."""

    def __call__(self, work: Callable[[Session, int], T]) -> T: ...
