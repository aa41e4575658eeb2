"""What differs between two documents, by meaning: steps by their id, whatever their place in the list or in the text."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.language.faults import format_path
from flowforge.language.positions import Path

_STEP_LISTS = ("steps", "on_failure", "finally", "triggers")


class Change(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    MOVED = "moved"


@dataclass(frozen=True, slots=True)
class Difference:
    """`field` names steps by their id (`steps.fetch.with.url`). `before` is None for what was added, `after` for what was removed.

    `moved`: the step stands at another place of its list, `before` and `after` are the steps above it ("" for none).
    """

    change: Change
    field: str
    before: JsonValue
    after: JsonValue


def diff_documents(a: JsonObject, b: JsonObject) -> tuple[Difference, ...]:
    """How `b` differs from `a`, in the order of `a`, with what is new in `b` behind."""
    return tuple(_diff_objects(a, b, ()))


def _diff_objects(a: JsonObject, b: JsonObject, path: Path) -> Iterator[Difference]:
    for name in [*a, *(name for name in b if name not in a)]:
        inner = (*path, name)
        if name not in b:
            yield Difference(Change.REMOVED, format_path(inner), a[name], None)
        elif name not in a:
            yield Difference(Change.ADDED, format_path(inner), None, b[name])
        else:
            yield from _diff_values(a[name], b[name], inner)


def _diff_values(a: JsonValue, b: JsonValue, path: Path) -> Iterator[Difference]:
    if isinstance(a, dict) and isinstance(b, dict):
        yield from _diff_objects(a, b, path)
        if _is_case_list(path) and list(a) != list(b) and set(a) == set(b):
            yield Difference(Change.MOVED, format_path(path), list(a), list(b))
        return
    if path[-1] in _STEP_LISTS and isinstance(a, list) and isinstance(b, list):
        before, after = _name_items(a), _name_items(b)
        if before is not None and after is not None:
            yield from _diff_steps(before, after, path)
            return
    if not _is_equal(a, b):
        yield Difference(Change.CHANGED, format_path(path), a, b)


def _is_case_list(path: Path) -> bool:
    return path[-2:] == ("with", "cases")


def _is_equal(a: JsonValue, b: JsonValue) -> bool:
    """Equal as JSON: `true` is not 1."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_is_equal(left, right) for left, right in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_is_equal(value, b[name]) for name, value in a.items())
    return isinstance(a, bool) == isinstance(b, bool) and a == b


def _name_items(items: list[JsonValue]) -> dict[str, JsonObject] | None:
    """The steps by id, None where an id is missing or stands twice."""
    named: dict[str, JsonObject] = {}
    for item in items:
        name = item.get("id") if isinstance(item, dict) else None
        if not isinstance(name, str) or name in named or not isinstance(item, dict):
            return None
        named[name] = item
    return named


def _diff_steps(a: dict[str, JsonObject], b: dict[str, JsonObject], path: Path) -> Iterator[Difference]:
    yield from _diff_objects(dict(a), dict(b), path)
    kept_before = [name for name in a if name in b]
    kept_after = [name for name in b if name in a]
    above_before = dict(zip(kept_before, ["", *kept_before], strict=False))
    above_after = dict(zip(kept_after, ["", *kept_after], strict=False))
    blocks = SequenceMatcher(None, kept_before, kept_after, autojunk=False).get_matching_blocks()
    in_order = {name for block in blocks for name in kept_before[block.a : block.a + block.size]}
    for name in kept_after:
        if name not in in_order:
            yield Difference(Change.MOVED, format_path((*path, name)), above_before[name], above_after[name])
