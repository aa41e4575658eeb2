"""Where the texts of a value stand, and what dotted names of parameters mean there."""

from collections.abc import Iterator

from flowforge.kit.values import JsonValue
from flowforge.language.positions import Path


def is_below(path: Path, names: frozenset[str]) -> bool:
    """Whether the value at the path, or an object around it, has one of the dotted names; a list's index is left out of them."""
    parts = [part for part in path if isinstance(part, str)]
    return any(parts[: name.count(".") + 1] == name.split(".") for name in names)


def is_above(path: Path, names: frozenset[str]) -> bool:
    """Whether the value at the path would hold one of the dotted names inside it."""
    parts = [part for part in path if isinstance(part, str)]
    return any(name.split(".")[: len(parts)] == parts for name in names)


def list_texts(value: JsonValue, path: Path) -> Iterator[tuple[Path, str]]:
    """Every text in the value, keys left out, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from list_texts(item, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from list_texts(item, (*path, index))
