"""What is different between two values."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final, Literal

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.steps.data.fields import are_equal, identify

MATCHED_MAX_ELEMENTS: Final = 2_000
"""Lists up to this length are searched for elements that only moved along; the search takes time that grows with the square."""

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `path` is where it is in the values, `patch_path` where it is once all changes before it are made."""

    kind: Literal["added", "removed", "changed"]
    path: Path
    patch_path: Path
    before: JsonValue = None
    after: JsonValue = None


def find_changes(before: JsonValue, after: JsonValue) -> Iterator[Change]:
    """All differences, in an order in which they can be made one after the other."""
    return _compare(before, after, (), ())


def format_pointer(path: Path) -> str:
    """The path as a JSON Pointer (RFC 6901): `/` before each name, `~` and `/` inside one as `~0` and `~1`."""
    return "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in path)


def _compare(before: JsonValue, after: JsonValue, path: Path, patch_path: Path) -> Iterator[Change]:
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _compare_objects(before, after, path, patch_path)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _compare_lists(before, after, path, patch_path)
    elif not are_equal(before, after):
        yield Change("changed", path, patch_path, before, after)


def _compare_objects(before: JsonObject, after: JsonObject, path: Path, patch_path: Path) -> Iterator[Change]:
    for name, value in before.items():
        if name not in after:
            yield Change("removed", (*path, name), (*patch_path, name), before=value)
        else:
            yield from _compare(value, after[name], (*path, name), (*patch_path, name))
    for name, value in after.items():
        if name not in before:
            yield Change("added", (*path, name), (*patch_path, name), after=value)


def _compare_lists(before: list[JsonValue], after: list[JsonValue], path: Path, patch_path: Path) -> Iterator[Change]:
    shift = 0
    """How many more elements there are by now than there were before."""
    for start, end, new_start, new_end in _find_blocks(before, after):
        both = min(end - start, new_end - new_start)
        for step in range(both):
            place, patch_place = str(start + step), str(start + step + shift)
            yield from _compare(before[start + step], after[new_start + step], (*path, place), (*patch_path, patch_place))
        for number in range(start + both, end):
            yield Change("removed", (*path, str(number)), (*patch_path, str(start + both + shift)), before=before[number])
        for number in range(new_start + both, new_end):
            yield Change("added", (*path, str(number)), (*patch_path, str(number)), after=after[number])
        shift += (new_end - new_start) - (end - start)


def _find_blocks(before: Sequence[JsonValue], after: Sequence[JsonValue]) -> Iterator[tuple[int, int, int, int]]:
    """The stretches that differ: from and to in the one list, from and to in the other."""
    old, new = [identify(item) for item in before], [identify(item) for item in after]
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    old, new = old[head : len(old) - tail], new[head : len(new) - tail]
    if not old and not new:
        return
    if max(len(old), len(new)) > MATCHED_MAX_ELEMENTS:
        yield head, head + len(old), head, head + len(new)
        return
    for tag, start, end, new_start, new_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            yield head + start, head + end, head + new_start, head + new_end
