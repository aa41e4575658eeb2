"""How large things may become. When a budget is hit, look for the missing noun before cutting a function in two."""

import ast
from collections.abc import Iterator

from tests.architecture.sources import Finding, Function, Source, list_functions

FILE_LINES = 500
TEST_FILE_LINES = 800
FUNCTION_LINES = 50
NESTING = 3
PARAMETERS = 8

_BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)
_INNER_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def find_budget_faults(source: Source) -> Iterator[Finding]:
    """Every budget that a file breaks."""
    limit = TEST_FILE_LINES if source.is_test else FILE_LINES
    if len(source.lines) > limit:
        yield Finding(source.name, limit, f"the file has {len(source.lines)} lines, at most {limit} are allowed")
    for name, function in list_functions(source.tree):
        for what, measured, limit in (
            ("lines", count_lines(function), FUNCTION_LINES),
            ("levels of nesting", measure_nesting(function), NESTING),
            ("parameters", count_parameters(function), PARAMETERS),
        ):
            if measured > limit:
                yield Finding(source.name, function.lineno, f"{name} has {measured} {what}, at most {limit} are allowed")


def count_lines(function: Function) -> int:
    """From `def` to the end, without decorators, docstring and inner functions (which are counted by themselves)."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    inner = [
        child
        for child in ast.walk(function)
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and child is not function
    ]
    return lines - sum((child.end_lineno or child.lineno) - child.lineno + 1 for child in inner)


def measure_nesting(parent: ast.AST) -> int:
    """The most blocks that stand inside one another; an `elif` stands beside its `if`."""
    deepest = 0
    for child in ast.iter_child_nodes(parent):
        if isinstance(child, _INNER_SCOPES):
            continue
        is_elif = isinstance(parent, ast.If) and isinstance(child, ast.If) and child in parent.orelse and len(parent.orelse) == 1
        deepest = max(deepest, measure_nesting(child) + (isinstance(child, _BLOCKS) and not is_elif))
    return deepest


def count_parameters(function: Function) -> int:
    """All that a caller may give; not `self` and `cls`."""
    signature = function.args
    every = [*signature.posonlyargs, *signature.args, *signature.kwonlyargs, signature.vararg, signature.kwarg]
    return sum(1 for parameter in every if parameter is not None and parameter.arg not in {"self", "cls"})
