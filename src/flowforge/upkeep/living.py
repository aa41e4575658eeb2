"""Who works on a database now."""

from pathlib import Path

from sqlalchemy import Connection, select

from flowforge.engine.executor.liveness import WorkerLocks
from flowforge.engine.tables import workers
from flowforge.upkeep.errors import WorkersAliveError


def list_living(connection: Connection, now_ms: int, locks: Path | None) -> list[str]:
    """`number name` of each worker whose beat is not older than its expiry. `locks`: the folder of lock files that prove a death."""
    query = select(workers.c.no, workers.c.name).where(workers.c.dead == 0, workers.c.expires_at > now_ms).order_by(workers.c.no)
    living = {row.no: row.name for row in connection.execute(query)}
    dead = [] if locks is None else WorkerLocks(locks).find_dead(list(living))
    return [f"{no} {name}" for no, name in living.items() if no not in dead]


def refuse_living(connection: Connection, now_ms: int, locks: Path | None, place: str) -> None:
    """Raises WorkersAliveError where somebody works on the database."""
    living = list_living(connection, now_ms, locks)
    if living:
        raise WorkersAliveError(place, living)
