"""Functions of optionals: values that may be absent."""

from typing import Final

from flowforge.language.expressions.catalog import Take, define
from flowforge.language.expressions.context import Context
from flowforge.language.expressions.errors import problem
from flowforge.language.expressions.values import ABSENT, MISSING, Items, Kind, OptionalValue, Value, is_lazy


@define("optional.of(value)", "An optional that holds the value.", ("optional.of(1).value()", 1), Take.ANY, result=Kind.OPTIONAL)
def _of(_context: Context, value: Value) -> Value:
    return OptionalValue(value)


@define(
    "optional.ofNonZeroValue(value)",
    "An optional that is absent for null, false, 0, '' and what is empty.",
    ("optional.ofNonZeroValue('').hasValue()", False),
    Take.ANY,
    result=Kind.OPTIONAL,
)
def _of_non_zero_value(_context: Context, value: Value) -> Value:
    return OptionalValue(value) if is_filled(value) else ABSENT


def is_filled(value: Value) -> bool:
    """Whether the value is none of null, false, 0, '' and empty list, object, duration or optional."""
    if is_lazy(value):
        return True
    if type(value) is OptionalValue:
        return value.value is not MISSING
    return bool(getattr(value, "ns", value))


@define("optional.none()", "An optional that is absent.", ("optional.none().hasValue()", False), result=Kind.OPTIONAL)
def _none(_context: Context) -> Value:
    return ABSENT


@define("maybe.hasValue()", "Whether there is a value.", ("{'a': 1}.?b.hasValue()", False), Take.OPTIONAL, result=Kind.BOOLEAN)
def _has_value(_context: Context, maybe: OptionalValue) -> Value:
    return maybe.value is not MISSING


@define("maybe.value()", "The value; an error (missing_field) where there is none.", ("{'a': 1}.?a.value()", 1), Take.OPTIONAL)
def _value(_context: Context, maybe: OptionalValue) -> Value:
    if maybe.value is MISSING:
        raise problem("missing_field", "value() got an optional that is absent.")
    return maybe.value


@define(
    "optional.unwrap(list)",
    "The values of the optionals that have one.",
    ("optional.unwrap([optional.of(1), optional.none()])", [1]),
    Take.LIST,
    result=Kind.LIST,
)
def _unwrap(context: Context, items: Items) -> Value:
    context.charge(len(items))
    return context.keep_list(_values_of(items))


@define(
    "list.unwrapOpt()",
    "The values of the optionals that have one.",
    ("[optional.of(1), optional.none()].unwrapOpt()", [1]),
    Take.LIST,
    result=Kind.LIST,
)
def _unwrap_member(context: Context, items: Items) -> Value:
    context.charge(len(items))
    return context.keep_list(_values_of(items))


def _values_of(items: Items) -> list[Value]:
    kept: list[Value] = []
    for item in items:
        if type(item) is not OptionalValue:
            raise problem("type_mismatch", "The list must hold only optionals.")
        if item.value is not MISSING:
            kept.append(item.value)
    return kept


OPTIONAL_FUNCTIONS: Final = (_of, _of_non_zero_value, _none, _has_value, _value, _unwrap, _unwrap_member)
