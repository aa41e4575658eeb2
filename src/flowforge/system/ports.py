"""What the system's pages ask of who is wired above them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from flowforge.cluster.queues import WorkerLine
from flowforge.kit.values import JsonObject
from flowforge.web.calls import Call


class ReadWorkers(Protocol):
    """Wired under this class: who works here. A data folder's lock files say at once who is dead."""

    async def __call__(self, *, dead_limit: int) -> Sequence[WorkerLine]: ...


class NextTimes(Protocol):
    """Wired under this class: when the caller's schedules fire next, the earliest first: `trigger_id`, `workflow_id`, `workflow`, `at`."""

    async def __call__(self, call: Call, limit: int) -> Sequence[JsonObject]: ...


class MailFolder(Protocol):
    """Wired under this class: where mails lie while no server for them is set; None: there is one."""

    def __call__(self) -> Path | None: ...


class RunLetters(Protocol):
    """Wired under this class: runs that are dead letters, and what becomes of them."""

    async def list(self, workspace_id: str) -> "Sequence[RunLetter]": ...

    async def tell(self, workspace_id: str, run_id: str, kind: str, actor: str) -> None:
        """Hands `retry` or `discard` to a run that is a dead letter.

        Raises:
            NotFoundError: there is no such run.
            ConflictError: it is no dead letter.
        """
        ...


class RunLetter(Protocol):
    """A run with a step that ended its worker again and again."""

    @property
    def run_id(self) -> str: ...

    @property
    def workflow(self) -> str: ...

    @property
    def step(self) -> str: ...

    @property
    def tries(self) -> int: ...

    @property
    def since_ms(self) -> int | None: ...
