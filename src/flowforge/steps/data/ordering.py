"""The order of items: by several fields, stable, in memory or on disk."""

import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import merge, nsmallest
from operator import itemgetter
from typing import IO, Annotated, Any, Final, Literal, TypeAlias

from pydantic import Field, model_validator

from flowforge.kit.border import decode, encode
from flowforge.kit.values import JsonValue
from flowforge.operations import FatalError, RetryableError, StrictModel, require_one
from flowforge.steps.data.conditions import name_place
from flowforge.steps.data.fields import name_type, read_field
from flowforge.steps.data.item_expressions import ItemEvaluator, ItemExpression, ItemFunction

RUN_MAX_ITEMS: Final = 50_000
RUN_MAX_BYTES: Final = 32 * 2**20
"""What is sorted in memory at once; more goes to temporary files, each of them in order, which are then merged."""
MERGED_RUNS_MAX: Final = 64
"""Temporary files that are merged, and open, at once."""
_DIGITS: Final = re.compile(r"([0-9]+)")
_NULLS_FIRST: Final = (0,)
_NULLS_LAST: Final = (2,)


class SortKey(StrictModel):
    """By what to order, and in which direction."""

    field: str | None = Field(default=None, description="The field, by a dotted path; empty for the item itself.")
    expression: ItemExpression | None = Field(
        default=None, description="In place of `field`: an expression over `item`, `index` and `values`, without `${{ }}`."
    )
    order: Literal["ascending", "descending"] = Field(default="ascending", description="The direction.")
    nulls: Literal["first", "last"] = Field(
        default="last", description="Where items stand whose field is null or missing, whatever the direction."
    )
    compare: Literal["value", "ignore_case", "natural", "number", "time"] = Field(
        default="value",
        description="How texts are ordered: `value` by their characters (Unicode code points), `ignore_case`, `natural` (`file2` before "
        "`file10`, without regard to case), `number` (texts that are numbers, such as `12.50`) or `time` (RFC 3339, whatever the zone).",
    )

    @model_validator(mode="after")
    def _check_source(self) -> "SortKey":
        require_one(self, "field", "expression")
        return self


SortKeys = Annotated[list[SortKey], Field(min_length=1, max_length=20)]


class _Descending:
    """Turns an order round; equal values stay equal, so that a sort stays stable."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: "_Descending") -> bool:
        return other.value < self.value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Descending) and self.value == other.value

    def __hash__(self) -> int:
        return hash(self.value)


Place: TypeAlias = tuple[Any, ...]
"""Where an item belongs: places compare as the items are ordered."""


class Order:
    """Gives the place of each item. All values of one key must be of one type: numbers, texts or booleans."""

    def __init__(self, keys: Sequence[SortKey], evaluator: ItemEvaluator) -> None:
        self._keys = [_Key(key, number, evaluator) for number, key in enumerate(keys)]

    def find_place(self, item: JsonValue, index: int) -> Place:
        """The item's place.

        Raises:
            FatalError: `type_mismatch`, with item and field.
        """
        return tuple(key.find_place(item, index) for key in self._keys)


class _Key:
    """One key, with the type that its values had so far."""

    def __init__(self, key: SortKey, number: int, evaluator: ItemEvaluator) -> None:
        self._name = f"by[{number}].expression" if key.expression is not None else key.field or ""
        self._is_expression = key.expression is not None
        self._read = self._make_reader(key, evaluator)
        self._is_descending = key.order == "descending"
        self._null_place = _NULLS_FIRST if key.nulls == "first" else _NULLS_LAST
        self._interpret = _INTERPRETERS[key.compare]
        self._type: str | None = None

    def _make_reader(self, key: SortKey, evaluator: ItemEvaluator) -> ItemFunction:
        if key.expression is not None:
            return evaluator.prepare(key.expression, self._name)
        path = key.field or ""
        return lambda item, _index: read_field(item, path)

    def find_place(self, item: JsonValue, index: int) -> Place:
        value = self._read(item, index)
        if value is None:
            return self._null_place
        place = self._interpret(value)
        self._check_type(place, value, index)
        return (1, _turn_round(place) if self._is_descending else place)

    def _check_type(self, place: object, value: JsonValue, index: int) -> None:
        kind = _name_kind(place)
        if place is not None and (self._type is None or self._type == kind):
            self._type = kind
            return
        where = f"{self._name} of item[{index}]" if self._is_expression else name_place(index, self._name)
        if place is None:
            told = f"{where} is {name_type(value)} that has no place in this order; see `compare`."
        else:
            told = f"{where}: {kind} cannot be ordered against {self._type}; make them all of one type (`compare: number` reads texts)."
        raise FatalError(told, code="type_mismatch", details={"index": index, "field": self._name})


def _turn_round(place: Any) -> Any:
    """The place in the order turned round; numbers have one of the same kind, which compares faster."""
    if isinstance(place, str | tuple):
        return _Descending(place)
    return not place if isinstance(place, bool) else -place


def _name_kind(place: object) -> str:
    if isinstance(place, bool):
        return "a boolean"
    return "a text" if isinstance(place, str | tuple) else "a number"


def _take_value(value: JsonValue) -> Any:
    return value if isinstance(value, str | int | float) else None


def _ignore_case(value: JsonValue) -> Any:
    return value.casefold() if isinstance(value, str) else _take_value(value)


def _split_natural(value: JsonValue) -> Any:
    if not isinstance(value, str):
        return _take_value(value)
    parts = _DIGITS.split(value.casefold())
    # Texts stand at even places and digits at odd ones, so that like meets like.
    return tuple((len(part.lstrip("0")), part.lstrip("0")) if number % 2 else part for number, part in enumerate(parts))


def _read_number(value: JsonValue) -> Any:
    if not isinstance(value, str):
        return None if isinstance(value, bool) else _take_value(value)
    # Only texts that are ordered as numbers need it.
    from decimal import Decimal, InvalidOperation

    try:
        number = Decimal(value.strip()) if len(value) <= 400 else None
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() else None


def _read_time(value: JsonValue) -> Any:
    # Only texts that are ordered as times need it.
    from flowforge.language.times import TimeFault, parse_timestamp_ns

    try:
        return parse_timestamp_ns(value) if isinstance(value, str) else None
    except TimeFault:
        return None


_INTERPRETERS: Final[dict[str, Callable[[JsonValue], Any]]] = {
    "value": _take_value,
    "ignore_case": _ignore_case,
    "natural": _split_natural,
    "number": _read_number,
    "time": _read_time,
}


def sort_in_memory(items: Iterable[JsonValue], order: Order, limit: int | None = None) -> list[JsonValue]:
    """The items in order, equal ones as they came; at most the first `limit` of them."""
    placed = ((order.find_place(item, index), index, item) for index, item in enumerate(items))
    # The number behind the place keeps the sort stable, and keeps items from being compared.
    kept = sorted(placed, key=itemgetter(0, 1)) if limit is None else nsmallest(limit, placed, key=itemgetter(0, 1))
    return [item for _, _, item in kept]


_Line: TypeAlias = tuple[Place, int, bytes]
"""An item's place, its number and its JSON."""


