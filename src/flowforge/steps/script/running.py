"""What both languages share: the parameters, the errors, and the way into the sandbox."""

from typing import Annotated, Final, Literal

import pydantic
from pydantic import Field

from flowforge.kit.sandbox.errors import HostFault, SandboxError
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import (
    IS_LITERAL,
    MAY_SECRET,
    AttemptError,
    ErrorCode,
    FatalError,
    OperationContext,
    RetryableError,
    StrictModel,
)
from flowforge.steps.http.request import request

_RESERVED_FIELDS: Final = frozenset({"self", "level", "message"})
"""Names that a line of the log has already; a field of such a name gets an underscore behind it."""

_SCRIPT_ERRORS: Final = (
    ErrorCode("script_syntax", "The source is not in the language; the message has line and column."),
    ErrorCode("script_src", "The source is longer than LIMIT_SCRIPT_SRC allows."),
    ErrorCode("script_error", "The script threw an error that it did not catch; the message has line and column."),
    ErrorCode(
        "script_timeout", "The script computed longer than LIMIT_SCRIPT_CPU, or took longer than LIMIT_SCRIPT_WALL in all."
    ),
    ErrorCode("script_memory", "The script needs more memory than LIMIT_SCRIPT_MEM allows."),
    ErrorCode("script_stack", "The script calls itself too deeply."),
    ErrorCode("script_unsettled", "The script waits for a promise that nothing will settle."),
    ErrorCode("script_result", "The result is no JSON: a function, a symbol, NaN, a Map, an object that holds itself."),
    ErrorCode("script_calls", "The script makes more than 100 calls over HTTP."),
    ErrorCode("script_crashed", "The process of the script ended before the script did.", retryable=True),
    ErrorCode("script_protocol", "The process of the script said what no script can say; it was ended."),
    ErrorCode("not_installed", "Scripts in this language need a package that is not installed."),
    ErrorCode("json_depth", "The result is nested more deeply than LIMIT_JSON_DEPTH allows."),
    ErrorCode("encoding", "The result holds half of a surrogate pair."),
    ErrorCode("step_in_max", "The input is larger than LIMIT_STEP_IN_MAX allows."),
    ErrorCode("step_out_max", "The result is larger than LIMIT_STEP_OUT_MAX allows."),
)
_OWN_CODES: Final = frozenset(error.code for error in _SCRIPT_ERRORS)
SCRIPT_ERRORS: Final = (*_SCRIPT_ERRORS, *(error for error in request.errors if error.code not in _OWN_CODES))
"""A failed call over HTTP that the script does not catch fails the step as it would have failed http.request."""


class ScriptParameters(StrictModel):
    """Code, and the value that it works on."""

    source: Annotated[str, IS_LITERAL] = Field(
        description="The code. It holds no expressions: give values in `input`.",
    )
    input: Annotated[pydantic.JsonValue, MAY_SECRET] = Field(
        default=None, description="Any value; the script finds it under the name `input`."
    )


async def run_script(
    language: Literal["javascript", "python"], parameters: ScriptParameters, context: OperationContext
) -> JsonValue:
    """The script's result.

    Raises:
        FatalError, RetryableError: with one of `SCRIPT_ERRORS`.
    """
    # Start-up cost: the sandbox takes 10 ms to import, and every process loads all operations.
    from flowforge.kit.sandbox.pool import SandboxPool, Script
    from flowforge.steps.script.calls import HttpCalls

    script = Script(
        language=language,
        source=parameters.source,
        input=parameters.input,
        context={
            "run_id": context.run_id,
            "step": context.step,
            "attempt": context.attempt,
            "idempotency_key": context.idempotency_key,
        },
    )

    def write_log(level: str, message: str, fields: JsonObject) -> None:
        named = {f"{name}_" if name in _RESERVED_FIELDS else name: value for name, value in fields.items()}
        context.log(level, message, **named)

    try:
        return await context.service(SandboxPool).run(script, HttpCalls(context), write_log)
    except SandboxError as error:
        raise _explain(error) from error
    except HostFault as fault:
        raise (fault.cause if isinstance(fault.cause, AttemptError) else _explain_calls(fault)) from fault


def _explain(error: SandboxError) -> FatalError | RetryableError:
    place: JsonValue = None if error.line is None else {"line": error.line, "column": error.column}
    if error.is_retryable:
        return RetryableError(error.message, code=error.fault.value, details=place)
    return FatalError(error.message, code=error.fault.value, details=place)


def _explain_calls(fault: HostFault) -> FatalError:
    return FatalError(fault.message, code=fault.code)
