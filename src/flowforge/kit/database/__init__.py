"""The database: connections, error sentences, schema revisions. Only `metadata`, `session` and `migrating` import SQLAlchemy."""
