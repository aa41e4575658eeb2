"""Figures over many items: counts, sums, means, quantiles. Items come one after the other; only what the figure needs is kept."""

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Annotated, Final, Literal, Protocol

from pydantic import Field, model_validator

from flowforge.kit.values import INTEGER_MAX, INTEGER_MIN, JsonObject, JsonValue
from flowforge.operations import ErrorCode, FatalError, StrictModel
from flowforge.steps.data.conditions import Check, Conditions, make_check, name_place
from flowforge.steps.data.fields import compare, count_parts, identify, is_number, name_type, read_field

KEPT_MAX_PARTS: Final = 3_000_000
"""Values that one operation may keep for its figures, each list and object counted with all that is inside."""

Function = Literal[
    "count", "sum", "mean", "min", "max", "median", "percentile", "stddev", "variance",
    "first", "last", "list", "unique", "unique_count",
]  # fmt: skip
_NUMERIC: Final = frozenset({"sum", "mean", "median", "percentile", "stddev", "variance"})
_WITH_FIELD: Final = _NUMERIC | {"min", "max"}


class Measure(StrictModel):
    """What to work out."""

    function: Function = Field(description="Which figure.")
    field: str | None = Field(
        default=None,
        description="The field it is worked out from, by a dotted path; without one `count`, `list`, `unique`, `first` and"
        " `last` take whole items.",
    )
    percentile: float | None = Field(
        default=None,
        ge=0,
        le=100,
        description="Which percentile, from 0 to 100, for the function `percentile`; 50 is the median.",
    )
    population: bool = Field(
        default=False,
        description="Whether `stddev` and `variance` divide by the number of values instead of one less.",
    )
    where: Conditions | None = Field(default=None, description="Only items that meet all these conditions count.")

    @model_validator(mode="after")
    def _check_field(self) -> "Measure":
        if self.field is None and self.function in _WITH_FIELD:
            raise ValueError(f"{self.function} needs a field")
        if (self.percentile is None) != (self.function != "percentile"):
            raise ValueError("percentile belongs to the function percentile, which needs it")
        if self.population and self.function not in {"stddev", "variance"}:
            raise ValueError("population belongs to stddev and variance")
        return self


Measures = Annotated[dict[str, Measure], Field(min_length=1, max_length=200)]

MEASURE_ERRORS: Final = (
    ErrorCode("type_mismatch", "A field that a figure needs is no number, values cannot be ordered, or an item is no object."),
    ErrorCode("number_range", "A figure does not fit into 64 bits."),
    ErrorCode("too_many_values", f"Figures that keep their values would keep more than {KEPT_MAX_PARTS} of them."),
)


class KeptParts:
    """Counts what all figures of one operation keep."""

    def __init__(self) -> None:
        self._parts = 0

    def add(self, value: JsonValue) -> None:
        """Counts one more kept value.

        Raises:
            FatalError: `too_many_values`.
        """
        self._parts += count_parts(value)
        if self._parts > KEPT_MAX_PARTS:
            raise FatalError(
                f"The figures would keep more than {KEPT_MAX_PARTS} values; median, percentile, list and unique keep all of theirs: "
                "measure fewer items at once, or take figures that keep none.",
                code="too_many_values",
            )


class Accumulator(Protocol):
    """One figure in the making."""

    def add(self, value: JsonValue, where: str) -> None:
        """Takes one more value, which is not null; `where` names it in errors."""
        ...

    def finish(self) -> JsonValue:
        """The figure of all values so far."""
        ...


class Count:
    __slots__ = ("_count",)

    def __init__(self) -> None:
        self._count = 0

    def add(self, value: JsonValue, where: str) -> None:
        del value, where
        self._count += 1

    def finish(self) -> JsonValue:
        return self._count


