"""What the lists of workflows, projects, sets, templates and versions can be asked for."""

from typing import Final

from sqlalchemy import ColumnElement, and_, false, func, or_

from flowforge.kit.border import encode
from flowforge.kit.ids import parse_id
from flowforge.web.lists import Condition
from flowforge.web.selecting import Filter, ListForm, by, exact, flag, moment, number, state, text
from flowforge.workflows.models import ProjectRow, TemplateRow, VersionRow, WorkflowRow, WorkflowSetRow
from flowforge.workflows.types import NOT_DELETED_MS

_IS_LIVING: Final = WorkflowRow.deleted_at == NOT_DELETED_MS
_IS_CURRENT: Final = and_(_IS_LIVING, WorkflowRow.deprecated_at.is_(None), WorkflowRow.current_version.is_not(None))


def _match_project(wanted: Condition) -> ColumnElement[bool]:
    return WorkflowRow.project_id.in_([parse_id(value.lower(), "prj") for value in wanted.values])


def _match_label(wanted: Condition) -> ColumnElement[bool]:
    """Looks for `"name":"value"` in the labels' JSON: quotes inside of texts are escaped there, so that it is found nowhere else.

    By `replace`, because it compares byte by byte in each of the databases, which `LIKE` does not.
    """
    end = "" if wanted.op == "starts_with" else '"'
    start = encode(wanted.field.removeprefix("labels.")).decode() + ":"
    sought = [start + encode(value).decode()[:-1] + end for value in wanted.values]
    return or_(false(), *(func.replace(WorkflowRow.labels, part, "") != WorkflowRow.labels for part in sought))


WORKFLOWS: Final = ListForm(
    "workflows",
    sorts={"name": by(WorkflowRow.name), "updated_at": by(WorkflowRow.updated_at, "updated_at_ms")},
    default="name",
    unique=by(WorkflowRow.id),
    filters={
        "name": text(WorkflowRow.name),
        "title": text(WorkflowRow.title),
        "category": text(WorkflowRow.category),
        "project_id": Filter(("eq", "in"), _match_project),
        "active": flag(WorkflowRow.active.is_(True)),
        "public": flag(WorkflowRow.public.is_(True)),
        # As `WorkflowSummary.status` has it.
        "status": state(
            {
                "deleted": ~_IS_LIVING,
                "deprecated": and_(_IS_LIVING, WorkflowRow.deprecated_at.is_not(None)),
                "draft": and_(_IS_LIVING, WorkflowRow.deprecated_at.is_(None), WorkflowRow.current_version.is_(None)),
                "inactive": and_(_IS_CURRENT, WorkflowRow.active.is_(False)),
                "published": and_(_IS_CURRENT, WorkflowRow.active.is_(True)),
            }
        ),
        "labels.*": Filter(("eq", "in", "starts_with"), _match_label),
        "created_at": moment(WorkflowRow.created_at),
        "updated_at": moment(WorkflowRow.updated_at),
    },
    search={"name": WorkflowRow.name, "title": WorkflowRow.title},
)
PROJECTS: Final = ListForm(
    "projects",
    sorts={
        "name": by(ProjectRow.name),
        "created_at": by(ProjectRow.id),
        "updated_at": by(ProjectRow.updated_at, "updated_at_ms"),
    },
    default="name",
    unique=by(ProjectRow.id),
    filters={
        "name": text(ProjectRow.name),
        "title": text(ProjectRow.title),
        "created_at": moment(ProjectRow.created_at),
        "created_by": exact(ProjectRow.created_by),
        "updated_at": moment(ProjectRow.updated_at),
    },
    search={"name": ProjectRow.name, "title": ProjectRow.title},
)
SETS: Final = ListForm(
    "workflow_sets",
    sorts={
        "name": by(WorkflowSetRow.name),
        "created_at": by(WorkflowSetRow.id),
        "updated_at": by(WorkflowSetRow.updated_at, "updated_at_ms"),
    },
    default="name",
    unique=by(WorkflowSetRow.id),
    filters={
        "name": text(WorkflowSetRow.name),
        "title": text(WorkflowSetRow.title),
        "project_id": exact(WorkflowSetRow.project_id),
        "created_at": moment(WorkflowSetRow.created_at),
        "created_by": exact(WorkflowSetRow.created_by),
        "updated_at": moment(WorkflowSetRow.updated_at),
    },
    search={"name": WorkflowSetRow.name, "title": WorkflowSetRow.title},
)
TEMPLATES: Final = ListForm(
    "templates",
    sorts={
        "name": by(TemplateRow.name),
        "created_at": by(TemplateRow.id),
        "updated_at": by(TemplateRow.updated_at, "updated_at_ms"),
    },
    default="name",
    unique=by(TemplateRow.id),
    filters={
        "name": text(TemplateRow.name),
        "title": text(TemplateRow.title),
        "kind": exact(TemplateRow.kind),
        "category": text(TemplateRow.category),
        "created_at": moment(TemplateRow.created_at),
        "created_by": exact(TemplateRow.created_by),
        "updated_at": moment(TemplateRow.updated_at),
    },
    search={"name": TemplateRow.name, "title": TemplateRow.title},
)
VERSIONS: Final = ListForm(
    "versions",
    sorts={"version": by(VersionRow.version)},
    default="-version",
    unique=by(VersionRow.version),
    filters={
        "version": number(VersionRow.version),
        "note": text(VersionRow.note),
        "published_at": moment(VersionRow.published_at),
        "published_by": exact(VersionRow.published_by),
    },
    search={"note": VersionRow.note},
)
