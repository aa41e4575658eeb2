"""What an operation is made of: its module, and the modules of its own package that it imports."""

import ast
import inspect
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from flowforge.operations import Operation


@cache
def parse_module(module: str) -> ast.Module:
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return ast.parse(Path(spec.origin).read_text(encoding="utf-8"))


@cache
def list_imports(module: str, package: str) -> frozenset[str]:
    """The modules below the package that the module imports, also inside of functions."""
    return frozenset(_find_imports(module, package))


def _find_imports(module: str, package: str) -> Iterator[str]:
    for node in ast.walk(parse_module(module)):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if name.startswith(f"{package}.") and find_spec(name.rpartition(".")[0]) and _is_module(name):
                yield name


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def list_modules(operation: Operation, package: str = "flowforge.steps") -> list[str]:
    """The operation's module and all below the package that it imports, itself or through others, each once."""
    module = inspect.getmodule(inspect.unwrap(operation.function))
    assert module is not None
    found = [module.__name__]
    for current in found:
        found.extend(sorted(list_imports(current, package) - set(found)))
    return found


def list_names(module: str) -> set[str]:
    """All names that the module's code uses."""
    return {node.id for node in ast.walk(parse_module(module)) if isinstance(node, ast.Name)}
