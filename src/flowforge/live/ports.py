"""What live updates need from where runs are carried on."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from flowforge.engine.executor.watching import Listener


class RunWatch(Protocol):
    """Tells of a run's progress as it happens. What it does not tell is found in the journal, a little later."""

    def watch(
        self, run_no: int, run_id: str, on_turn: Listener, on_news: Callable[[], None]
    ) -> AbstractAsyncContextManager[None]:
        """While the block lasts: `on_turn` takes each journal row of which all is known here, `on_news` says that there may be others."""
        ...
