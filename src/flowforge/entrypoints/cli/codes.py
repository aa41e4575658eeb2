"""Exit codes: what a script may rely on."""

from enum import IntEnum
from typing import Final


class ExitCode(IntEnum):
    SUCCESS = 0
    FAILED = 1
    """The run failed, was cancelled or timed out, or a check did not pass."""
    INVALID = 2
    """Invalid input or usage."""
    WAITING = 3
    """The run waits for a person, a signal, or for a time beyond `--patience`."""
    NOT_FOUND = 4
    NOT_PERMITTED = 5
    CONFLICT = 6
    UNREACHABLE = 7
    """The server or the database cannot be reached or used."""
    BUG = 70
    """A mistake of ours."""
    INTERRUPTED = 130


_WAITING: Final = ("waiting", "paused", "queued")


def exit_code_of_status(status: str) -> ExitCode:
    """What a run's status means for the command that ran it."""
    if status == "completed":
        return ExitCode.SUCCESS
    return ExitCode.WAITING if status in _WAITING else ExitCode.FAILED
