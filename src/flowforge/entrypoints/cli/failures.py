"""From an exception to an exit code and a sentence. The one place that knows how the error tree maps."""

import traceback
from pathlib import Path
from typing import Final

from flowforge.entrypoints.cli.codes import ExitCode
from flowforge.kit.errors import (
    ConflictError,
    DependencyError,
    Detail,
    FlowForgeError,
    InvariantError,
    NotFoundError,
    NotPermittedError,
    RequestError,
)
from flowforge.kit.values import JsonObject

LOG_NAME: Final = "cli.log"

_CODES: Final[tuple[tuple[type[FlowForgeError], ExitCode], ...]] = (
    (NotFoundError, ExitCode.NOT_FOUND),
    (NotPermittedError, ExitCode.NOT_PERMITTED),
    (ConflictError, ExitCode.CONFLICT),
    (RequestError, ExitCode.INVALID),
    (InvariantError, ExitCode.BUG),
    (DependencyError, ExitCode.UNREACHABLE),
)


class UsageError(RequestError):
    """The command was called in a way that it does not understand. `hint` names the help that shows how."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class CommandFailedError(Exception):
    """The command did what it was asked, and has told so; only its exit code is left to say."""

    def __init__(self, exit_code: ExitCode) -> None:
        super().__init__(exit_code.name)
        self.exit_code = exit_code


def exit_code_of(error: FlowForgeError) -> ExitCode:
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    return ExitCode.BUG


def describe_detail(detail: Detail) -> JsonObject:
    """A fault as every surface shows it: `line`, `column` and `suggestion` only where they are known."""
    described: JsonObject = {"field": detail.field, "message": detail.message, "code": detail.code}
    optional: JsonObject = {"line": detail.line, "column": detail.column, "suggestion": detail.suggestion}
    return described | {name: value for name, value in optional.items() if value is not None}


def find_request_id(error: FlowForgeError) -> str | None:
    """The id under which a server knows the request that failed; None where none was asked."""
    found: object = getattr(error, "request_id", None)
    return found if isinstance(found, str) and found else None


def describe_error(error: FlowForgeError, request_id: str) -> JsonObject:
    """The error object of api.md: what stderr gets in JSON."""
    return {
        "error": {
            "code": error.code,
            "message": error.message,
            "details": [describe_detail(detail) for detail in error.details],
            "requestId": request_id,
        }
    }


def format_error(error: FlowForgeError) -> list[str]:
    """Lines for a person: the sentence, then each fault that says more."""
    lines = [error.message]
    lines.extend(f"  {format_detail(detail)}" for detail in error.details if detail.message != error.message)
    if isinstance(error, UsageError) and error.hint:
        lines.append(error.hint)
    return lines


def format_detail(detail: Detail) -> str:
    place = "" if detail.line is None else f"{detail.line}:{detail.column or 1} "
    field = f"{detail.field}: " if detail.field else ""
    guess = "" if detail.suggestion is None else f" Did you mean {detail.suggestion}?"
    return f"{place}{field}{detail.message} ({detail.code}){guess}"


def record_bug(error: BaseException, logs: Path, request_id: str) -> InvariantError:
    """Writes the stack trace to the data folder's logs, where that exists, and gives the sentence for the person."""
    told = f"Something went wrong inside FlowForge ({type(error).__name__}); this is our mistake"
    trace = "".join(traceback.format_exception(error))
    try:
        with (logs / LOG_NAME).open("a", encoding="utf-8") as file:
            file.write(f"{request_id}\n{trace}\n")
    except OSError:
        return InvariantError(f"{told}, and its details could not be written to {logs}: please report what you did.")
    return InvariantError(f"{told}: please report what {logs / LOG_NAME} says under {request_id}.")
