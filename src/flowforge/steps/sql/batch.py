"""`sql.batch`."""

from pydantic import Field, model_validator

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import Example, FatalError, Nature, OperationContext, RetryableError, operation
from flowforge.steps.sql.addresses import name_database
from flowforge.steps.sql.binding import Bound
from flowforge.steps.sql.faults import COMMIT_ERROR, FILE_ERRORS, SQL_ERRORS
from flowforge.steps.sql.parameters import (
    ONCE_FIELD,
    REPEATED_FIELD,
    SETS_MAX,
    STATEMENTS_MAX,
    ConnectionParameters,
    ParameterSet,
    SqlText,
    StrictModel,
)
from flowforge.steps.sql.session import Session
from flowforge.steps.sql.statements import STATEMENT_MAX_CHARACTERS, Dialect, commits_by_itself, refuse
from flowforge.steps.sql.transactions import bind_many, find_dialect, open_session, run_in_transaction, run_once

_DRAIN_ROWS = 1_000


class BatchStatement(StrictModel):
    """One statement, run with one set of values or with many."""

    statement: SqlText = Field(
        description="One SQL statement, with `?` or `:name` for each value. It cannot hold an expression.",
        min_length=1,
        max_length=STATEMENT_MAX_CHARACTERS,
    )
    parameters: ParameterSet | None = Field(default=None, description="The values, as in `sql.execute`.")
    rows: list[ParameterSet] | None = Field(
        default=None,
        max_length=SETS_MAX,
        description="Many sets of values, instead of `parameters`: the statement is run once for each. An empty list runs it never.",
    )

    @model_validator(mode="after")
    def _check_one_form(self) -> "BatchStatement":
        if self.parameters is not None and self.rows is not None:
            raise ValueError("give parameters or rows, not both")
        return self


class BatchParameters(ConnectionParameters):
    """Which statements to run, and where."""

    statements: list[BatchStatement] = Field(
        description="The statements, run in this order in one transaction.", min_length=1, max_length=STATEMENTS_MAX
    )
    once: bool = ONCE_FIELD


class BatchResult(StrictModel):
    """What was changed."""

    rows_affected: list[int] = Field(description="How many rows each statement changed; with `rows`, all its sets together.")
    total: int = Field(description="The sum.")
    is_repeated: bool = REPEATED_FIELD


@operation(
    "sql.batch",
    title="Change a SQL database in one transaction",
    category="sql",
    icon="database-backup",
    nature=Nature.EFFECT,
    errors=(*SQL_ERRORS, *FILE_ERRORS, COMMIT_ERROR),
    target=name_database,
    examples=(
        Example(
            "Move an order to the archive, and add two",
            {
                "database": "sqlite://work/shop.db",
                "statements": [
                    {"statement": "INSERT INTO archive SELECT * FROM orders WHERE id = ?", "parameters": [2]},
                    {"statement": "DELETE FROM orders WHERE id = ?", "parameters": [2]},
                    {
                        "statement": "INSERT INTO orders (customer, total, state) VALUES (:customer, :total, 'open')",
                        "rows": [{"customer": "Alan", "total": "3.10"}, {"customer": "Edsger", "total": "8.00"}],
                    },
                ],
            },
            {"rows_affected": [1, 1, 2], "total": 4, "is_repeated": False},
        ),
    ),
)
async def batch(parameters: BatchParameters, context: OperationContext) -> BatchResult:
    """Runs several statements, or one with many sets of values, in one transaction: all of them count or none.

    With `once` they count exactly once, as in `sql.execute`. Rows that a statement gives are not part of the result. MySQL and MariaDB
    commit most changes of tables by themselves, which would cut the transaction in two; those are refused there.
    """
    dialect = find_dialect(parameters)
    parts = [await _bind(part, dialect, context) for part in parameters.statements]
    async with open_session(parameters, context) as session:

        async def change() -> JsonObject:
            counts: list[JsonValue] = [await _run(session, number, sets) for number, sets in enumerate(parts, 1)]
            return {"rows_affected": counts}

        if parameters.once:
            result, is_repeated = await run_once(session, parameters, context, change)
        else:
            result, is_repeated = await run_in_transaction(session, parameters, change), False
    made = BatchResult.model_validate({**result, "total": 0})
    return BatchResult(rows_affected=made.rows_affected, total=sum(made.rows_affected), is_repeated=is_repeated)


async def _bind(part: BatchStatement, dialect: Dialect, context: OperationContext) -> list[Bound]:
    sets: list[JsonValue] = [part.parameters] if part.rows is None else [*part.rows]
    if not sets:
        return []
    bound = await bind_many(part.statement, sets, dialect, context)
    if dialect is Dialect.MYSQL and commits_by_itself(bound[0].statement):
        raise refuse(f"MySQL commits {bound[0].statement.keyword} by itself; run it by `sql.execute`")
    return bound


async def _run(session: Session, number: int, sets: list[Bound]) -> int:
    try:
        if not sets:
            return 0
        if len(sets) > 1:
            return await session.run_many(sets)
        rows = await session.run(sets[0])
        while await rows.read(_DRAIN_ROWS):
            pass
        return rows.affected
    except (FatalError, RetryableError) as error:
        error.message = f"Statement {number}: {error.message}"
        error.args = (error.message,)
        raise
