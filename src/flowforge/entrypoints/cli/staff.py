"""Who works on the installation of a command."""

from collections.abc import Collection

from flowforge.cluster.queues import ALIVE, WorkerLine, list_served, list_workers
from flowforge.entrypoints.cli.place import Place


def find_living_workers(place: Place) -> set[int]:
    """Numbers of the workers that live: not declared dead, and their lock not free (a data folder) or their time not past (a server)."""
    if place.installation.database_url.is_server:
        return {worker.no for worker in read_workers(place) if worker.state == ALIVE}
    alive = list(place.installation.store.alive())
    return set(alive) - set(place.installation.worker_locks.find_dead(alive))


def find_served(place: Place) -> Collection[str] | None:
    """The queues that living workers serve; None where each of them serves all (SQLite). Empty: there is no living worker."""
    if place.installation.database_url.is_server:
        return list_served(read_workers(place))
    return None if find_living_workers(place) else ()


def read_workers(place: Place, *, dead_limit: int = 0) -> list[WorkerLine]:
    """The workers of the installation, at most `dead_limit` dead ones among them. A data folder's lock files say at once who is dead."""
    installation = place.installation
    dead: list[int] = []
    if not installation.database_url.is_server:
        dead = installation.worker_locks.find_dead(list(installation.store.alive()))
    now_ms, expiry_ms = place.now_ms, installation.settings.expiry_ms
    return place.read(lambda session: list_workers(session, now_ms, expiry_ms=expiry_ms, known_dead=dead, dead_limit=dead_limit))
