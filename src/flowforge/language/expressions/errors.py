"""The two ways an expression can be wrong: when it is checked, and when it is evaluated."""

from typing import Final

UNPLACED: Final = -1
"""The offset of an error that a function raised; whoever called the function knows the place."""


class ExpressionFault(Exception):
    """The source is wrong. `offset` counts characters from the start of the expression; `code` as in docs/errors.md."""

    def __init__(self, code: str, message: str, offset: int = 0, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.offset = offset
        self.suggestion = suggestion


class ExpressionError(Exception):
    """Evaluating failed on this data.

    `path` is the full path that was read (`steps.fetch.output.body`), "" if none. `field` is the dotted place of the expression inside
    its template (`headers.accept`), "" for the whole. The message names types and paths, never values.
    """

    def __init__(self, code: str, message: str, *, path: str = "", offset: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.path = path
        self.offset = offset
        self.field = ""

    def place(self, offset: int) -> None:
        """Says where it happened, unless that is known."""
        if self.offset == UNPLACED:
            self.offset = offset


def problem(code: str, message: str, path: str = "") -> ExpressionError:
    """An error whose place the caller adds."""
    return ExpressionError(code, message, path=path, offset=UNPLACED)
