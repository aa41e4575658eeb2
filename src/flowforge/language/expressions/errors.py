"""The two ways an expression can be wrong: when it is checked, and when it is evaluated."""


class ExpressionFault(Exception):
    """The source is wrong. `offset` counts characters from the start of the expression; `code` as in docs/errors.md."""

    def __init__(self, code: str, message: str, offset: int = 0, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.offset = offset
        self.suggestion = suggestion


class ExpressionError(Exception):
    """Evaluating failed on this data. `path` is the full path that was read (`steps.fetch.output.body`), "" if none."""

    def __init__(self, code: str, message: str, *, path: str = "", offset: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.path = path
        self.offset = offset
