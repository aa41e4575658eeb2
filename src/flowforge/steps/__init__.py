"""The operations that FlowForge ships. One operation is one function in one file of this package; nothing else lists it.

The operation `crypto.hash` is in `crypto/hash.py`, whose docstring is its name. Other files hold what several operations share.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from flowforge.operations import Operation, Registry
from flowforge.operations.registry import load_registry as load_with

_FOLDER: Final = Path(__file__).parent


def load_registry(extra: Iterable[Operation] = ()) -> Registry:
    """All operations: the shipped ones, those of installed packages (entry point group `flowforge.operations`), and `extra`.

    A shipped one is imported when it is asked for. A package that cannot be loaded, or an operation that is refused, is a sentence in
    `problems`, and the rest goes on.

    Raises:
        AlreadyExistsError, DefinitionError: an operation of `extra` was refused.
    """
    return load_with(dict(_list_shipped()), extra)


def _list_shipped() -> Iterator[tuple[str, str]]:
    """Name and module of each operation, by the first lines of the files: importing all of them takes a second."""
    for path in sorted(_FOLDER.glob("*/*.py")):
        name = f"{path.parent.name}.{path.stem}"
        with path.open("rb") as file:
            if file.readline().startswith(f'"""`{name}`'.encode()):
                yield name, f"{__name__}.{name}"