class ExactSum:
    """The sum of numbers and, if asked for, of their squares, exact until it is rounded once: it does not depend on the order."""

    __slots__ = ("_name", "_squares", "_sums", "count", "is_whole")

    def __init__(self, name: str, *, with_squares: bool = False) -> None:
        self._name = name
        self._sums: dict[int, int] = {}
        self._squares: dict[int, int] | None = {} if with_squares else None
        self.count = 0
        self.is_whole = True

    def add(self, value: JsonValue, where: str) -> None:
        number = take_number(value, where)
        self.count += 1
        self.is_whole = self.is_whole and isinstance(number, int)
        numerator, denominator = number.as_integer_ratio()
        self._sums[denominator] = self._sums.get(denominator, 0) + numerator
        if self._squares is not None:
            self._squares[denominator] = self._squares.get(denominator, 0) + numerator * numerator

    def total(self) -> Fraction:
        return sum((Fraction(numerator, denominator) for denominator, numerator in self._sums.items()), Fraction(0))

    def squares(self) -> Fraction:
        squares = (self._squares or {}).items()
        return sum((Fraction(numerator, denominator * denominator) for denominator, numerator in squares), Fraction(0))

    def finish(self) -> JsonValue:
        if not self.is_whole:
            return to_float(self.total(), self._name)
        total = int(self.total())
        if not INTEGER_MIN <= total <= INTEGER_MAX:
            raise FatalError(f"{self._name}: the sum does not fit into 64 bits.", code="number_range")
        return total


class Mean(ExactSum):
    __slots__ = ()

    def finish(self) -> JsonValue:
        return to_float(self.total() / self.count, self._name) if self.count else None


class Variance(ExactSum):
    """The mean square of the distances from the mean; null where there are too few values."""

    __slots__ = ("_divisor_less", "_is_root")

    def __init__(self, name: str, *, is_population: bool, is_root: bool) -> None:
        super().__init__(name, with_squares=True)
        self._divisor_less = 0 if is_population else 1
        self._is_root = is_root

    def finish(self) -> JsonValue:
        divisor = self.count - self._divisor_less
        if divisor < 1:
            return None
        total = self.total()
        variance = to_float((self.squares() - total * total / self.count) / divisor, self._name)
        return math.sqrt(variance) if self._is_root else variance


class Extreme:
    """The least or the greatest of numbers, or of texts; of equal ones the first."""

    __slots__ = ("_best", "_sign")

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._best: JsonValue = None

    def add(self, value: JsonValue, where: str) -> None:
        is_first = self._best is None
        if compare(value, value if is_first else self._best, where) == self._sign or is_first:
            self._best = value

    def finish(self) -> JsonValue:
        return self._best


class Percentile:
    """The value below which so many hundredths lie, between neighbours in proportion (Hyndman and Fan 1996, definition 7)."""

    __slots__ = ("_kept", "_name", "_numbers", "_percentile")

    def __init__(self, name: str, percentile: float, kept: KeptParts) -> None:
        self._name = name
        self._percentile = percentile
        self._kept = kept
        self._numbers: list[int | float] = []

    def add(self, value: JsonValue, where: str) -> None:
        self._kept.add(value)
        self._numbers.append(take_number(value, where))

    def finish(self) -> JsonValue:
        if not self._numbers:
            return None
        ordered = sorted(self._numbers)
        place = Fraction(self._percentile) * (len(ordered) - 1) / 100
        below = int(place)
        rest = place - below
        if not rest:
            return ordered[below]
        low, high = Fraction(ordered[below]), Fraction(ordered[below + 1])
        exact = low + (high - low) * rest
        return to_float(exact, self._name) if exact.denominator > 1 or abs(exact) > INTEGER_MAX else int(exact)


class First:
    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values: list[JsonValue] = []

    def add(self, value: JsonValue, where: str) -> None:
        del where
        if not self._values:
            self._values.append(value)

    def finish(self) -> JsonValue:
        return self._values[0] if self._values else None


class Last(First):
    __slots__ = ()

    def add(self, value: JsonValue, where: str) -> None:
        del where
        self._values = [value]


