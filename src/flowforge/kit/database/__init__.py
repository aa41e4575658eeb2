"""The database: URLs, connections, error sentences, its clock, schema revisions.

Only `metadata`, `session`, `migrating` and `migration_steps` import SQLAlchemy, and drivers of servers are imported where they are used.
"""
