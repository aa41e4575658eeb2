"""Conditions on the fields of an item."""

from collections.abc import Callable, Sequence
from typing import Annotated, Final, Literal

import pydantic
from pydantic import Field, model_validator

from flowforge.kit.values import JsonValue
from flowforge.operations import FatalError, StrictModel
from flowforge.steps.data.fields import ABSENT, Found, are_equal, compare, find_field, name_type

Operator = Literal[
    "eq", "ne", "lt", "le", "gt", "ge", "in", "not_in", "contains", "starts_with", "ends_with", "matches",
    "exists", "missing", "empty", "not_empty",
]  # fmt: skip
_WITHOUT_VALUE: Final = frozenset({"exists", "missing", "empty", "not_empty"})


class Condition(StrictModel):
    """What one field must be."""

    field: str = Field(description="The field, by a dotted path such as `address.city`; empty for the item itself.")
    operator: Operator = Field(default="eq", description="How the field is held against the value.")
    value: pydantic.JsonValue = Field(
        default=None,
        description="The value; a list for `in` and `not_in`, a regular expression for `matches` (the syntax of expressions); none for "
        "`exists`, `missing`, `empty` (missing, null, or without content) and `not_empty`.",
    )
    ignore_case: bool = Field(default=False, description="Whether texts are compared without regard to upper and lower case.")

    @model_validator(mode="after")
    def _check_value(self) -> "Condition":
        if self.operator in _WITHOUT_VALUE and "value" in self.model_fields_set:
            raise ValueError(f"{self.operator} takes no value")
        if self.operator not in _WITHOUT_VALUE and "value" not in self.model_fields_set:
            raise ValueError(f"{self.operator} needs a value")
        if self.operator in {"in", "not_in"} and not isinstance(self.value, list):
            raise ValueError(f"{self.operator} needs a list of values")
        if self.operator == "matches" and not isinstance(self.value, str):
            raise ValueError("matches needs a regular expression")
        if self.operator == "matches":
            _compile_pattern(str(self.value), ignore_case=self.ignore_case)
        return self


Conditions = Annotated[list[Condition], Field(min_length=1, max_length=100)]

Check = Callable[[JsonValue, int], bool]
"""Whether an item, with its index counted from 0, meets the conditions."""


def make_check(conditions: Sequence[Condition], match: Literal["all", "any"] = "all") -> Check:
    """One check out of all conditions. The check raises `FatalError` with the code `type_mismatch`, naming item and field."""
    checks = [_make_one(condition) for condition in conditions]
    if match == "all":
        return lambda item, index: all(check(item, index) for check in checks)
    return lambda item, index: any(check(item, index) for check in checks)


def _make_one(condition: Condition) -> Check:
    field, operator = condition.field, condition.operator
    fold = _fold if condition.ignore_case else _keep
    wanted = fold(condition.value)
    if operator == "matches":
        return _make_match(condition)
    if operator in _STATES:
        has_state = _STATES[operator]
        return lambda item, _: has_state(find_field(item, field))
    if operator in {"ne", "not_in"}:
        is_excluded = are_equal if operator == "ne" else _is_in
        return lambda item, _: not is_excluded(fold(find_field(item, field)), wanted)
    holds = _CHECKS[operator]

    def check(item: JsonValue, index: int) -> bool:
        found = find_field(item, field)
        return found is not ABSENT and holds(fold(found), wanted, name_place(index, field))

    return check


def name_place(index: int, field: str) -> str:
    """How messages name a field of an item."""
    return f"item[{index}].{field}" if field else f"item[{index}]"


def _keep(value: Found) -> Found:
    return value


def _fold(value: Found) -> Found:
    if isinstance(value, list):
        return [item.casefold() if isinstance(item, str) else item for item in value]
    return value.casefold() if isinstance(value, str) else value


def _make_match(condition: Condition) -> Check:
    matches = _compile_pattern(str(condition.value), ignore_case=condition.ignore_case)
    field = condition.field

    def check(item: JsonValue, index: int) -> bool:
        found = find_field(item, field)
        if found is ABSENT:
            return False
        if not isinstance(found, str):
            raise _refuse(name_place(index, field), found, "only a text matches a regular expression")
        return matches(found)

    return check


def _compile_pattern(pattern: str, *, ignore_case: bool) -> Callable[[str], bool]:
    # Only conditions that match a pattern pay for the language.
    from flowforge.language.expressions import ExpressionError
    from flowforge.language.expressions.regexes import compile_pattern

    try:
        return compile_pattern(f"(?i){pattern}" if ignore_case else pattern).isinstance_python
    except ExpressionError as error:
        raise ValueError(error.message) from None


def _is_in(found: Found, values: Found) -> bool:
    return isinstance(values, list) and any(are_equal(found, value) for value in values)


def _is_empty(found: Found) -> bool:
    return found is ABSENT or found is None or (isinstance(found, str | list | dict) and not found)


def _contains(found: Found, value: Found, where: str) -> bool:
    if isinstance(found, str) and isinstance(value, str):
        return value in found
    if isinstance(found, list):
        return any(are_equal(item, value) for item in found)
    raise _refuse(where, found, "only a text or a list can contain something")


def _affix(method: Callable[[str, str], bool]) -> Callable[[Found, Found, str], bool]:
    def check(found: Found, value: Found, where: str) -> bool:
        if not isinstance(found, str) or not isinstance(value, str):
            raise _refuse(where, found, "only a text begins or ends with a text")
        return method(found, value)

    return check


def _order(holds: Callable[[int], bool]) -> Callable[[Found, Found, str], bool]:
    def check(found: Found, value: Found, where: str) -> bool:
        return holds(compare(found, value, where))

    return check


def _refuse(where: str, found: Found, reason: str) -> FatalError:
    return FatalError(f"{where} is {name_type(found)}; {reason}.", code="type_mismatch")


_STATES: Final[dict[str, Callable[[Found], bool]]] = {
    "exists": lambda found: found is not ABSENT,
    "missing": lambda found: found is ABSENT,
    "empty": _is_empty,
    "not_empty": lambda found: not _is_empty(found),
}
_CHECKS: Final[dict[str, Callable[[Found, Found, str], bool]]] = {
    "eq": lambda found, value, _: are_equal(found, value),
    "lt": _order(lambda sign: sign < 0),
    "le": _order(lambda sign: sign <= 0),
    "gt": _order(lambda sign: sign > 0),
    "ge": _order(lambda sign: sign >= 0),
    "in": lambda found, value, _: _is_in(found, value),
    "contains": _contains,
    "starts_with": _affix(str.startswith),
    "ends_with": _affix(str.endswith),
}
