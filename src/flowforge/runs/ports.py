"""What looking at runs needs from where they are carried on."""

from collections.abc import Collection
from typing import Protocol

from flowforge.engine.store import NewEvent


class RunGround(Protocol):
    """Wired under this class: the installation around the runs."""

    @property
    def is_cluster(self) -> bool:
        """Whether runs are carried on by workers on a database server."""
        ...

    @property
    def expiry_ms(self) -> int:
        """For how long a worker's sign of life holds."""
        ...

    def list_dead_workers(self) -> Collection[int]:
        """Workers whose lock file says that their process has ended; none in a cluster. May wait for the disk."""
        ...

    def find_broker_trouble(self) -> str | None:
        """Why the broker does not answer; None where it does, or there is none. May wait for the network."""
        ...

    async def publish(self, event: NewEvent) -> int:
        """Stores a named event and hands it to the runs that wait for it; how many it reached at once.

        When it returns, the event is stored: a run that begins to wait within a day gets it too.
        """
        ...
