"""An error code that an operation's code can give stands in its list of errors, from which the page of codes is made.

It is read from the source: from the operation's functions, all that they name in `flowforge.steps` is followed, and of each `code="…"`
the code must be declared, or be one that the engine gives for every step. What is computed (`code=error.fault.value`) is not seen.
"""

import ast
import inspect
from collections.abc import Iterator, Mapping
from functools import cache

import pytest
from scripts.errors_page import STEP_ERRORS
from tests.support.modules import parse_module

from flowforge.operations import Operation
from flowforge.steps import load_registry

REGISTRY = load_registry()
PACKAGE = "flowforge.steps"
NOT_REACHED: Mapping[str, frozenset[str]] = {
    # The parameters' model has a method that only the other direction calls.
    "crypto.encrypt": frozenset({"decryption_failed"}),
    # No part of its form is given in base64.
    "message.telegram": frozenset({"base64_invalid"}),
    # Answers of a store that fit no request of theirs: 404 for what names no object, 412 without a condition, 416 without a range.
    "object.copy": frozenset({"range_invalid"}),
    "object.delete": frozenset({"object_exists", "object_missing", "range_invalid"}),
    "object.get": frozenset({"object_exists"}),
    "object.list": frozenset({"object_exists", "object_missing", "range_invalid"}),
    "object.put": frozenset({"object_missing", "range_invalid"}),
    # Here 404 is a result.
    "object.stat": frozenset({"object_exists", "object_missing", "range_invalid"}),
}
"""Codes that the source seems to give and that cannot come, by operation."""

Symbol = tuple[str, str]
"""A module and a name at its top level."""


@cache
def find_definitions(module: str) -> dict[str, ast.AST]:
    """Functions, classes and values at the top level, by name."""
    found: dict[str, ast.AST] = {}
    for node in parse_module(module).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign):
            found.update({target.id: node for target in node.targets if isinstance(target, ast.Name)})
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = node
    return found


@cache
def find_imports(module: str) -> dict[str, Symbol]:
    """What each imported name of our package stands for, also those that are imported late."""
    return {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(parse_module(module))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE}.")
        for alias in node.names
        if node.module is not None
    }


def follow(symbol: Symbol) -> Iterator[Symbol]:
    """The symbols that the code of one names. An operation's own declaration (its decorators) is left out."""
    module, name = symbol
    definitions, imports = find_definitions(module), find_imports(module)
    for part in list_code(definitions[name]):
        for node in ast.walk(part):
            if not isinstance(node, ast.Name):
                continue
            if node.id in imports and imports[node.id][1] in find_definitions(imports[node.id][0]):
                yield imports[node.id]
            elif node.id in definitions and node.id != name:
                yield module, node.id


def list_code(node: ast.AST) -> list[ast.AST]:
    return [*node.body, node.args] if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else [node]


def list_symbols(operation: Operation) -> list[Symbol]:
    """All that the operation's functions can come to, each once."""
    functions = [function for function in (operation.function, operation.file_function) if function is not None]
    found = [(function.__module__, function.__name__) for function in map(inspect.unwrap, functions)]
    for symbol in found:
        found.extend(sorted(set(follow(symbol)) - set(found)))
    return found


def list_codes(symbol: Symbol) -> Iterator[str]:
    parts = list_code(find_definitions(symbol[0])[symbol[1]])
    calls = (node for part in parts for node in ast.walk(part) if isinstance(node, ast.Call))
    for keyword in (keyword for call in calls for keyword in call.keywords):
        if keyword.arg == "code" and isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, str):
            yield keyword.value.value


@pytest.mark.parametrize("operation", [pytest.param(operation, id=operation.name) for operation in REGISTRY])
def test_each_code_that_can_come_is_declared(operation: Operation):
    known = {error.code for error in operation.errors} | set(STEP_ERRORS) | NOT_REACHED.get(operation.name, frozenset())
    missing = {(code, *symbol) for symbol in list_symbols(operation) for code in list_codes(symbol) if code not in known}
    assert missing == set()


def test_exceptions_are_still_needed():
    for name, codes in NOT_REACHED.items():
        operation = REGISTRY.get(name)
        assert codes <= {code for symbol in list_symbols(operation) for code in list_codes(symbol)}, name
        assert codes.isdisjoint({error.code for error in operation.errors}), name


def test_the_source_is_followed():
    """The counter-check: codes are found in the operation's own file, and behind an import."""
    codes = {code for symbol in list_symbols(REGISTRY.get("email.send")) for code in list_codes(symbol)}
    assert {"base64_invalid", "mail_too_large", "file_invalid"} <= codes
