"""What the SQL operations take and give."""

from typing import Annotated, Final, Literal

import pydantic
from pydantic import Field

from flowforge.kit.units import parse_duration
from flowforge.operations import IS_LITERAL, IS_URL, MAY_SECRET, StrictModel
from flowforge.steps.durations import bound_duration
from flowforge.steps.sql.statements import STATEMENT_MAX_CHARACTERS

ROWS_MAX: Final = 100_000
STATEMENTS_MAX: Final = 1_000
SETS_MAX: Final = 100_000
_TIMEOUT_MAX_MS: Final = 86_400_000

ParameterSet = list[pydantic.JsonValue] | dict[str, pydantic.JsonValue]
SqlText = Annotated[str, IS_LITERAL]


class ConnectionParameters(StrictModel):
    """Which database."""

    database: Annotated[str, IS_URL, MAY_SECRET] = Field(
        description="`postgresql://user:password@host:5432/name`, `mysql://…`, `mariadb://…`, or `sqlite://work/path` for a file below the"
        " root `work` of FILE_ROOTS. Options after `?`: `sslmode` (`disable`, `prefer`, `require`, `verify-ca` or `verify-full`),"
        " `connect_timeout` in seconds, `application_name`; for SQLite `mode=create` makes the file if it is missing. A public server must"
        " have a trusted certificate (`verify-full`); others are encrypted if they can.",
        min_length=1,
        max_length=4_096,
    )
    authority: str | None = Field(
        default=None,
        max_length=1_000_000,
        description="The authorities, in PEM, that are trusted instead of the public ones for the server's certificate.",
    )
    decimals: Literal["text", "number"] = Field(
        default="text",
        description="How decimal numbers (NUMERIC, DECIMAL) come: as text, exactly, or as numbers, which may round.",
    )
    statement_timeout: Annotated[str, bound_duration(1, _TIMEOUT_MAX_MS)] = Field(
        default="60s", description="How long all statements of the call may take together, such as `30s`; at most a day."
    )

    @property
    def timeout_ms(self) -> int:
        return parse_duration(self.statement_timeout)


class StatementParameters(ConnectionParameters):
    """One statement and its values."""

    statement: SqlText = Field(
        description="One SQL statement. Values stand beside it, never in it: write `?` or `:name` for each. It cannot hold an expression.",
        min_length=1,
        max_length=STATEMENT_MAX_CHARACTERS,
    )
    parameters: ParameterSet | None = Field(
        default=None,
        description="The values: a list for `?`, an object for `:name`. `{$base64: …}` and a file value are bytes; an object, or"
        " `{$json: …}`, is JSON text; a list is an array in PostgreSQL and JSON text elsewhere.",
    )


class ColumnResult(StrictModel):
    """A column of the result."""

    name: str = Field(description="The name; one that comes again gets `_2`, `_3` and so on.")
    type: str | None = Field(description="The database's name of the type; null for SQLite, which does not tell.")


LIMIT_FIELD: Final = Field(
    default=10_000, ge=1, le=ROWS_MAX, description="How many rows there may be in the output; more fail the step."
)
ONCE_FIELD: Final = Field(
    default=False,
    description="Whether the step's mark is kept in the database, in the table `flowforge_marks`, in the same transaction: the effect is"
    " then made exactly once, even if FlowForge is killed between the commit and its own journal. An attempt that finds the mark runs"
    " nothing and gives the result of the first one.",
)
REPEATED_FIELD: Final = Field(
    default=False, description="Whether an earlier attempt had made the change already; only with `once`."
)
