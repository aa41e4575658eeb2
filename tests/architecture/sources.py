"""The Python files of this repository, parsed once, for the checks in this folder."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
GENERATED = ("migrations/versions/",)

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Source:
    """One file. `name` is its path in the repository, with slashes."""

    name: str
    text: str
    tree: ast.Module

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @property
    def is_package(self) -> bool:
        """Whether it is part of what is shipped."""
        return self.name.startswith("src/flowforge/")

    @property
    def is_test(self) -> bool:
        return self.name.startswith("tests/")


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check has to say: where, and a sentence."""

    name: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.name}:{self.line}: {self.message}"


def parse_source(name: str, text: str) -> Source:
    return Source(name, text, ast.parse(text))


@cache
def list_sources() -> tuple[Source, ...]:
    """Every Python file of the repository that people wrote."""
    files = [file for folder in ("src", "tests", "bench", "scripts", "examples") for file in (REPOSITORY / folder).rglob("*.py")]
    names = sorted((file.relative_to(REPOSITORY).as_posix(), file) for file in files if "__pycache__" not in file.parts)
    return tuple(
        parse_source(name, file.read_text("utf-8")) for name, file in names if not any(part in name for part in GENERATED)
    )


def list_functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function]]:
    """Every function with its dotted name inside the file, methods and inner ones included."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + child.name, child
            yield from list_functions(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.ClassDef):
            yield from list_functions(child, f"{prefix}{child.name}.")
        else:
            yield from list_functions(child, prefix)


def dotted_name(expression: ast.AST) -> str:
    """`datetime.now` of the expression `datetime.now`; "" of anything that is no chain of names."""
    if isinstance(expression, ast.Name):
        return expression.id
    if isinstance(expression, ast.Attribute):
        head = dotted_name(expression.value)
        return f"{head}.{expression.attr}" if head else ""
    return ""
