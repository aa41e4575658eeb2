"""A new SQLite database, made from a script: what the migrations give is written down once, when FlowForge is built.

Alembic and SQLAlchemy would take longer than a start may last. Servers are migrated, since there one installation is made once.
"""

from contextlib import closing
from pathlib import Path
from typing import Final

from flowforge.kit.crashpoint import crashpoint
from flowforge.kit.database.connect import connect_sqlite
from flowforge.kit.database.errors import explained
from flowforge.kit.database.url import DatabaseUrl

SCRIPT: Final = Path(__file__).parent / "migrations" / "sqlite.sql"
"""Written by `make generate` from the migrations; a test finds one that is not current."""
BREAK: Final = "\n\n"
"""Between two statements, and nowhere else."""


def create_sqlite(url: DatabaseUrl) -> bool:
    """Makes all tables in one transaction, so that a kill leaves none. False, and nothing is done, where there is a table by now.

    Raises:
        StorageError: the file cannot be used.
    """
    with explained(url), closing(connect_sqlite(url.file)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        is_new = connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None
        if is_new:
            for statement in SCRIPT.read_text("utf-8").split(BREAK):
                connection.execute(statement)
                crashpoint("CP26")
        connection.execute("COMMIT")
        return is_new
