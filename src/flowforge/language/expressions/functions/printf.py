"""`format`: CEL's own small set of clauses, over values of the language."""

import re
from typing import Final, cast

from flowforge.language.expressions.context import Context
from flowforge.language.expressions.errors import ExpressionError, problem
from flowforge.language.expressions.leaving import number_text
from flowforge.language.expressions.moments import time_text
from flowforge.language.expressions.values import (
    MISSING,
    Duration,
    Items,
    Key,
    Kind,
    OptionalValue,
    Timestamp,
    Value,
    is_lazy,
    is_number,
    key_text,
    name_kind,
    with_article,
)

_CLAUSE: Final = re.compile(r"%(?:(%)|(?:\.(\d{1,4}))?([A-Za-z])|)", re.ASCII)
PRECISION_MAX: Final = 100
DEFAULT_PRECISION: Final = 6


def format_text(context: Context, pattern: str, arguments: Items) -> str:
    """The pattern with the arguments in place of its clauses.

    Raises:
        ExpressionError: `type_mismatch` for an unknown clause or a value that does not fit it, `index` where an argument is missing.
    """
    context.charge_text(len(pattern))
    parts: list[str] = []
    end = used = 0
    for match in _CLAUSE.finditer(pattern):
        parts.append(pattern[end : match.start()])
        end = match.end()
        if match[1] is not None:
            parts.append("%")
            continue
        if used == len(arguments):
            raise problem("index", "format() has fewer values than the pattern has clauses.")
        parts.append(_format_one(context, match, arguments[used]))
        used += 1
    parts.append(pattern[end:])
    return context.keep_text("".join(parts))


def _format_one(context: Context, match: re.Match[str], value: Value) -> str:
    clause = match[3] or ""
    precision = DEFAULT_PRECISION if match[2] is None else int(match[2])
    if precision > PRECISION_MAX:
        raise problem("number_range", f"format() takes at most {PRECISION_MAX} decimals.")
    context.charge(1)
    if clause == "s":
        return text_of(context, value)
    if clause == "d" and is_number(value):
        return number_text(value)
    if clause in {"f", "e"} and is_number(value):
        return f"{value:.{precision}{clause}}"
    if clause in {"x", "X"} and type(value) is str:
        context.charge_text(2 * len(value))
        text = value.encode(errors="replace").hex()
        return text.upper() if clause == "X" else text
    if clause in {"x", "X", "o", "b"} and is_number(value) and value == int(value):
        return f"{int(value):{clause}}"
    raise _refuse(clause, value)


def _refuse(clause: str, value: Value) -> ExpressionError:
    if clause and clause in "sdfexXob":
        return problem("type_mismatch", f"%{clause} cannot write {with_article(name_kind(value))}.")
    return problem("type_mismatch", "format() knows %s, %d, %f, %e, %x, %X, %o, %b and %%.")


def text_of(context: Context, value: Value) -> str:
    """The value as `%s` writes it: strings without quotes, objects in the order of their keys."""
    context.charge(1)
    if type(value) is str:
        context.charge_text(len(value))
        return value
    if is_number(value):
        return number_text(value)
    if type(value) is Timestamp or type(value) is Duration:
        return time_text(value)
    if type(value) is list:
        return f"[{', '.join([text_of(context, item) for item in value])}]"
    if is_lazy(value):
        value = value.plain()
    if type(value) is dict:
        fields = sorted(cast("dict[Key, Value]", value).items(), key=lambda entry: key_text(entry[0]))
        return f"{{{', '.join([f'{key_text(key)}: {text_of(context, item)}' for key, item in fields])}}}"
    if type(value) is OptionalValue:
        return "null" if value.value is MISSING else text_of(context, value.value)
    if type(value) is Kind:
        return value.value
    return "null" if value is None else ("true" if value else "false")
