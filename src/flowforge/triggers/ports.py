"""What the triggers ask of the floor above, and what is wired for them.

Wired by the server: `Firing` under its class, `Recorder` under its class, `Runner` (runs.starting), `Registry` (the installed operations),
and `RunNews` where the engine is in this process.
"""

from typing import Protocol


class RunNews(Protocol):
    """Tells when a run has come on. Without it wired, whoever waits for a step's answer looks again at short intervals."""

    async def wait_for_news(self, run_no: int, timeout_s: float) -> None:
        """Returns when the journal of the run may have a new row, or after the time."""
        ...
