"""What an import would do with each item, found without changing anything."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from flowforge.kit.border import encode_canonical
from flowforge.language.reading.document_reader import DocumentFormat
from flowforge.workflows.templates.content import check_content
from flowforge.workflows.templates.errors import TemplateInvalidError
from flowforge.workflows.templates.types import TemplateKind
from flowforge.workflows.transfer.schemas import (
    Configuration,
    DraftPart,
    ImportedItem,
    SetPart,
    TemplatePart,
    VersionPart,
    WorkflowPart,
)
from flowforge.workflows.types import CheckDocument, Checked, Source

Action = Literal["create", "update", "same", "conflict"]
PartT = TypeVar("PartT")


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A version that is to be made, compiled."""

    part: VersionPart
    digest: str
    definition: bytes


@dataclass(frozen=True, slots=True)
class Plan:
    """`versions` and `documents`: by workflow, what is to be made, and the document that its title and labels come from."""

    items: list[ImportedItem] = field(default_factory=list[ImportedItem])
    versions: dict[str, list[NewVersion]] = field(default_factory=dict[str, list[NewVersion]])
    documents: dict[str, Checked] = field(default_factory=dict[str, Checked])
    secrets: set[str] = field(default_factory=set[str])

    def find_action(self, kind: str, name: str) -> Action:
        return next(item.action for item in self.items if item.kind == kind and item.name == name)

    def list_conflicts(self) -> list[ImportedItem]:
        return [item for item in self.items if item.action == "conflict"]


class _ConflictError(Exception):
    """Why an item cannot be imported."""


def make_plan(given: Configuration, present: Configuration, check: CheckDocument) -> Plan:
    """`present`: what is here now, exported. Compiles what is new: work for the processor, safe in a thread."""
    plan = Plan()
    projects = {one.name: one for one in present.projects}
    for project in given.projects:
        _judge(plan, "project", project.name, project, projects.get(project.name), _accept)
    workflows = {one.name: one for one in present.workflows}
    known_projects = {*projects, *(one.name for one in given.projects)}
    for workflow in given.workflows:
        here = workflows.get(workflow.name)

        def examine(part: WorkflowPart, here: WorkflowPart | None = here) -> None:
            _require_project(part.project, known_projects)
            _examine_workflow(plan, part, here, check)

        _judge(plan, "workflow", workflow.name, workflow, here, examine)
    _plan_sets(plan, given, present, known_projects)
    _plan_templates(plan, given, present)
    return plan


def _judge(plan: Plan, kind: str, name: str, part: PartT, here: PartT | None, examine: Callable[[PartT], None]) -> None:
    if any(item.kind == kind and item.name == name for item in plan.items):
        plan.items.append(ImportedItem(kind=kind, name=name, action="conflict", message="it stands twice in the file"))
        return
    if part == here:
        plan.items.append(ImportedItem(kind=kind, name=name, action="same"))
        return
    try:
        examine(part)
    except _ConflictError as fault:
        plan.items.append(ImportedItem(kind=kind, name=name, action="conflict", message=str(fault)))
        return
    plan.items.append(ImportedItem(kind=kind, name=name, action="create" if here is None else "update"))


def _accept(_part: object) -> None:
    """Nothing of it can be in the way."""


def _require_project(name: str | None, known: set[str]) -> None:
    if name is not None and name not in known:
        raise _ConflictError(f"its project {name} is neither in the file nor here")


def _examine_workflow(plan: Plan, part: WorkflowPart, here: WorkflowPart | None, check: CheckDocument) -> None:
    held = [] if here is None else here.versions
    numbers = [version.version for version in part.versions]
    if numbers != sorted(set(numbers)):
        raise _ConflictError("its versions are not in order")
    if part.current_version is not None and part.current_version not in numbers:
        raise _ConflictError(f"its current version {part.current_version} is not in the file")
    if part.current_version is None and here is not None and here.current_version is not None:
        raise _ConflictError("it is published here, and not in the file")
    if [*held] != part.versions[: len(held)]:
        raise _ConflictError("it has other versions here")
    if here is not None and here.draft is not None and here.draft != part.draft:
        raise _ConflictError("it has another draft here; publish or delete that first")
    made = [_compile(part.name, version, check) for version in part.versions[len(held) :]]
    plan.versions[part.name] = [version for version, _ in made]
    plan.documents[part.name] = _find_document(part, check)
    for checked in (*(checked for _, checked in made), plan.documents[part.name]):
        plan.secrets.update(() if checked.workflow is None else checked.workflow.secrets)


def _compile(name: str, part: VersionPart, check: CheckDocument) -> tuple[NewVersion, Checked]:
    checked = check(read_part(part))
    if checked.workflow is None or checked.document is None:
        first = checked.errors[0].message if checked.errors else "it has faults"
        raise _ConflictError(f"version {part.version} cannot be used here: {first}")
    if checked.workflow.name != name:
        raise _ConflictError(f"version {part.version} is a document of {checked.workflow.name}")
    return NewVersion(part, checked.workflow.digest, encode_canonical(checked.workflow.document)), checked


def _find_document(part: WorkflowPart, check: CheckDocument) -> Checked:
    current = next((version for version in part.versions if version.version == part.current_version), None)
    found = current or part.draft
    return Checked(None, None, [], []) if found is None else check(read_part(found))


def read_part(part: VersionPart | DraftPart) -> Source:
    return Source(part.source.encode(), DocumentFormat(part.format))


def _plan_sets(plan: Plan, given: Configuration, present: Configuration, known_projects: set[str]) -> None:
    sets: Mapping[str, SetPart] = {one.name: one for one in present.workflow_sets}
    known = {one.name for one in (*present.workflows, *given.workflows)}

    def examine(part: SetPart) -> None:
        _require_project(part.project, known_projects)
        missing = [name for name in part.workflows if name not in known]
        if missing:
            raise _ConflictError(f"its workflows {', '.join(missing)} are neither in the file nor here")
        if len(set(part.workflows)) < len(part.workflows):
            raise _ConflictError("a workflow stands twice in it")

    for one in given.workflow_sets:
        _judge(plan, "workflow_set", one.name, one, sets.get(one.name), examine)


def _plan_templates(plan: Plan, given: Configuration, present: Configuration) -> None:
    templates = {name_template(one): one for one in present.templates}
    for one in given.templates:
        name = name_template(one)
        _judge(plan, "template", name, one, templates.get(name), _examine_template)


def name_template(part: TemplatePart) -> str:
    """Its name in a plan: names are unique within a kind."""
    return f"{part.kind}/{part.name}"


def _examine_template(part: TemplatePart) -> None:
    try:
        check_content(TemplateKind(part.kind), part.content)
    except TemplateInvalidError as fault:
        raise _ConflictError(fault.message) from fault


def list_missing(names: Sequence[str], present: Sequence[str]) -> list[str]:
    """Those that are not there, in order."""
    return sorted(set(names) - set(present))
