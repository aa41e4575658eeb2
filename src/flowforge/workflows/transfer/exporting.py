"""Reading a workspace's configuration."""

from collections.abc import Sequence
from typing import Literal, cast

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.language.times import format_timestamp_ms
from flowforge.vault.service import list_variables
from flowforge.web.lists import Asked
from flowforge.workflows import repository
from flowforge.workflows.lists import PROJECTS, SETS, TEMPLATES
from flowforge.workflows.models import DraftRow, VersionRow, WorkflowRow
from flowforge.workflows.overrides import read_overrides
from flowforge.workflows.projects.service import list_projects
from flowforge.workflows.projects.sets import list_sets
from flowforge.workflows.reading import find_row
from flowforge.workflows.templates.service import list_templates
from flowforge.workflows.transfer.schemas import (
    Configuration,
    DraftPart,
    ProjectPart,
    SetPart,
    TemplatePart,
    VersionPart,
    WorkflowPart,
)
from flowforge.workflows.types import NOT_DELETED_MS

_ALL = 2**31


async def export_configuration(
    session: AsyncSession, workspace_id: str, *, names: Sequence[str] | None = None, at_ms: int
) -> Configuration:
    """Everything of the workspace; with `names` these workflows and their projects alone.

    Raises:
        WorkflowNotFoundError: there is no workflow of one of the names.
    """
    rows = await _list_rows(session, workspace_id, names)
    projects = await list_projects(session, workspace_id, PROJECTS.read(Asked(_ALL)), ids=None)
    project_names = {project.id: project.name for project in projects}
    workflows = [await _export_workflow(session, row, project_names) for row in rows]
    used = {workflow.project for workflow in workflows}
    parts = [ProjectPart(name=one.name, title=one.title, description=one.description) for one in projects]
    if names is not None:
        return Configuration(
            exported_at=format_timestamp_ms(at_ms), projects=[part for part in parts if part.name in used], workflows=workflows
        )
    workflow_names = {row.id: row.name for row in rows}
    return Configuration(
        exported_at=format_timestamp_ms(at_ms),
        projects=parts,
        workflows=workflows,
        workflow_sets=await _export_sets(session, workspace_id, project_names, workflow_names),
        templates=await export_templates(session, workspace_id),
        variables=[variable.name for variable in await list_variables(session, workspace_id)],
    )


async def _list_rows(session: AsyncSession, workspace_id: str, names: Sequence[str] | None) -> Sequence[WorkflowRow]:
    if names is not None:
        return [await find_row(session, workspace_id, name) for name in dict.fromkeys(names)]
    living = [WorkflowRow.deleted_at == NOT_DELETED_MS]
    return await repository.select_workflows(session, workspace_id, living, [WorkflowRow.name], limit=_ALL)


async def _export_workflow(session: AsyncSession, row: WorkflowRow, project_names: dict[str, str]) -> WorkflowPart:
    versions = await repository.list_versions_with_source(session, row.workspace_id, row.id)
    draft = await repository.find_draft(session, row.workspace_id, row.id)
    overrides = read_overrides(row)
    return WorkflowPart(
        name=row.name,
        project=project_names.get(row.project_id or ""),
        category=row.category,
        active=row.active,
        public=row.public,
        title=cast("str | None", overrides.get("title")),
        labels=cast("dict[str, str | None]", overrides.get("labels") or {}),
        deprecated=row.deprecated_at is not None,
        current_version=row.current_version,
        versions=[
            VersionPart(version=version.version, note=version.note, format=_format(version), source=_source(version))
            for version in versions
        ],
        draft=None if draft is None else DraftPart(format=_format(draft), source=_source(draft)),
    )


def _format(row: VersionRow | DraftRow) -> Literal["yaml", "json"]:
    return "json" if row.format == "json" else "yaml"


def _source(row: VersionRow | DraftRow) -> str:
    return row.source.decode("utf-8", "replace")


async def _export_sets(
    session: AsyncSession, workspace_id: str, project_names: dict[str, str], workflow_names: dict[str, str]
) -> list[SetPart]:
    return [
        SetPart(
            name=one.name,
            project=project_names.get(one.project_id or ""),
            title=one.title,
            description=one.description,
            workflows=[workflow_names[workflow_id] for workflow_id in one.workflow_ids],
        )
        for one in await list_sets(session, workspace_id, SETS.read(Asked(_ALL)), project_ids=None)
    ]


async def export_templates(session: AsyncSession, workspace_id: str) -> list[TemplatePart]:
    """The templates of the workspace, by name."""
    return [
        TemplatePart(
            kind=one.kind.value,
            name=one.name,
            title=one.title,
            description=one.description,
            category=one.category,
            content=one.content,
        )
        for one in await list_templates(session, workspace_id, TEMPLATES.read(Asked(_ALL)), kind=None)
    ]
