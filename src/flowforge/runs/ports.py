"""What looking at runs needs from where they are carried on."""

from collections.abc import Collection
from typing import Protocol


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

    async def deliver_event(self, number: int) -> int:
        """Hands a named event that is stored to the runs that wait for it; how many have it now. Done again, no run gets it twice.

        If nobody comes to it, a sweep does; a run that begins to wait within a day gets it too.
        """
        ...
