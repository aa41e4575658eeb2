"""`data.jsonata`."""

from typing import Annotated, Final

import pydantic
from pydantic import Field

from flowforge.kit.values import JsonValue
from flowforge.operations import (
    IS_LITERAL,
    ErrorCode,
    Example,
    FatalError,
    Nature,
    OperationContext,
    RetryableError,
    StrictModel,
    operation,
)

SANDBOX_ERRORS: Final = (
    ErrorCode("jsonata_invalid", "The query is no JSONata, or cannot be applied to the data; details have line and column."),
    ErrorCode("script_src", "The query is too long."),
    ErrorCode("script_timeout", "The query took too long."),
    ErrorCode("script_memory", "The query needed too much memory."),
    ErrorCode("script_stack", "The query calls itself too deeply."),
    ErrorCode("script_result", "What the query gives is no JSON, such as a function."),
    ErrorCode("script_protocol", "The process of the query did not answer as it should."),
    ErrorCode("step_in_max", "The data are too large."),
    ErrorCode("step_out_max", "What the query gives is too large."),
    ErrorCode("json_depth", "What the query gives is nested too deeply."),
    ErrorCode("encoding", "A text holds half of a surrogate pair."),
    ErrorCode("not_installed", "This process cannot run queries."),
    ErrorCode("script_crashed", "The process of the query died.", retryable=True),
)


class JsonataParameters(StrictModel):
    """What to ask of which data."""

    data: pydantic.JsonValue = Field(description="The value that is asked, `$` in the query.")
    query: Annotated[str, IS_LITERAL] = Field(
        min_length=1, max_length=65_536, description="The query. It is code: hand values that it needs over inside `data`."
    )


@operation(
    "data.jsonata",
    title="Transform with JSONata",
    category="data",
    icon="braces",
    nature=Nature.EFFECT,
    errors=SANDBOX_ERRORS,
    examples=(
        Example(
            "Totals by customer",
            {
                "data": {"orders": [{"who": "Ada", "total": 3}, {"who": "Bo", "total": 4}, {"who": "Ada", "total": 5}]},
                "query": "orders{who: $sum(total)}",
            },
            {"Ada": 8, "Bo": 4},
        ),
    ),
)
async def ask_jsonata(parameters: JsonataParameters, context: OperationContext) -> JsonValue:
    """Makes a value out of data by JSONata, in a process that reaches nothing, bounded in time and memory; null if nothing is found."""
    # The pool brings its processes' machinery, for those who run code only.
    from flowforge.kit.sandbox.errors import SandboxError
    from flowforge.kit.sandbox.pool import SandboxPool

    pool = context.service(SandboxPool)
    try:
        return await pool.evaluate_jsonata(parameters.query, parameters.data)
    except SandboxError as error:
        details: JsonValue = None if error.line is None else {"line": error.line, "column": error.column}
        if error.is_retryable:
            raise RetryableError(error.message, code=error.fault.value, details=details) from None
        raise FatalError(error.message, code=error.fault.value, details=details) from None
