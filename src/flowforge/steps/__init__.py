"""The operations that FlowForge ships. One operation is one function in one file of this package; nothing else lists it."""

from collections.abc import Iterable
from importlib import import_module
from pkgutil import walk_packages

from flowforge.operations import Operation, Registry
from flowforge.operations.registry import load_registry as load_with


def load_registry(extra: Iterable[Operation] = ()) -> Registry:
    """All operations: the shipped ones, those of installed packages (entry point group `flowforge.operations`), and `extra`.

    A package that cannot be loaded, or an operation that is refused, is a sentence in `problems`, and the rest goes on.

    Raises:
        AlreadyExistsError, DefinitionError: an operation of `extra` was refused.
    """
    shipped = (import_module(found.name) for found in walk_packages(__path__, f"{__name__}.") if not found.ispkg)
    return load_with(shipped, extra)
