"""The filters of the list of workflows, as conditions of its query."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from sqlalchemy import ColumnElement, and_, false, func, or_
from sqlalchemy.orm import InstrumentedAttribute

from flowforge.kit.border import encode
from flowforge.kit.ids import parse_id
from flowforge.web.errors import ParameterError
from flowforge.web.lists import Condition
from flowforge.workflows.models import WorkflowRow
from flowforge.workflows.types import NOT_DELETED_MS

ALLOWED: Final[Mapping[str, Sequence[str]]] = {
    "name": ("eq", "in", "contains", "starts_with"),
    "title": ("eq", "contains", "starts_with"),
    "category": ("eq", "in"),
    "project_id": ("eq", "in"),
    "active": ("eq",),
    "public": ("eq",),
    "status": ("eq", "in"),
    "labels.*": ("eq", "in", "starts_with"),
}
"""What `where` may ask, by field."""

_IS_LIVING: Final = WorkflowRow.deleted_at == NOT_DELETED_MS
_IS_CURRENT: Final = and_(_IS_LIVING, WorkflowRow.deprecated_at.is_(None), WorkflowRow.current_version.is_not(None))
_STATUSES: Final[Mapping[str, ColumnElement[bool]]] = {
    "deleted": ~_IS_LIVING,
    "deprecated": and_(_IS_LIVING, WorkflowRow.deprecated_at.is_not(None)),
    "draft": and_(_IS_LIVING, WorkflowRow.deprecated_at.is_(None), WorkflowRow.current_version.is_(None)),
    "inactive": and_(_IS_CURRENT, WorkflowRow.active.is_(False)),
    "published": and_(_IS_CURRENT, WorkflowRow.active.is_(True)),
}
"""As `WorkflowSummary.status` has it."""


def make_condition(wanted: Condition) -> ColumnElement[bool]:
    """The condition of one `where`.

    Raises:
        ParameterError: `where_invalid`: the field has no such value.
        InvalidIdError: a project's id is none.
    """
    if wanted.field.startswith("labels."):
        return _match_label(wanted.field.removeprefix("labels."), wanted)
    return _MAKERS[wanted.field](wanted)


def match_text(text: str) -> ColumnElement[bool]:
    """Names and titles that hold the text literally, in upper or lower case."""
    return _contains(WorkflowRow.name, text) | _contains(WorkflowRow.title, text)


def _match_text(column: InstrumentedAttribute[str]) -> Callable[[Condition], ColumnElement[bool]]:
    def make(wanted: Condition) -> ColumnElement[bool]:
        if wanted.op == "contains":
            return _contains(column, wanted.value)
        if wanted.op == "starts_with":
            return func.lower(column).startswith(wanted.value.lower(), autoescape=True)
        return column.in_(wanted.values)

    return make


def _contains(column: InstrumentedAttribute[str], text: str) -> ColumnElement[bool]:
    return func.lower(column).contains(text.lower(), autoescape=True)


def _match_project(wanted: Condition) -> ColumnElement[bool]:
    return WorkflowRow.project_id.in_([parse_id(value.lower(), "prj") for value in wanted.values])


def _match_flag(column: InstrumentedAttribute[bool]) -> Callable[[Condition], ColumnElement[bool]]:
    def make(wanted: Condition) -> ColumnElement[bool]:
        if wanted.value not in {"true", "false"}:
            raise ParameterError("where", f"{wanted.field} is true or false.", "where_invalid")
        return column.is_(wanted.value == "true")

    return make


def _match_status(wanted: Condition) -> ColumnElement[bool]:
    unknown = [value for value in wanted.values if value not in _STATUSES]
    if unknown:
        raise ParameterError("where", f"status is one of {', '.join(_STATUSES)}.", "where_invalid")
    return or_(false(), *(_STATUSES[value] for value in wanted.values))


def _match_label(name: str, wanted: Condition) -> ColumnElement[bool]:
    """Looks for `"name":"value"` in the labels' JSON: quotes inside of texts are escaped there, so that it is found nowhere else.

    By `replace`, because it compares byte by byte in each of the databases, which `LIKE` does not.
    """
    end = "" if wanted.op == "starts_with" else '"'
    start = encode(name).decode() + ":"
    sought = [start + encode(value).decode()[:-1] + end for value in wanted.values]
    return or_(false(), *(func.replace(WorkflowRow.labels, text, "") != WorkflowRow.labels for text in sought))


_MAKERS: Final[Mapping[str, Callable[[Condition], ColumnElement[bool]]]] = {
    "name": _match_text(WorkflowRow.name),
    "title": _match_text(WorkflowRow.title),
    "category": _match_text(WorkflowRow.category),
    "project_id": _match_project,
    "active": _match_flag(WorkflowRow.active),
    "public": _match_flag(WorkflowRow.public),
    "status": _match_status,
}
