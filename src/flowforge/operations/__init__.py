"""What an operation is, and the registry of all that are installed. No I/O.

An author of operations needs only the names listed here.
"""

from flowforge.operations.context import AttemptContext
from flowforge.operations.declaration import DefinitionError, operation
from flowforge.operations.definition import (
    AttemptError,
    Cache,
    ErrorCode,
    Example,
    Exit,
    FatalError,
    Nature,
    Operation,
    OperationContext,
    RetryableError,
)
from flowforge.operations.middleware import Middleware, OperationCall
from flowforge.operations.models import IS_FILE, IS_LITERAL, IS_URL, MAY_SECRET, FileInput, StrictModel, require_one
from flowforge.operations.registry import Registry

__all__ = [
    "IS_FILE",
    "IS_LITERAL",
    "IS_URL",
    "MAY_SECRET",
    "AttemptContext",
    "AttemptError",
    "Cache",
    "DefinitionError",
    "ErrorCode",
    "Example",
    "Exit",
    "FatalError",
    "FileInput",
    "Middleware",
    "Nature",
    "Operation",
    "OperationCall",
    "OperationContext",
    "Registry",
    "RetryableError",
    "StrictModel",
    "operation",
    "require_one",
]
