"""Alembic's environment: the connection, in its transaction, is handed in by `flowforge.kit.database.migrating`."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
