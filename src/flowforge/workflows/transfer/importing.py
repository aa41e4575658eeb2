"""Bringing a configuration in: planned first, then in one transaction, whole or not at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.border import encode
from flowforge.kit.values import JsonObject
from flowforge.web.lists import Asked
from flowforge.workflows import repository
from flowforge.workflows.drafts import create_row, write_draft
from flowforge.workflows.lists import PROJECTS
from flowforge.workflows.models import VersionRow, WorkflowRow
from flowforge.workflows.overrides import apply_document
from flowforge.workflows.ports import OnPublished
from flowforge.workflows.projects.service import change_project, create_project, list_projects
from flowforge.workflows.projects.sets import change_set, create_set
from flowforge.workflows.projects.types import Naming
from flowforge.workflows.reading import touch
from flowforge.workflows.templates.content import check_content
from flowforge.workflows.templates.service import change_template, create_template, get_template
from flowforge.workflows.templates.types import NewTemplate, TemplateKind
from flowforge.workflows.transfer.planning import NewVersion, Plan, name_template, read_part
from flowforge.workflows.transfer.schemas import Configuration, SetPart, TemplatePart, WorkflowPart

_ALL = 2**31


@dataclass(frozen=True, slots=True)
class Import:
    """One import under way: by whom, into which workspace, at which time."""

    session: AsyncSession
    actor: str
    workspace_id: str
    at_ms: int
    plan: Plan
    on_published: OnPublished | None


async def apply_plan(work: Import, given: Configuration) -> None:
    """Makes and changes what the plan says; what is the same or in conflict stays as it is.

    The definitions of the plan's new versions must be in the engine's store.

    Raises:
        AlreadyExistsError: somebody took a name since the plan was made; nothing may be committed then.
    """
    await _apply_projects(work, given)
    every = PROJECTS.read(Asked(_ALL))
    projects = {one.name: one.id for one in await list_projects(work.session, work.workspace_id, every, ids=None)}
    for workflow in given.workflows:
        if _is_wanted(work, "workflow", workflow.name):
            await _apply_workflow(work, workflow, projects)
    for one in given.workflow_sets:
        if _is_wanted(work, "workflow_set", one.name):
            await _apply_set(work, one, projects)
    for template in given.templates:
        if _is_wanted(work, "template", name_template(template)):
            await _apply_template(work, template)


def _is_wanted(work: Import, kind: str, name: str) -> bool:
    return work.plan.find_action(kind, name) in {"create", "update"}


async def _apply_projects(work: Import, given: Configuration) -> None:
    for part in given.projects:
        action = work.plan.find_action("project", part.name)
        if action == "create":
            naming = Naming(part.name, part.title, part.description)
            await create_project(work.session, work.actor, work.workspace_id, naming, at_ms=work.at_ms)
        elif action == "update":
            changes: JsonObject = {"title": part.title, "description": part.description}
            await change_project(work.session, work.actor, work.workspace_id, part.name, changes, at_ms=work.at_ms)


async def _apply_workflow(work: Import, part: WorkflowPart, projects: Mapping[str, str]) -> None:
    row = await repository.find_workflow(work.session, work.workspace_id, part.name, is_locked=True)
    if row is None:
        row = await create_row(work.session, work.actor, work.workspace_id, part.name, at_ms=work.at_ms)
    _add_versions(work, row, work.plan.versions.get(part.name, []))
    draft = await repository.find_draft(work.session, work.workspace_id, row.id)
    if part.draft is not None and draft is None:
        write_draft(work.session, work.actor, row, None, read_part(part.draft), at_ms=work.at_ms)
    row.project_id = None if part.project is None else projects[part.project]
    row.category, row.active, row.public = part.category, part.active, part.public
    row.current_version = part.current_version
    row.deprecated_at = work.at_ms if part.deprecated else None
    row.overrides = _write_overrides(part)
    document = work.plan.documents[part.name].document or {}
    apply_document(row, document)
    touch(row, work.actor, work.at_ms)
    await work.session.flush()
    if work.on_published is not None and row.current_version is not None:
        live = None if part.deprecated else document
        await work.on_published(work.session, work.actor, work.workspace_id, row.id, row.name, live, work.at_ms)


def _write_overrides(part: WorkflowPart) -> str | None:
    overrides: JsonObject = {}
    if part.title is not None:
        overrides["title"] = part.title
    if part.labels:
        overrides["labels"] = cast("JsonObject", part.labels)
    return encode(overrides).decode() if overrides else None


def _add_versions(work: Import, row: WorkflowRow, versions: Sequence[NewVersion]) -> None:
    for new in versions:
        source = read_part(new.part)
        work.session.add(
            VersionRow(
                workflow_id=row.id,
                version=new.part.version,
                digest=new.digest,
                source=source.data,
                format=source.format.value,
                note=new.part.note,
                published_at=work.at_ms,
                published_by=work.actor,
            )
        )


async def _apply_set(work: Import, part: SetPart, projects: Mapping[str, str]) -> None:
    ids: list[str] = []
    for name in part.workflows:
        row = await repository.find_workflow(work.session, work.workspace_id, name)
        if row is not None:  # a workflow that is in conflict may be missing
            ids.append(row.id)
    project_id = None if part.project is None else projects[part.project]
    if work.plan.find_action("workflow_set", part.name) == "create":
        naming = Naming(part.name, part.title, part.description)
        await create_set(
            work.session, work.actor, work.workspace_id, naming, project_id=project_id, workflow_ids=ids, at_ms=work.at_ms
        )
        return
    changes: JsonObject = {"title": part.title, "description": part.description, "project_id": project_id}
    changes["workflow_ids"] = [*ids]
    await change_set(work.session, work.actor, work.workspace_id, part.name, changes, at_ms=work.at_ms)


async def _apply_template(work: Import, part: TemplatePart) -> None:
    kind = TemplateKind(part.kind)
    content = check_content(kind, part.content)
    if work.plan.find_action("template", name_template(part)) == "create":
        new = NewTemplate(kind, part.name, content, part.title, part.description, part.category)
        await create_template(work.session, work.actor, work.workspace_id, new, at_ms=work.at_ms)
        return
    found = await get_template(work.session, work.workspace_id, part.name, kind=part.kind)
    changes: JsonObject = {
        "title": part.title,
        "description": part.description,
        "category": part.category,
        "content": content,
    }
    await change_template(work.session, work.actor, work.workspace_id, found.id, changes, at_ms=work.at_ms)
