"""What a person changes of a run beside its input: what it is found by, and whose turn comes before its own."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, cast

from pydantic import ValidationError as PydanticError
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.border import digest_value
from flowforge.kit.errors import Detail, ValidationError
from flowforge.kit.values import JsonObject
from flowforge.runs.change_repository import change_row, change_turn, lock_run, replace_labels
from flowforge.runs.errors import RunEndedError, RunNotFoundError
from flowforge.runs.schemas import ChangeRunBody
from flowforge.runs.service import get_run
from flowforge.runs.start_request import LABELS_MAX
from flowforge.runs.types import RunHeader
from flowforge.web.conditions import check_if_match
from flowforge.web.faults import read_faults

_ETAG_LENGTH: Final = 32


def make_etag(header: RunHeader) -> str:
    """Marks the state of what can be changed."""
    return digest_value(describe_changeable(header)).rpartition(":")[2][:_ETAG_LENGTH]


def describe_changeable(header: RunHeader) -> JsonObject:
    return {"labels": dict(header.labels), "subject": header.subject, "priority": header.priority}


def check_patch(patch: JsonObject) -> JsonObject:
    """The patch, where it is one that `PATCH /runs/*` takes. Raises ValidationError, whose details name each field."""
    try:
        return cast("JsonObject", ChangeRunBody.model_validate(patch).model_dump(exclude_unset=True))
    except PydanticError as fault:
        details = read_faults(fault.errors())
        raise ValidationError(details[0].message, details) from None


async def change_run(
    session: AsyncSession, found: RunHeader, patch: JsonObject, *, if_match: str | None
) -> tuple[RunHeader, RunHeader]:
    """The run before and after a JSON Merge Patch of its labels, subject and priority; the types in it are checked.

    A claim takes the queue before the run, so this does too.

    Raises:
        PreconditionFailedError: the run is not in the state of `if_match`.
        RunEndedError: its turn is over, there is no priority any more.
        RunNotFoundError: it was deleted meanwhile.
        ValidationError: it would have too many labels.
    """
    priority = cast("int | None", patch.get("priority"))
    if priority is not None:
        await change_turn(session, found.workspace_id, found.no, priority)
    if not await lock_run(session, found.workspace_id, found.no):
        raise RunNotFoundError(found.id)
    before = await get_run(session, found.workspace_id, found.id)
    check_if_match(if_match, make_etag(before), is_required=False)
    after = _apply(before, patch)
    values = {name: value for name, value in (("subject", after.subject), ("priority", after.priority)) if name in patch}
    if values:
        await change_row(session, found.workspace_id, found.no, values)
    if after.labels != before.labels:
        await replace_labels(session, before, after.labels)
    if priority is not None:
        # Put into the queue since it was looked at.
        await change_turn(session, found.workspace_id, found.no, priority)
    return before, after


def _apply(before: RunHeader, patch: JsonObject) -> RunHeader:
    if "priority" in patch and not before.is_open:
        raise RunEndedError(before.id, before.status)
    labels = merge_labels(before.labels, cast("Mapping[str, str | None] | None", patch.get("labels", {})))
    subject = cast("str | None", patch.get("subject", before.subject))
    return replace(before, labels=labels, subject=subject, priority=cast("int", patch.get("priority", before.priority)))


def merge_labels(labels: Mapping[str, str], patch: Mapping[str, str | None] | None) -> dict[str, str]:
    """Labels with a patch applied; None takes all of them away. Raises ValidationError where there would be too many."""
    if patch is None:
        return {}
    merged: dict[str, str | None] = {**labels, **patch}
    kept = {key: value for key, value in merged.items() if value is not None}
    if len(kept) > LABELS_MAX:
        message = f"A run has at most {LABELS_MAX} labels, and this would make {len(kept)}; set others to null."
        raise ValidationError(message, [Detail("labels", message, "items")])
    return kept
