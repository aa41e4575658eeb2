"""What must be true of a server's database before anybody works on it."""

from flowforge.kit.database.clock import DatabaseClock
from flowforge.kit.database.reading import reading
from flowforge.kit.database.schema import read_schema, require_usable
from flowforge.kit.database.url import DatabaseUrl


def require_ready(url: DatabaseUrl) -> DatabaseClock:
    """Makes sure that the server answers, keeps what it confirms, and has a schema that this version may work on.

    Returns its clock, read once.

    Raises:
        DatabaseUnreachableError, DatabaseBusyError: it does not answer, or not yet: who can wait asks again (F17).
        DatabaseUnsafeError: a power cut would lose what it confirms (F31).
        DatabaseOlderError, DatabaseNewerError, DatabaseCorruptError: its schema is not ours.
        StorageError: it cannot be used.
    """
    clock = DatabaseClock()
    with reading(url) as reader:
        reader.verify_setup()
        require_usable(url, read_schema(reader))
        clock.sync(reader.read_time_ms)
    return clock
