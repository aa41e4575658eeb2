"""How the compiler asks for a look at code in other languages (scripts), which it does not understand itself."""

from typing import NamedTuple, Protocol

from flowforge.operations.definition import Operation


class CodeFault(NamedTuple):
    """What is wrong with a piece of code: a code of the table in `codes`, and a sentence that says where."""

    code: str
    message: str


class CodeCheck(Protocol):
    """Looks at a text that stands in a parameter for code. Called for each one that a document holds; must not run it."""

    def __call__(self, operation: Operation, parameter: str, text: str) -> CodeFault | None: ...


def accept_code(operation: Operation, parameter: str, text: str) -> CodeFault | None:
    """For where nobody can look at code: its faults show when it runs."""
    del operation, parameter, text
