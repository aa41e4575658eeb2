"""Calls an operation: parameters checked, result checked, every failure told as one of the two errors that a step knows.

On the engine's hot path: nothing here looks at annotations or builds a validator at a call.
"""

from typing import Any, Final, NoReturn, cast

import pydantic
from pydantic import BaseModel

from flowforge.kit.border import JsonRefusedError, check_json
from flowforge.kit.errors import Detail, StorageError
from flowforge.kit.limits import Limits
from flowforge.kit.masking import Masker
from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations.definition import (
    AttemptError,
    Exit,
    FatalError,
    Operation,
    OperationContext,
    OperationFunction,
    RetryableError,
)
from flowforge.operations.faults import list_faults
from flowforge.operations.masking import NO_SECRETS, mask_error, mask_value

DEFAULT_LIMITS: Final = Limits()

Outcome = tuple[str, JsonValue]
"""The port by which the step leaves, and its output."""


class InvalidParametersError(FatalError):
    """The parameters do not fit the operation's model; `faults` names each field by its dotted path."""

    def __init__(self, operation: Operation, faults: tuple[Detail, ...]) -> None:
        told = "; ".join(_tell(fault) for fault in faults[:5])
        more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
        super().__init__(
            f"The parameters do not fit {operation.name}: {told.rstrip('.')}{more}.",
            code="invalid_parameters",
            details=[_describe(fault) for fault in faults],
        )
        self.faults = faults


def _tell(fault: Detail) -> str:
    guess = "" if fault.suggestion is None else f" (did you mean {fault.suggestion}?)"
    return f"{fault.field or 'the whole'}: {fault.message}{guess}"


def _describe(fault: Detail) -> JsonObject:
    described: JsonObject = {"field": fault.field, "message": fault.message, "code": fault.code}
    return described if fault.suggestion is None else described | {"suggestion": fault.suggestion}


def validate_parameters(operation: Operation, value: JsonValue) -> BaseModel:
    """The parameters as the operation's model.

    Raises:
        InvalidParametersError: with all faults at once; none of them repeats the value, which may be a secret.
    """
    try:
        return operation.parameters.__pydantic_validator__.validate_python(value)
    except pydantic.ValidationError as error:
        raise InvalidParametersError(operation, list_faults(error, value, operation.parameters_schema)) from None


def run_pure(operation: Operation, parameters: BaseModel, limits: Limits = DEFAULT_LIMITS) -> Outcome:
    """Calls a pure operation with parameters that `validate_parameters` gave.

    Raises:
        FatalError: the operation raised it, or returned what is no JSON (`result_invalid`).
        RetryableError: the operation raised it, or anything else (`operation_failed`).
    """
    if _find_file_form(operation, parameters) is not None:
        raise FatalError(
            f"{operation.name} with a file is a step of its own; an expression can call it with a value only.",
            code="file_in_expression",
        )
    try:
        result = operation.function(parameters)
    except AttemptError:
        raise
    except Exception as error:  # noqa: BLE001 - supervisor: a step author's mistake must fail the step, not the engine
        _raise_unexpected(operation, error)
    return _read_outcome(operation, result, limits)


def call_pure(operation: Operation, value: JsonValue, limits: Limits = DEFAULT_LIMITS) -> JsonValue:
    """A pure operation as an expression function: its output for these parameters. Raises as both functions that it is made of."""
    return run_pure(operation, validate_parameters(operation, value), limits)[1]


async def run_effect(
    operation: Operation, parameters: BaseModel, context: OperationContext, limits: Limits = DEFAULT_LIMITS
) -> Outcome:
    """Calls an operation that is not pure, with parameters that `validate_parameters` gave. Secrets are masked in what comes out.

    Cancelling passes through.

    Raises:
        FatalError, RetryableError: as `run_pure`.
    """
    try:
        result = await _call(operation, parameters, context)
        port, output = _read_outcome(operation, result, limits)
    except AttemptError as error:
        mask_error(context.masker, error)
        raise
    except Exception as error:  # noqa: BLE001 - supervisor, as above
        _raise_unexpected(operation, error, context.masker)
    return port, mask_value(context.masker, output)


async def _call(operation: Operation, parameters: BaseModel, context: OperationContext) -> object:
    file_form = _find_file_form(operation, parameters)
    if file_form is not None:
        result = file_form(parameters, context)
    elif operation.is_pure:
        result = operation.function(parameters)
    else:
        result = operation.function(parameters, context)
    return await cast("Any", result) if hasattr(result, "__await__") else result


def _find_file_form(operation: Operation, parameters: BaseModel) -> OperationFunction | None:
    """The second form of a pure operation, where a file is given."""
    if operation.file_function is None:
        return None
    is_given = any(getattr(parameters, name) is not None for name in operation.file_parameters)
    return operation.file_function if is_given else None


def _raise_unexpected(operation: Operation, error: Exception, masker: Masker = NO_SECRETS) -> NoReturn:
    if isinstance(error, StorageError):
        raise RetryableError(masker.mask(error.message), code="storage_unavailable") from error
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    raise RetryableError(f"{operation.name} failed with {masker.mask(said)[:1000]}", code="operation_failed") from error


def _read_outcome(operation: Operation, result: object, limits: Limits) -> Outcome:
    port = operation.ports[0]
    if isinstance(result, Exit):
        if result.port not in operation.ports:
            _blame_author(operation, f"left by the port {result.port!r}, which it does not declare")
        port, result = result.port, result.result
    if isinstance(result, BaseModel):
        result = result.__pydantic_serializer__.to_python(result, mode="json", by_alias=True)
    elif operation.result is not None:
        _blame_author(operation, f"returned {type(result).__name__} where it declares {operation.result.__name__}")
    try:
        return port, check_json(result, limits)
    except JsonRefusedError as error:
        _blame_author(operation, f"returned what is no JSON: {error.message.rstrip('.')}")


def _blame_author(operation: Operation, what: str) -> NoReturn:
    raise FatalError(f"{operation.name} {what}; this is a mistake in the operation.", code="result_invalid")


def find_target(operation: Operation, parameters: JsonObject) -> str | None:
    """What the effects ledger shows as the effect's target, from the evaluated parameters; None where the operation names none."""
    if operation.target is None:
        return None
    try:
        return operation.target(parameters)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
