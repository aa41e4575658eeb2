"""Triggers that let nobody change what the audit log has written, the same on every database.

A row that is past the mark of retention (`audit_head.retired_up_to`) may be deleted; the mark only grows, and only to a signed
checkpoint. Who owns the database can drop triggers: that the chain then shows. They stand against a mistake or an injected statement.
"""

from typing import Final

from sqlalchemy import Connection, inspect

_REFUSED: Final = "audit rows are append-only"
_MARK: Final = "the mark of retention goes to a checkpoint, and never back"
GUARDED: Final = "audit_rows"
"""The table that is there where guards belong."""

_PLACES: Final = {
    "audit_rows_update": ("audit_rows", "UPDATE"),
    "audit_rows_delete": ("audit_rows", "DELETE"),
    "audit_checkpoints_update": ("audit_checkpoints", "UPDATE"),
    "audit_checkpoints_delete": ("audit_checkpoints", "DELETE"),
    "audit_head_update": ("audit_head", "UPDATE"),
}
_CONDITIONS: Final = {
    "audit_rows_delete": "OLD.no > COALESCE((SELECT MAX(retired_up_to) FROM audit_head), 0)",
    "audit_head_update": (
        "NEW.retired_up_to <> OLD.retired_up_to AND (NEW.retired_up_to < OLD.retired_up_to "
        "OR NOT EXISTS (SELECT 1 FROM audit_checkpoints c WHERE c.no = NEW.retired_up_to))"
    ),
}
_SQLITE_REPLACE: Final = {
    "audit_rows_insert": ("audit_rows", "INSERT", "EXISTS (SELECT 1 FROM audit_rows t WHERE t.no = NEW.no)"),
    "audit_checkpoints_insert": ("audit_checkpoints", "INSERT", "EXISTS (SELECT 1 FROM audit_checkpoints t WHERE t.no = NEW.no)"),
}
"""SQLite's REPLACE deletes without asking the triggers of DELETE."""


def set_guards(connection: Connection) -> None:
    """Makes the triggers, anew where they are there. On MySQL this ends the transaction that it is called in."""
    if GUARDED not in inspect(connection).get_table_names():
        return
    lift_guards(connection)
    dialect = connection.dialect.name
    if dialect == "postgresql":
        _set_postgres(connection)
        return
    make = _write_sqlite if dialect == "sqlite" else _write_mysql
    for name, (table, verb) in _PLACES.items():
        connection.exec_driver_sql(make(name, table, verb, _CONDITIONS.get(name, "1 = 1")))
    if dialect == "sqlite":
        for name, (table, verb, condition) in _SQLITE_REPLACE.items():
            connection.exec_driver_sql(_write_sqlite(name, table, verb, condition))


def lift_guards(connection: Connection) -> None:
    """Takes the triggers away: for a downgrade, and for emptying a copy that is not finished. On MySQL this ends the transaction."""
    if connection.dialect.name == "postgresql":
        present = set(inspect(connection).get_table_names())
        for name, (table, _) in _PLACES.items():
            if table in present:
                connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name} ON {table}")
            connection.exec_driver_sql(f"DROP FUNCTION IF EXISTS refuse_{name}()")
        return
    for name in (*_PLACES, *(_SQLITE_REPLACE if connection.dialect.name == "sqlite" else ())):
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}")


def _tell(name: str) -> str:
    return _MARK if name == "audit_head_update" else _REFUSED


def _write_sqlite(name: str, table: str, verb: str, condition: str) -> str:
    return (
        f"CREATE TRIGGER {name} BEFORE {verb} ON {table} FOR EACH ROW WHEN {condition} "
        f"BEGIN SELECT RAISE(ABORT, '{_tell(name)}'); END"
    )


def _write_mysql(name: str, table: str, verb: str, condition: str) -> str:
    return (
        f"CREATE TRIGGER {name} BEFORE {verb} ON {table} FOR EACH ROW BEGIN IF {condition} THEN "
        f"SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{_tell(name)}'; END IF; END"
    )


def _set_postgres(connection: Connection) -> None:
    for name, (table, verb) in _PLACES.items():
        condition = _CONDITIONS.get(name, "TRUE")
        result = "OLD" if verb == "DELETE" else "NEW"
        connection.exec_driver_sql(
            f"CREATE FUNCTION refuse_{name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {condition} THEN "
            f"RAISE EXCEPTION '{_tell(name)}' USING ERRCODE = 'restrict_violation'; END IF; RETURN {result}; END $$"
        )
        connection.exec_driver_sql(
            f"CREATE TRIGGER {name} BEFORE {verb} ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_{name}()"
        )
