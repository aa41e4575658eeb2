"""How rows find their partners, and what becomes of a pair."""

from collections.abc import Iterable, Iterator, Sequence, Set
from typing import Final, Literal, TypeAlias

from flowforge.kit.values import JsonObject, JsonValue
from flowforge.operations import FatalError
from flowforge.steps.data.fields import count_parts, identify, name_type, read_field

Collisions: TypeAlias = Literal["suffix", "left", "right", "fail"]

RIGHT_MAX_PARTS: Final = 3_000_000
"""Values in all rows of the right side, which is held in memory."""


def find_key(row: JsonObject, fields: Sequence[str]) -> bytes | None:
    """The key of a row; None where a part of it is null or missing."""
    values = [read_field(row, field) for field in fields]
    return None if None in values else identify(values)


def require_side(item: JsonValue, index: int, side: str) -> JsonObject:
    """The item as an object.

    Raises:
        FatalError: `type_mismatch`.
    """
    if isinstance(item, dict):
        return item
    raise FatalError(
        f"{side}[{index}] is {name_type(item)}; only objects, which have fields, are joined.",
        code="type_mismatch",
        details={"index": index, "side": side},
    )


class RightSide:
    """The rows of the right side by their keys, and which of them had a partner."""

    def __init__(self, fields: Sequence[str], *, is_single: bool) -> None:
        self._fields = fields
        self._is_single = is_single
        self._by_key: dict[bytes, list[int]] = {}
        self._paired: set[bytes] = set()
        self._keys: list[bytes | None] = []
        self.rows: list[JsonObject] = []
        self.columns: dict[str, None] = {}

    def read(self, items: Iterable[JsonValue]) -> None:
        """Takes all rows.

        Raises:
            FatalError: `type_mismatch`, `join_not_unique`, `too_many_values`.
        """
        parts = 0
        for index, item in enumerate(items):
            row = require_side(item, index, "right")
            parts += 1 + count_parts(row)
            if parts > RIGHT_MAX_PARTS:
                raise FatalError(
                    f"right[{index}]: the right side has more than {RIGHT_MAX_PARTS} values, and is held in memory; put the larger list "
                    "on the left, or leave out fields with data.pick.",
                    code="too_many_values",
                )
            self._add(row, index)

    def _add(self, row: JsonObject, index: int) -> None:
        key = find_key(row, self._fields)
        self._keys.append(key)
        self.rows.append(row)
        self.columns.update(dict.fromkeys(row))
        if key is None:
            return
        same = self._by_key.setdefault(key, [])
        if same and self._is_single:
            raise make_not_unique("right", self._fields, same[0], index)
        same.append(index)

    def find(self, key: bytes | None) -> list[JsonObject]:
        """The partners of a left row."""
        if key is None or key not in self._by_key:
            return []
        self._paired.add(key)
        return [self.rows[index] for index in self._by_key[key]]

    def list_unpaired(self) -> Iterator[JsonObject]:
        """The rows that no left row asked for, in their order."""
        return (row for row, key in zip(self.rows, self._keys, strict=True) if key is None or key not in self._paired)


def make_not_unique(side: str, fields: Sequence[str], first: int, second: int) -> FatalError:
    """The error for a key that is there twice."""
    return FatalError(
        f"{side}[{first}] and {side}[{second}] have the same {', '.join(fields)}; `expect` allows each key once on this side.",
        code="join_not_unique",
        details={"side": side, "indexes": [first, second]},
    )


class Columns:
    """Makes one row out of two: under which names the fields of both sides appear in it."""

    def __init__(
        self, left: Iterable[str], right: Iterable[str], shared: Set[str], collisions: Collisions, suffixes: tuple[str, str]
    ) -> None:
        both = set(left) & set(right) - shared
        if both and collisions == "fail":
            raise _make_collision(min(both))
        left_suffix, right_suffix = suffixes if collisions == "suffix" else ("", "")
        self._left = {name: name + left_suffix if name in both else name for name in left}
        self._right = {name: name + right_suffix if name in both else name for name in right}
        self._does_right_win = collisions == "right"
        self._shared = shared
        self._refuse_doubles(shared if collisions == "suffix" else shared | both)

    def _refuse_doubles(self, may_meet: Set[str]) -> None:
        taken: set[str] = set()
        names = [*self._left.values(), *(new for name, new in self._right.items() if name not in may_meet)]
        for name in names:
            if name in taken:
                raise _make_collision(name)
            taken.add(name)

    def merge(self, left: JsonObject | None, right: JsonObject | None) -> JsonObject:
        """The joined row; None is a row that is not there, whose fields are null."""
        if left is None:
            row: JsonObject = dict.fromkeys(self._left.values())
        else:
            row = {self._left[name]: value for name, value in left.items()}
        if right is None:
            return _fill(row, self._right.values())
        for name, value in right.items():
            new = self._right[name]
            if left is None or new not in row or (self._does_right_win and name not in self._shared):
                row[new] = value
        return row


def _fill(row: JsonObject, names: Iterable[str]) -> JsonObject:
    for name in names:
        row.setdefault(name, None)
    return row


def _make_collision(name: str) -> FatalError:
    return FatalError(
        f"A joined row would have two fields {name}; rename one, or choose what happens by `collisions` and the suffixes.",
        code="name_collision",
        details=[name],
    )


class LeftSide:
    """The rows of the left side, each with its partners."""

    def __init__(self, fields: Sequence[str], right: RightSide, *, is_single: bool) -> None:
        self._fields = fields
        self._right = right
        self._is_single = is_single

    def match(self, items: Iterable[JsonValue]) -> Iterator[tuple[JsonObject, list[JsonObject]]]:
        """Each row with its partners.

        Raises:
            FatalError: `type_mismatch`, `join_not_unique`.
        """
        seen: dict[bytes, int] = {}
        for index, item in enumerate(items):
            row = require_side(item, index, "left")
            key = find_key(row, self._fields)
            if self._is_single and key is not None and seen.setdefault(key, index) != index:
                raise make_not_unique("left", self._fields, seen[key], index)
            yield row, self._right.find(key)


def list_columns(items: Iterable[JsonValue], side: str) -> list[str]:
    """The names of the fields of all rows, in the order in which they first appear."""
    columns: dict[str, None] = {}
    for index, item in enumerate(items):
        columns.update(dict.fromkeys(require_side(item, index, side)))
    return [*columns]
