"""The values that live inside an expression: JSON, and a few kinds that become JSON when they leave."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from types import NoneType
from typing import Final, TypeAlias, TypeGuard

from flowforge.kit.values import INTEGER_MAX, INTEGER_MIN, JsonValue
from flowforge.language.expressions.errors import problem


class Missing(Enum):
    """The type of `MISSING`: an optional read found nothing."""

    VALUE = "missing"


MISSING: Final = Missing.VALUE

_LAZY_TYPES: Final[set[type]] = set()


class Lazy(ABC):
    """An object whose fields are looked up when an expression reads them (`steps`, a step, `run`). Looks like an object."""

    __slots__ = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        _LAZY_TYPES.add(cls)

    @abstractmethod
    def find(self, name: str) -> "JsonValue | Lazy | Missing":
        """The field's value, or MISSING."""

    @abstractmethod
    def plain(self) -> JsonValue:
        """The whole as a JSON object, for an expression that hands it on."""


class Kind(Enum):
    """The kinds of values; a kind is a value itself (`type(x)`) and leaves an expression as its name."""

    NULL = "null"
    BOOLEAN = "boolean"
    NUMBER = "number"
    STRING = "string"
    LIST = "list"
    OBJECT = "object"
    TIMESTAMP = "timestamp"
    DURATION = "duration"
    OPTIONAL = "optional"
    TYPE = "type"


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """A time in nanoseconds since 1970 (UTC), within the years 1 to 9999."""

    ns: int


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A length of time in nanoseconds, within 64 signed bits (292 years)."""

    ns: int


@dataclass(frozen=True, slots=True, eq=False)
class OptionalValue:
    """A value that may be absent (MISSING)."""

    value: "Value | Missing"


class BooleanKey(Enum):
    """`true` and `false` as keys of a map, apart from the numbers 1 and 0, which Python takes for equal."""

    TRUE = True
    FALSE = False


Key: TypeAlias = str | int | BooleanKey
Value: TypeAlias = "JsonValue | Lazy | Timestamp | Duration | OptionalValue | Kind | list[Value] | dict[Key, Value]"
Items: TypeAlias = "list[JsonValue] | list[Value]"
Fields: TypeAlias = "dict[str, JsonValue] | dict[Key, Value]"

ABSENT: Final = OptionalValue(MISSING)

SCALAR_TYPES: Final = frozenset({NoneType, bool, int, float, str})
_KINDS: Final[dict[type, Kind]] = {
    NoneType: Kind.NULL,
    bool: Kind.BOOLEAN,
    int: Kind.NUMBER,
    float: Kind.NUMBER,
    str: Kind.STRING,
    list: Kind.LIST,
    dict: Kind.OBJECT,
    Timestamp: Kind.TIMESTAMP,
    Duration: Kind.DURATION,
    OptionalValue: Kind.OPTIONAL,
    Kind: Kind.TYPE,
}


def kind_of(value: Value) -> Kind:
    """The value's kind; a lazy object is an object."""
    return _KINDS.get(type(value), Kind.OBJECT)


def name_kind(value: Value) -> str:
    """The kind's name, for messages (they name kinds, never values)."""
    return kind_of(value).value


def is_lazy(value: object) -> TypeGuard[Lazy]:
    """Whether the value is a lazy object. Faster than `isinstance`, which an abstract class slows down (25 against 150 ns)."""
    return type(value) in _LAZY_TYPES


def is_number(value: Value) -> TypeGuard[int | float]:
    """Whether the value is a number; a boolean is none."""
    return type(value) is int or type(value) is float


def to_key(value: Value) -> Key:
    """The value as a key of a map.

    Raises:
        ExpressionError: it is neither a string nor a whole number nor a boolean.
    """
    if type(value) is str or type(value) is int:
        return value
    if type(value) is bool:
        return BooleanKey(value)
    if type(value) is float and value.is_integer():
        return int(value)
    raise problem("type_mismatch", f"A key is a string, a whole number or a boolean; this is {with_article(name_kind(value))}.")


def from_key(key: Key) -> str | int | bool:
    """The key as a value."""
    return key if isinstance(key, (str, int)) else key is BooleanKey.TRUE


def key_text(key: Key) -> str:
    """The key as the name of a JSON field."""
    if type(key) is str:
        return key
    return str(key) if type(key) is int else ("true" if key is BooleanKey.TRUE else "false")


def with_article(noun: str) -> str:
    """`an object`, `a string`; `null` stays as it is."""
    if noun == "null":
        return noun
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def to_number(value: float) -> int | float:
    """A computed number: a whole one within 64 signed bits is an integer.

    Raises:
        ExpressionError: it is infinite or not a number.
    """
    if value.is_integer():
        whole = int(value)
        return whole if INTEGER_MIN <= whole <= INTEGER_MAX else value
    if value - value != 0:  # infinity and NaN, the two that are not whole and not equal to themselves after subtraction
        raise problem("number_range", "The result is too large for a number.")
    return value


def to_integer(value: int) -> int:
    """A computed whole number.

    Raises:
        ExpressionError: it does not fit into 64 signed bits.
    """
    if INTEGER_MIN <= value <= INTEGER_MAX:
        return value
    raise problem("number_range", "The result does not fit into 64 bits.")
