"""Conditions on rows, as lists and exports are asked for them."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement

from flowforge.audit.models import AuditRow

_END: Final = "\U0010ffff"
_TEXTS: Final = {"action": AuditRow.action, "entity": AuditRow.entity, "entity_id": AuditRow.entity_id, "actor": AuditRow.actor}


def filter_text(field: str, relation: str, values: Sequence[str]) -> ColumnElement[bool]:
    """A condition on action, entity, entity_id or actor: eq, in, starts_with."""
    column = _TEXTS[field]
    if relation == "starts_with":
        return (column >= values[0]) & (column < values[0] + _END)
    return column.in_(values)


def filter_time(relation: str, at_ms: int) -> ColumnElement[bool]:
    """A condition on the time: lt, le, gt, ge."""
    column = AuditRow.at
    return {"lt": column < at_ms, "le": column <= at_ms, "gt": column > at_ms, "ge": column >= at_ms}[relation]
