"""What can go wrong with a script."""

from enum import StrEnum

from flowforge.kit.errors import DependencyError


class SandboxFault(StrEnum):
    """Error codes of scripts; a step's error carries the same."""

    SYNTAX = "script_syntax"
    SOURCE = "script_src"
    TIMEOUT = "script_timeout"
    MEMORY = "script_memory"
    STACK = "script_stack"
    ERROR = "script_error"
    UNSETTLED = "script_unsettled"
    RESULT = "script_result"
    CRASHED = "script_crashed"
    PROTOCOL = "script_protocol"
    NOT_INSTALLED = "not_installed"
    DEPTH = "json_depth"
    ENCODING = "encoding"
    INPUT_TOO_LARGE = "step_in_max"
    OUTPUT_TOO_LARGE = "step_out_max"
    JSONATA = "jsonata_invalid"


class SandboxError(DependencyError):
    """A script did not give a result. `line` and `column` are places in its source, counted from 1, where they are known."""

    def __init__(self, fault: SandboxFault, message: str, *, line: int | None = None, column: int | None = None) -> None:
        super().__init__(message)
        self.fault = fault
        self.line = line
        self.column = column

    @property
    def is_retryable(self) -> bool:
        """Whether the same script may fare better later: only where its process died for no reason of its own making."""
        return self.fault is SandboxFault.CRASHED


class HostFault(Exception):
    """A function that was handed to the script failed. Raised again by the pool where the script did not catch it.

    `code` and `message` are what the script sees; `cause` is the error itself.
    """

    def __init__(self, code: str, message: str, cause: Exception) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.cause = cause
