"""From rows to what others see of triggers."""

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.border import decode
from flowforge.kit.ids import parse_id
from flowforge.kit.values import JsonObject
from flowforge.triggers import repository
from flowforge.triggers.errors import TriggerNotFoundError
from flowforge.triggers.models import TriggerEventRow, TriggerRow
from flowforge.triggers.types import Figures, HeldEvent, Paused, Source, Trigger


def read_trigger(row: TriggerRow) -> Trigger:
    """The trigger of a row."""
    return Trigger(
        id=row.id,
        workspace_id=row.workspace_id,
        workflow_id=row.workflow_id,
        workflow=row.workflow,
        key=row.key,
        kind=row.kind,
        source=Source(row.source),
        config=_read_object(row.config),
        has_input=row.input is not None,
        input=None if row.input is None else decode(row.input),
        is_live=row.is_live,
        paused=Paused(row.paused),
        etag=row.etag,
        created_at_ms=row.created_at,
        created_by=row.created_by,
        updated_at_ms=row.updated_at,
        updated_by=row.updated_by,
    )


def read_figures(row: TriggerRow) -> Figures:
    """The counts of a row, which lag by a second."""
    return Figures(row.total, row.successful, row.failed, row.last_fired_at)


def read_held(row: TriggerEventRow) -> HeldEvent:
    """The held event of a row."""
    return HeldEvent(row.id, row.trigger_id, row.workspace_id, row.at, row.dedup, row.digest, _read_object(row.data))


async def get_row(session: AsyncSession, workspace_id: str, trigger_id: str, *, is_locked: bool = False) -> TriggerRow:
    """The trigger's row.

    Raises:
        InvalidIdError: the text is no id of a trigger.
        TriggerNotFoundError: there is none of that id.
    """
    parse_id(trigger_id, "trg")
    row = await repository.find_trigger(session, workspace_id, trigger_id, is_locked=is_locked)
    if row is None:
        raise TriggerNotFoundError(trigger_id)
    return row


def _read_object(text: str) -> JsonObject:
    value = decode(text)
    return value if isinstance(value, dict) else {}