class AllValues:
    __slots__ = ("_kept", "_values")

    def __init__(self, kept: KeptParts) -> None:
        self._values: list[JsonValue] = []
        self._kept = kept

    def add(self, value: JsonValue, where: str) -> None:
        del where
        self._kept.add(value)
        self._values.append(value)

    def finish(self) -> JsonValue:
        return self._values


class UniqueValues(AllValues):
    __slots__ = ("_is_counted", "_seen")

    def __init__(self, kept: KeptParts, *, is_counted: bool) -> None:
        super().__init__(kept)
        self._seen: set[bytes] = set()
        self._is_counted = is_counted

    def add(self, value: JsonValue, where: str) -> None:
        identity = identify(value)
        if identity in self._seen:
            return
        self._seen.add(identity)
        if self._is_counted:
            self._kept.add(None)
        else:
            super().add(value, where)

    def finish(self) -> JsonValue:
        return len(self._seen) if self._is_counted else self._values


def take_number(value: JsonValue, where: str) -> int | float:
    """The value as a number.

    Raises:
        FatalError: `type_mismatch`.
    """
    if isinstance(value, int | float) and is_number(value):
        return value
    raise FatalError(
        f"{where}: {name_type(value)} cannot be worked out with; convert it to a number before.", code="type_mismatch"
    )


def to_float(exact: Fraction, name: str) -> float:
    """The number, rounded once.

    Raises:
        FatalError: `number_range`.
    """
    try:
        return float(exact)
    except OverflowError:
        raise FatalError(f"{name}: the figure is too large for a number.", code="number_range") from None


class MeasureSet:
    """All figures of one group of items. There may be a million of them, so that they are kept small."""

    __slots__ = ("_accumulators", "_maker")

    def __init__(self, maker: "MeasureMaker", accumulators: list[Accumulator]) -> None:
        self._maker = maker
        self._accumulators = accumulators

    def add(self, item: JsonValue, index: int) -> None:
        """Takes one more item."""
        for (name, field, check), accumulator in zip(self._maker.plan, self._accumulators, strict=True):
            if check is not None and not check(item, index):
                continue
            value = item if field is None else read_field(item, field)
            if value is not None:
                accumulator.add(value, f"{name}: {name_place(index, field or '')}")

    def finish(self) -> JsonObject:
        """The figures by their names."""
        return {
            name: accumulator.finish() for (name, _, _), accumulator in zip(self._maker.plan, self._accumulators, strict=True)
        }


class MeasureMaker:
    """Makes the figures of each group; all of them share one bound on what they keep."""

    def __init__(self, measures: Mapping[str, Measure]) -> None:
        self._measures = measures
        self._kept = KeptParts()
        self.plan: list[tuple[str, str | None, Check | None]] = [
            (name, measure.field, None if measure.where is None else make_check(measure.where))
            for name, measure in measures.items()
        ]
        """Name, field and condition of each figure."""

    def make(self) -> MeasureSet:
        """Figures of no item yet."""
        return MeasureSet(self, [_make_accumulator(measure, name, self._kept) for name, measure in self._measures.items()])


def _make_accumulator(measure: Measure, name: str, kept: KeptParts) -> Accumulator:
    match measure.function:
        case "variance" | "stddev":
            return Variance(name, is_population=measure.population, is_root=measure.function == "stddev")
        case "percentile":
            return Percentile(name, measure.percentile or 0, kept)
        case "unique" | "unique_count":
            return UniqueValues(kept, is_counted=measure.function == "unique_count")
        case function:
            return _SIMPLE[function](name, kept)


_SIMPLE: Final[dict[str, Callable[[str, KeptParts], Accumulator]]] = {
    "count": lambda _name, _kept: Count(),
    "sum": lambda name, _kept: ExactSum(name),
    "mean": lambda name, _kept: Mean(name),
    "min": lambda _name, _kept: Extreme(-1),
    "max": lambda _name, _kept: Extreme(1),
    "median": lambda name, kept: Percentile(name, 50, kept),
    "first": lambda _name, _kept: First(),
    "last": lambda _name, _kept: Last(),
    "list": lambda _name, kept: AllValues(kept),
}
