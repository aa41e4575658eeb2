"""Columns of tables: how a field of a row becomes a cell."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from flowforge.kit.values import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; `show` gives the cell of a row. `style` is the name of a colour, `is_status` colours by the status' name."""

    title: str
    show: Callable[[JsonObject], str]
    style: str = ""
    is_status: bool = False


def field(title: str, key: str, *, style: str = "") -> Column:
    """A column that shows one field as it is; null is left empty."""
    return Column(title, lambda row: show_value(row.get(key)), style)


def status(title: str = "status", key: str = "status") -> Column:
    return Column(title, lambda row: show_value(row.get(key)), is_status=True)


def show_value(value: JsonValue) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    return json.dumps(value, ensure_ascii=False)
