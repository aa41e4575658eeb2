"""`sql.query`."""

from typing import Literal

import pydantic
from pydantic import Field

from flowforge.kit.values import JsonObject
from flowforge.operations import ErrorCode, Example, Nature, OperationContext, operation
from flowforge.steps.sql.addresses import name_database
from flowforge.steps.sql.faults import COMMIT_ERROR, FILE_ERRORS, SQL_ERRORS
from flowforge.steps.sql.parameters import LIMIT_FIELD, ColumnResult, StatementParameters, StrictModel
from flowforge.steps.sql.reading import READING_ERRORS, collect, write_file
from flowforge.steps.sql.transactions import bind_one, find_dialect, open_session, run_in_transaction


class QueryParameters(StatementParameters):
    """What to read, and from where."""

    limit: int = LIMIT_FIELD
    to: Literal["ndjson", "csv"] | None = Field(
        default=None,
        description="Stream the rows to a file instead, any number of them: `ndjson` (an object on each line) or `csv`.",
    )
    read_only: bool = Field(
        default=True, description="Whether the database refuses to write; set it to false for a function or RETURNING that does."
    )


class QueryResult(StrictModel):
    """What was read."""

    rows: list[dict[str, pydantic.JsonValue]] | None = Field(description="The rows, by column name; null with `to`.")
    columns: list[ColumnResult] = Field(description="The columns, in their order.")
    row_count: int = Field(description="How many rows there are.")
    file: dict[str, pydantic.JsonValue] | None = Field(default=None, description="The file value; null without `to`.")


@operation(
    "sql.query",
    title="Query a SQL database",
    category="sql",
    icon="database",
    nature=Nature.EFFECT,
    errors=(
        *SQL_ERRORS,
        *READING_ERRORS,
        *FILE_ERRORS,
        COMMIT_ERROR,
        ErrorCode("storage_full", "There is no room left on the disk for the file.", retryable=True),
    ),
    target=name_database,
    examples=(
        Example(
            "Open orders of one customer",
            {
                "database": "sqlite://work/shop.db",
                "statement": "SELECT id, total, placed_at FROM orders WHERE customer = :customer AND state = 'open' ORDER BY id",
                "parameters": {"customer": "Ada"},
            },
            {
                "rows": [
                    {"id": 1, "total": "19.90", "placed_at": "2026-01-02T03:04:05Z"},
                    {"id": 3, "total": "5.00", "placed_at": "2026-01-03T10:00:00Z"},
                ],
                "columns": [
                    {"name": "id", "type": None},
                    {"name": "total", "type": None},
                    {"name": "placed_at", "type": None},
                ],
                "row_count": 2,
                "file": None,
            },
        ),
        Example(
            "A whole table as a CSV file",
            {"database": "sqlite://work/shop.db", "statement": "SELECT * FROM orders", "to": "csv"},
            {
                "rows": None,
                "columns": [
                    {"name": "id", "type": None},
                    {"name": "customer", "type": None},
                    {"name": "total", "type": None},
                    {"name": "state", "type": None},
                    {"name": "placed_at", "type": None},
                ],
                "row_count": 3,
                "file": {
                    "$file": {
                        "id": "file_01jzzzzzzzzzzzzzzzzzzzzzzz",
                        "name": "rows.csv",
                        "media_type": "text/csv",
                        "size": 160,
                        "sha256": "0000000000000000000000000000000000000000000000000000000000000000",
                    }
                },
            },
            varies=True,
        ),
    ),
)
async def query(parameters: QueryParameters, context: OperationContext) -> QueryResult:
    """Reads rows from SQLite, PostgreSQL, MySQL or MariaDB.

    Values are exact: whole numbers beyond 64 bits and decimal numbers are text, times are RFC 3339 (the session's zone is UTC), bytes are
    base64, intervals ISO 8601 durations, JSON and arrays are values; NaN and infinity are the texts `NaN`, `Infinity` and `-Infinity`.
    In PostgreSQL write `??` for the operator `?` where parameters are a list. A server's address must be public, or listed in
    EGRESS_ALLOW. Each call has a connection of its own.
    """
    bound = await bind_one(parameters.statement, parameters.parameters, find_dialect(parameters), context)
    async with open_session(parameters, context) as session:

        async def read() -> QueryResult:
            rows = await session.run(bound, streams=True)
            columns = [ColumnResult(name=column.name, type=column.type) for column in rows.columns]
            if parameters.to is not None:
                file, count = await write_file(rows, parameters.to, context)
                return QueryResult(rows=None, columns=columns, row_count=count, file=file)
            found: list[JsonObject] = await collect(rows, context, limit=parameters.limit)
            return QueryResult(rows=found, columns=columns, row_count=len(found))

        return await run_in_transaction(session, parameters, read, is_read_only=parameters.read_only)
