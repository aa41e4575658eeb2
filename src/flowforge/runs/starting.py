"""Starting runs and speaking to them, wherever the engine is: in this process, or on the other side of the database."""

from collections.abc import Sequence
from typing import Protocol

from flowforge.engine.births import StartRequest
from flowforge.engine.events import BlobRef, PinnedVersion
from flowforge.engine.executor.engine import Started
from flowforge.engine.executor.watching import Listener
from flowforge.engine.store import Delivery, JournalRow, NewMail
from flowforge.kit.values import JsonValue
from flowforge.language.graph import Workflow


class Starter(Protocol):
    """Where runs are started; see `Runner`."""

    async def start(self, request: StartRequest) -> Started: ...


class TurnTeller(Protocol):
    """Wired under this class where the engine is in this process: it tells each turn of a run, so that nobody need read it."""

    async def start_watched(self, request: StartRequest, on_turn: Listener) -> Started:
        """As `Runner.start`; `on_turn` takes number, time and events of the journal's rows from the second one on, until the end."""
        ...

    def leave(self, run_no: int, on_turn: Listener) -> None:
        """Nothing more is to be told."""
        ...


class Runner(Starter, Protocol):
    """Wired under this class (`call.port(Runner)`): by the engine of an embedded server, by store and doorbell in a cluster."""

    async def start(self, request: StartRequest) -> Started:
        """Starts a run; when it returns, the run exists whatever dies next. The input is checked and completed here.

        Raises:
            ValidationError: the input does not fit.
            NotInstalledError: an operation is missing here.
            StartRejectedError: the workflow's limit is reached and says `reject`.
            OverloadedError: the database is too far behind.
        """
        ...

    async def deliver(self, mail: NewMail) -> Delivery:
        """Hands a message to a run; when it returns, the message is stored."""
        ...

    async def wait(self, run_no: int, timeout_s: float) -> None:
        """Returns when the run has ended or stands still (for a person, a signal, a timer), or when the time is over."""
        ...

    async def define(self, digest: str, definition: bytes) -> None:
        """Stores a compiled definition, which versions name by its digest; it may be there already."""
        ...

    async def pin(self, workspace_id: str, workflow: str, version: int | None = None) -> PinnedVersion:
        """The version that a start by name or id takes: the published one, or the numbered one.

        Raises:
            NotFoundError, ConflictError: there is no such workflow or version, or it takes no runs (unpublished, deprecated, inactive).
        """
        ...


class RunReader(Protocol):
    """Wired under this class: what is quickly known of a run whose number is known. Looks at no workspace: who asks has looked before."""

    async def load(self, run_no: int) -> Sequence[JournalRow]:
        """The whole journal, in order; empty if there is no such run."""
        ...

    def load_blob(self, ref: BlobRef) -> JsonValue:
        """A value that was too large for the journal.

        Raises:
            NotFoundError: it is not there any more.
        """
        ...

    async def get_workflow(self, digest: str) -> Workflow:
        """The compiled definition.

        Raises:
            NotFoundError, InvariantError: no definition has this digest, or it does not compile any more.
        """
        ...
