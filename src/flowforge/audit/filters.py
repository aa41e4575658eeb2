"""What lists and exports of the audit log can be asked for."""

from typing import Final

from sqlalchemy import ColumnElement
from sqlalchemy.orm import InstrumentedAttribute

from flowforge.audit.models import AuditCheckpoint, AuditRow
from flowforge.web.lists import EXACT, Condition
from flowforge.web.selecting import Filter, ListForm, by, exact, moment

_END: Final = "\U0010ffff"


def _begins_or_is(column: InstrumentedAttribute[str]) -> Filter:
    """Byte by byte, so that the index serves."""

    def make(wanted: Condition) -> ColumnElement[bool]:
        if wanted.op == "starts_with":
            return (column >= wanted.value) & (column < wanted.value + _END)
        return column != wanted.value if wanted.op == "ne" else column.in_(wanted.values)

    return Filter((*EXACT, "starts_with"), make)


AUDIT: Final = ListForm(
    "audit",
    sorts={"no": by(AuditRow.no)},
    default="-no",
    unique=by(AuditRow.no),
    filters={
        "action": _begins_or_is(AuditRow.action),
        "entity": exact(AuditRow.entity),
        "entity_id": exact(AuditRow.entity_id),
        "actor": exact(AuditRow.actor),
        "time": moment(AuditRow.at),
    },
)
CHECKPOINTS: Final = ListForm(
    "audit_checkpoints", sorts={"no": by(AuditCheckpoint.no)}, default="-no", unique=by(AuditCheckpoint.no)
)
