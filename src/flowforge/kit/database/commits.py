"""Whether anybody has committed to a SQLite file, in this process or another."""

from pathlib import Path

from flowforge.kit.database.connect import connect_sqlite


class SqliteCommits:
    """A connection that never writes, so that SQLite tells it of every commit there is (`PRAGMA data_version`). Asking takes some µs."""

    def __init__(self, path: Path) -> None:
        """Raises StorageError: the file cannot be opened."""
        self._connection = connect_sqlite(path)

    def read_version(self) -> int:
        """Another number after each commit of anybody; only equality has a meaning."""
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        self._connection.close()
