"""Room in the write-ahead log before the first commit needs it.

While the log file grows, each commit makes the file system write down the new size too; in a log that is large enough it only overwrites.
Measured: 0.46 ms against 0.23 ms a commit on ext4. SQLite throws the log away when the last connection closes, so that each first worker
makes room anew: a row of 4 MiB comes and goes, and a checkpoint begins the log from its start. The database keeps the pages for later.
"""

import sqlite3
from pathlib import Path
from typing import Final

_ROOM_BYTES: Final = 4 * 2**20
_NAME: Final = "~room"
_FILL = "INSERT OR REPLACE INTO definitions(digest, document) VALUES (?, zeroblob(?))"
_EMPTY = "DELETE FROM definitions WHERE digest=?"


def make_log_room(connection: sqlite3.Connection, path: Path) -> None:
    """Grows the log to what SQLite lets it become between two checkpoints, unless it is that large already."""
    log = path.with_name(path.name + "-wal")
    if log.exists() and log.stat().st_size >= _ROOM_BYTES:
        return
    connection.execute(_FILL, (_NAME, _ROOM_BYTES))
    connection.execute(_EMPTY, (_NAME,))
    connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
