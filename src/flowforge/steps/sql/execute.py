"""`sql.execute`."""

import pydantic
from pydantic import Field, model_validator

from flowforge.kit.values import JsonObject
from flowforge.operations import ErrorCode, Example, FatalError, Nature, OperationContext, operation
from flowforge.steps.sql.addresses import name_database
from flowforge.steps.sql.binding import Bound
from flowforge.steps.sql.faults import COMMIT_ERROR, FILE_ERRORS, SQL_ERRORS
from flowforge.steps.sql.parameters import LIMIT_FIELD, ONCE_FIELD, REPEATED_FIELD, StatementParameters, StrictModel
from flowforge.steps.sql.reading import READING_ERRORS, collect
from flowforge.steps.sql.session import Session
from flowforge.steps.sql.statements import Dialect, commits_by_itself, refuse
from flowforge.steps.sql.transactions import bind_one, find_dialect, open_session, run_in_transaction, run_limited, run_once

UNEXPECTED_ROWS = ErrorCode("unexpected_rows", "Another number of rows was changed than `expect_rows` says; nothing was kept.")
_COUNTED = frozenset({"INSERT", "UPDATE", "DELETE", "REPLACE"})


class ExecuteParameters(StatementParameters):
    """What to change, and where."""

    expect_rows: int | None = Field(
        default=None, ge=0, description="How many rows must be changed; with another number all is undone and the step fails."
    )
    once: bool = ONCE_FIELD
    transaction: bool = Field(
        default=True, description="Set it to false for what runs in no transaction, such as VACUUM or CREATE INDEX CONCURRENTLY."
    )
    limit: int = LIMIT_FIELD

    @model_validator(mode="after")
    def _check_transaction(self) -> "ExecuteParameters":
        if not self.transaction and (self.once or self.expect_rows is not None):
            raise ValueError("once and expect_rows want a transaction; leave `transaction` out")
        return self


class ExecuteResult(StrictModel):
    """What was changed."""

    rows_affected: int = Field(description="How many rows were inserted, updated or deleted.")
    rows: list[dict[str, pydantic.JsonValue]] = Field(description="The rows of RETURNING, by column name.")
    last_id: int | None = Field(
        description="The number that SQLite or MySQL gave to the new row; null elsewhere (use RETURNING)."
    )
    is_repeated: bool = REPEATED_FIELD


@operation(
    "sql.execute",
    title="Change a SQL database",
    category="sql",
    icon="database-zap",
    nature=Nature.EFFECT,
    errors=(*SQL_ERRORS, *READING_ERRORS, *FILE_ERRORS, COMMIT_ERROR, UNEXPECTED_ROWS),
    target=name_database,
    examples=(
        Example(
            "Ship an order, and make sure that there is one",
            {
                "database": "sqlite://work/shop.db",
                "statement": "UPDATE orders SET state = 'shipped' WHERE id = :id RETURNING id, state",
                "parameters": {"id": 1},
                "expect_rows": 1,
            },
            {"rows_affected": 1, "rows": [{"id": 1, "state": "shipped"}], "last_id": None, "is_repeated": False},
        ),
        Example(
            "Insert a row exactly once",
            {
                "database": "sqlite://work/shop.db",
                "statement": "INSERT INTO orders (customer, total, state, placed_at) VALUES (?, ?, 'open', ?)",
                "parameters": ["Grace", "7.25", "2026-01-04T08:00:00Z"],
                "once": True,
            },
            {"rows_affected": 1, "rows": [], "last_id": 4, "is_repeated": False},
        ),
    ),
)
async def execute(parameters: ExecuteParameters, context: OperationContext) -> ExecuteResult:
    """Runs one statement that changes data or tables, in a transaction of its own.

    With `once` the effect is made exactly once: the step's mark is committed with it, and an attempt that finds the mark gives the first
    one's result. Without it a step that was killed between the commit and FlowForge's journal is run again. An UPDATE counts the rows that
    it found. MySQL and MariaDB commit most changes of tables by themselves; there `once` and `expect_rows` refuse those.
    """
    dialect = find_dialect(parameters)
    bound = await bind_one(parameters.statement, parameters.parameters, dialect, context)
    needs_transaction = parameters.once or parameters.expect_rows is not None
    if needs_transaction and dialect is Dialect.MYSQL and commits_by_itself(bound.statement):
        raise refuse(f"MySQL commits {bound.statement.keyword} by itself, so `once` and `expect_rows` cannot hold for it")
    async with open_session(parameters, context) as session:

        async def change() -> JsonObject:
            return await _change(session, bound, parameters, context)

        if parameters.once:
            result, is_repeated = await run_once(session, parameters, context, change)
        elif parameters.transaction:
            result, is_repeated = await run_in_transaction(session, parameters, change), False
        else:
            result, is_repeated = await run_limited(session, parameters, change), False
    return ExecuteResult.model_validate({**result, "is_repeated": is_repeated})


async def _change(session: Session, bound: Bound, parameters: ExecuteParameters, context: OperationContext) -> JsonObject:
    rows = await session.run(bound)
    found = await collect(rows, context, limit=parameters.limit)
    affected = rows.affected
    if not affected and rows.columns and bound.statement.keyword in _COUNTED:
        affected = len(found)  # MariaDB sends the rows of RETURNING, and no number
    if parameters.expect_rows is not None and affected != parameters.expect_rows:
        raise FatalError(
            f"{affected} rows would be changed where `expect_rows` says {parameters.expect_rows}; nothing was kept.",
            code=UNEXPECTED_ROWS.code,
            details={"rows_affected": affected, "expect_rows": parameters.expect_rows},
        )
    return {"rows_affected": affected, "rows": [*found], "last_id": rows.last_id}
