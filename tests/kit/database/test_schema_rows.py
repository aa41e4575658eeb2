"""Migrations with rows in the tables, and how the tables compare what is in them."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    insert,
    inspect,
    select,
)
from sqlalchemy.exc import IntegrityError
from tests.kit.database.test_schema import make_engine, register_models

from flowforge.engine.tables import definitions, outbox, queue, rates, run_labels, workers
from flowforge.kit.database.schema import REVISIONS, rollback_database, upgrade_database
from flowforge.kit.database.url import DatabaseUrl
from flowforge.vault.models import SecretRow

ROWS = 3
TEXT = "Größe \\ ' \" % ☃ 𝄞 "
WITH_A_ROW = {"schema_compatibility", "identity_changes"}
"""Tables that hold one row, which the migrations make."""


def make_value(column: Column[Any], number: int) -> object:
    """As large as the column takes it, in what is no key; distinct in each row."""
    is_indexed = column.primary_key or any(column.name in index.columns for index in column.table.indexes)
    match column.type:
        case Boolean():
            return number % 2 == 0
        case BigInteger():
            return number if column.primary_key else 2**62 + number
        case Integer():
            return number if column.primary_key or column.foreign_keys else 2**31 - 1 - number
        case LargeBinary():
            return bytes(range(256)) * 300 + bytes([number])
        case Text():
            return (TEXT * 3_000 if "JSON" not in repr(column.type) else TEXT)[:16_000] + str(number)
        case String():
            room = (column.type.length or 8) - 1
            return f"{number}{(TEXT * 40)[:room]}" if not is_indexed or room > 8 else f"{number}"
        case _:
            raise AssertionError(column)


def fill(engine: Engine, tables: MetaData, only: Sequence[Table] | None = None) -> None:
    with engine.begin() as connection:
        for table in tables.sorted_tables if only is None else only:
            if table.name in WITH_A_ROW:
                continue
            for number in range(1, ROWS + 1):
                connection.execute(insert(table), {column.name: make_value(column, number) for column in table.columns})


def read(engine: Engine, table: Table, columns: set[str] | None = None) -> list[tuple[Any, ...]]:
    chosen = [column for column in table.columns if columns is None or column.name in columns]
    with engine.connect() as connection:
        return sorted((tuple(row) for row in connection.execute(select(*chosen))), key=repr)


def list_columns(engine: Engine) -> dict[str, set[str]]:
    """The columns of each table that is there now."""
    inspector = inspect(engine)
    return {name: {column["name"] for column in inspector.get_columns(name)} for name in inspector.get_table_names()}


def test_rows_survive_going_down_and_up_again(url: DatabaseUrl):
    """From this version to the first one and back: what the first one has keeps its rows all the way."""
    upgrade_database(url)
    engine, tables = make_engine(url), register_models()
    fill(engine, tables)
    whole = {
        table.name: {column.name: read(engine, table, {column.name}) for column in table.columns}
        for table in tables.sorted_tables
    }
    for _ in REVISIONS[1:]:
        rollback_database(url)
    kept = list_columns(engine)
    olden = [table for table in tables.sorted_tables if table.name in kept]
    assert len(olden) > 15
    for _ in range(2):
        for table in olden:
            for column in kept[table.name] & set(whole[table.name]):
                assert read(engine, table, {column}) == whole[table.name][column], (table.name, column)
        upgrade_database(url)
    # What came back has the values that rows of older code are to have.
    assert read(engine, queue, {"needs"}) == [(1,)] * ROWS
    assert read(engine, workers, {"role", "pid", "address"}) == [("worker", 0, None)] * ROWS
    assert read(engine, outbox) == []
    fill(engine, tables, [table for table in tables.sorted_tables if table.name not in kept])
    engine.dispose()


def test_last_revision_with_rows_is_taken_back_to_nothing(url: DatabaseUrl):
    upgrade_database(url)
    engine = make_engine(url)
    fill(engine, register_models())
    for _ in REVISIONS:
        rollback_database(url)
    upgrade_database(url)
    assert read(engine, definitions) == []
    engine.dispose()


SCOPES = ["", " ", "A", "A ", "Z", "a", "a ", "aa", "e", "e\u0301", "z", "Ä", "é", "ß", "ss", "ſ", "\U0001d11e", "\uff21"]
"""Texts that some collation or other takes for the same; in the order of SQLite, which is that of their code points."""


def test_texts_of_keys_compare_byte_by_byte_and_sort_alike(url: DatabaseUrl):
    upgrade_database(url)
    engine = make_engine(url)
    with engine.begin() as connection:
        connection.execute(insert(rates), [{"scope": scope, "tat": number} for number, scope in enumerate(SCOPES)])
    with engine.connect() as connection:
        assert list(connection.scalars(select(rates.c.scope).order_by(rates.c.scope))) == sorted(SCOPES, key=str.encode)
        for number, scope in enumerate(SCOPES):
            assert list(connection.scalars(select(rates.c.tat).where(rates.c.scope == scope))) == [number]
    engine.dispose()


def test_same_key_is_refused(url: DatabaseUrl):
    upgrade_database(url)
    engine = make_engine(url)
    secret = {"workspace_id": "ws", "key_id": "k", "sealed": b"", "hosts": "[]", "version": 1, "updated_at": 0}
    with engine.begin() as connection:
        connection.execute(insert(SecretRow), [{"id": "1", "name": "TOKEN", **secret}, {"id": "2", "name": "token", **secret}])
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(insert(SecretRow), [{"id": "3", "name": "TOKEN", **secret}])
    engine.dispose()


def test_largest_values_of_each_kind_are_kept(url: DatabaseUrl):
    upgrade_database(url)
    engine = make_engine(url)
    large = "x☃" * 2_000_000  # 8 MB
    label = "𝄞" * 200
    with engine.begin() as connection:
        connection.execute(insert(definitions), {"digest": "d", "document": large})
        row = {"run_no": 2**63 - 1, "key": label, "workspace_id": "w" * 64, "value": label, "started_at": 2**63 - 1}
        connection.execute(insert(run_labels), row)
    assert read(engine, definitions) == [("d", large)]
    assert read(engine, run_labels) == [(2**63 - 1, label, "w" * 64, label, 2**63 - 1)]
    engine.dispose()
