"""How the failure of an operation is told to who called it alone."""

from typing import ClassVar, Final

from flowforge.kit.errors import DependencyError, Detail, FlowForgeError, NotFoundError, ValidationError
from flowforge.operations.calling import InvalidParametersError
from flowforge.operations.definition import AttemptError, Operation, RetryableError

_THIRD_PARTY: Final = ("http_", "connection_", "smtp_", "imap_", "sql_connection")


class OperationNotFoundError(NotFoundError):
    """No operation of that name is installed here."""

    def __init__(self, name: str) -> None:
        message = f"There is no operation {name[:80]!r} here; GET /operations lists them."
        super().__init__(message, [Detail("name", message, "operation_unknown")])


class OperationFailedError(ValidationError):
    """It failed by what it was given (422). The detail's code is the one that a step shows."""

    code: ClassVar[str] = "OPERATION_FAILED"

    def __init__(self, operation: Operation, fault: AttemptError) -> None:
        super().__init__(f"{operation.name} failed: {fault.message}", [Detail("", fault.message, fault.code)])


class ThirdPartyFailedError(DependencyError):
    """Another system failed it (424); a retry may help."""

    def __init__(self, operation: Operation, fault: AttemptError) -> None:
        super().__init__(f"{operation.name} failed: {fault.message}", [Detail("", fault.message, fault.code)])


def explain_failure(operation: Operation, fault: AttemptError) -> FlowForgeError:
    """The error of a surface for the error of a step."""
    if isinstance(fault, InvalidParametersError):
        return ValidationError(fault.message, fault.faults)
    if isinstance(fault, RetryableError) or fault.code.startswith(_THIRD_PARTY):
        return ThirdPartyFailedError(operation, fault)
    return OperationFailedError(operation, fault)
