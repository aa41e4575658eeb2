"""Where event triggers hear from: the outbox, which has what this installation tells, and named events, which are sent to it.

Both are tables that are numbered as they grow. Numbers that are committed out of order are not passed over: a reader's position follows
once nothing can come any more below it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from sqlalchemy import Column, ColumnElement, RowMapping, Table, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.cluster.event_types import is_own_type
from flowforge.cluster.outbox import PRIVATE, OutboxRow, list_messages
from flowforge.engine.tables import events, outbox
from flowforge.kit.border import decode
from flowforge.kit.values import JsonObject
from flowforge.language.times import format_timestamp_ms
from flowforge.triggers.types import Trigger

_NAMED_MAX: Final = 500
"""More workspaces or types than this are not named in a question; what is too much in its answer is passed over here."""


@dataclass(frozen=True, slots=True)
class Heard:
    """An event of a source. `told` is what `trigger.event` holds."""

    no: int
    type: str
    workspace_id: str
    at_ms: int
    told: JsonObject


@dataclass(frozen=True, slots=True)
class Source:
    """One of the tables. `reader`: under which name its position is kept."""

    reader: str
    table: Table
    type: Column[str]
    at: Column[int]

    async def find_last(self, session: AsyncSession) -> int:
        """The number of the newest row; 0 where there is none."""
        return await session.scalar(select(func.max(self.table.c.no))) or 0

    async def find_settled(self, session: AsyncSession, position: int, before_ms: int | None) -> int:
        """Up to where no number can come any more: that of the last row from before `before_ms`; None: of the last row."""
        query = select(func.max(self.table.c.no)).where(self.table.c.no > position)
        if before_ms is not None:
            query = query.where(self.at < before_ms)
        return await session.scalar(query) or position

    async def list_meant(
        self, session: AsyncSession, after: int, triggers: Sequence[Trigger], limit: int
    ) -> Sequence[RowMapping]:
        """The rows behind `after`, in order, that one of the triggers may mean."""
        query = select(self.table).where(self.table.c.no > after)
        if self.table is outbox:
            query = query.where(outbox.c.aggregate_type != PRIVATE)
        workspaces = {trigger.workspace_id for trigger in triggers}
        if len(workspaces) <= _NAMED_MAX:
            query = query.where(self.table.c.workspace_id.in_(sorted(workspaces)))
        types = {str(trigger.config.get("type")) for trigger in triggers}
        if len(types) <= _NAMED_MAX:
            query = query.where(self._is_of(types))
        return (await session.execute(query.order_by(self.table.c.no).limit(limit))).mappings().all()

    def _is_of(self, types: set[str]) -> ColumnElement[bool]:
        families = sorted(name[:-1] for name in types if name.endswith(".*"))
        single = sorted(name for name in types if not name.endswith(".*"))
        return or_(self.type.in_(single), *(self.type.startswith(family, autoescape=True) for family in families))

    def read(self, row: RowMapping) -> Heard | None:
        """None: nobody may hear it.

        Raises:
            InvariantError: the row is no event.
        """
        heard = _read_told(row) if self.table is outbox else _read_named(row)
        # Who may send events must not be able to say that a run has failed.
        return None if self.table is events and is_own_type(heard.type) else heard


def _read_told(row: RowMapping) -> Heard:
    told = OutboxRow(**{name: row[name] for name in OutboxRow.__dataclass_fields__})
    return Heard(told.no, told.event_type, told.workspace_id, told.created_at, list_messages(told)[0].event.as_json())


def _read_named(row: RowMapping) -> Heard:
    signal = cast("JsonObject", decode(row["body"]))
    payload = signal.get("payload")
    told: JsonObject = {
        "id": f"event.{row['no']}",
        "seq": row["no"],
        "type": row["name"],
        "time": format_timestamp_ms(row["at"]),
        "workspace_id": row["workspace_id"],
        "subject": row["correlation"],
        "actor": row["sender"],
        "trace_id": None,
        "data": {} if payload is None else payload,
    }
    return Heard(row["no"], row["name"], row["workspace_id"], row["at"], told)


def _column(table: Table, name: str) -> Column[Any]:
    return table.c[name]


SOURCES: Final = (
    Source("triggers", outbox, _column(outbox, "event_type"), _column(outbox, "created_at")),
    Source("triggers.named", events, _column(events, "name"), _column(events, "at")),
)