class DiskSort:
    """An external merge sort: its memory does not grow with the items. Use it inside a `with` block, which removes its files."""

    def __init__(self, order: Order, run_max_items: int = RUN_MAX_ITEMS) -> None:
        self._order = order
        self._run_max_items = run_max_items
        self._files: list[IO[bytes]] = []

    def __enter__(self) -> "DiskSort":
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def sort(self, items: Iterable[JsonValue]) -> Iterator[JsonValue]:
        """The items in order, equal ones as they came.

        Raises:
            FatalError: as `Order.find_place`.
            RetryableError: `storage_full`: there is no room for a temporary file.
        """
        lines: list[_Line] = []
        size_bytes = 0
        for index, item in enumerate(items):
            # A copy: the encoder's own bytes keep the whole kibibyte that it works in.
            line = bytes(memoryview(encode(item)))
            lines.append((self._order.find_place(item, index), index, line))
            size_bytes += len(line)
            if len(lines) == self._run_max_items or size_bytes > RUN_MAX_BYTES:
                self._add_run(_put_in_order(lines))
                lines, size_bytes = [], 0
        for _, _, line in merge(*map(self._read, self._files), _put_in_order(lines), key=itemgetter(0, 1)):
            yield decode(line)

    def _add_run(self, lines: Iterable[_Line]) -> None:
        if len(self._files) == MERGED_RUNS_MAX:
            merged = _store(merge(*map(self._read, self._files), key=itemgetter(0, 1)))
            self._close()
            self._files.append(merged)
        self._files.append(_store(lines))

    def _read(self, file: IO[bytes]) -> Iterator[_Line]:
        file.seek(0)
        for stored in file:
            number, _, line = stored.partition(b" ")
            index = int(number)
            yield self._order.find_place(decode(line), index), index, line

    def _close(self) -> None:
        for file in self._files:
            file.close()
        self._files.clear()


def _put_in_order(lines: list[_Line]) -> list[_Line]:
    lines.sort(key=itemgetter(0, 1))
    return lines


def _store(lines: Iterable[_Line]) -> IO[bytes]:
    """A temporary file, which is gone once it is closed. The JSON of an item holds no line end."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - DiskSort closes it
    try:
        file.writelines(b"%d %s\n" % (index, line.removesuffix(b"\n")) for _, index, line in lines)
        file.flush()
    except OSError as fault:
        file.close()
        raise RetryableError(f"There is no room for the rows while they are sorted: {fault}.", code="storage_full") from fault
    except BaseException:
        file.close()
        raise
    return file
