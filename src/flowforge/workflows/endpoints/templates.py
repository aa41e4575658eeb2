"""Templates: workflows, steps and mails to begin from. Preview and use change nothing."""

import asyncio
from typing import Annotated, Any, Final, Literal, cast

from fastapi import Query, Response
from pydantic import Field, model_validator
from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.audit.service import record
from flowforge.kit.values import JsonObject
from flowforge.language.times import format_timestamp_ms
from flowforge.web.bodies import Answer, Body, JsonField, Prose, Title, show
from flowforge.web.calls import Call, CallIn
from flowforge.web.documenting import ErrorDetail
from flowforge.web.lists import Asked, Page
from flowforge.web.queries import IncludeDeletedIn, make_asked
from flowforge.web.routing import Router
from flowforge.workflows.documenting import write_documentation
from flowforge.workflows.endpoints.bodies import Category, Document, refuse_read_only
from flowforge.workflows.endpoints.looking import describe_details
from flowforge.workflows.endpoints.projects import Name, PermanentIn
from flowforge.workflows.lists import TEMPLATES
from flowforge.workflows.ports import Compiler
from flowforge.workflows.subjects import read_subject
from flowforge.workflows.templates import service
from flowforge.workflows.templates.content import check_content, fill_step, name_workflow, render_mail
from flowforge.workflows.templates.errors import TemplateInvalidError, TemplateNameTakenError, TemplateNotFoundError
from flowforge.workflows.templates.types import Mail, NewTemplate, Template, TemplateKind

router = Router("templates", "/templates")

_READ_ONLY: Final = frozenset(
    {"id", "workspace_id", "kind", "created_at", "created_by", "updated_at", "updated_by", "deleted_at"}
)
_MAIL: Final = {"subject": "Order {{ id }}", "text": "Dear {{ name }}, it is on its way.", "sample": {"id": 7, "name": "Ada"}}

Kind = Literal["workflow", "step", "mail"]
KindIn = Annotated[Kind | None, Query(description="Templates of one kind; makes a name clear that several kinds have.")]
Content = Annotated[
    Document,
    Field(
        description="`{yaml}` or `{document}`; `{step}`; or `{subject, text, html?, sample?}` in Jinja's language.",
        examples=[_MAIL],
    ),
]


class CreateTemplateBody(Body):
    model_config = show(
        {
            "kind": "mail",
            "name": "on-its-way",
            "title": "Your order is on its way",
            "content": {
                "subject": "Order {{ id }}",
                "text": "Dear {{ name }}, it is on its way.",
                "sample": {"id": 7, "name": "Ada"},
            },
        }
    )

    kind: Kind
    name: Name
    title: Title | None = None
    description: Prose = ""
    category: Category | None = None
    content: Content


class ChangeTemplateBody(Body):
    """A JSON Merge Patch, but `content` is replaced as a whole."""

    name: Name = ""
    title: Title = ""
    description: Prose = ""
    category: Category | None = None
    content: Content = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _refuse(cls, value: Any) -> Any:
        return refuse_read_only(value, _READ_ONLY)


class PreviewBody(Body):
    """What is shown instead of what is stored, while it is being written."""

    model_config = show({"data": {"id": 7, "name": "Ada"}})

    content: Content | None = None
    data: Document | None = Field(default=None, description="For a mail, instead of the template's sample.")


class UseBody(Body):
    """What the template is filled with: `name` for a workflow, `id` and `with` for a step, `data` for a mail."""

    model_config = show({"data": {"id": 7, "name": "Ada"}})

    name: str | None = Field(default=None, max_length=63, description="The new workflow's name.")
    id: str | None = Field(default=None, max_length=63, description="The new step's id.")
    with_: Document | None = Field(default=None, alias="with", description="Parameters of the step.")
    data: Document | None = Field(default=None, description="For the mail; all that it names must be there.")


class TemplateAnswer(Answer):
    id: str = Field(examples=["tpl_01k3v6m5w8e9q2r4t6y8a0c2d4"])
    kind: str
    name: str
    title: str
    description: str
    category: str
    content: dict[str, Any]
    created_at: str
    created_by: str
    updated_at: str
    updated_by: str
    deleted_at: str | None


class MailAnswer(Answer):
    subject: str
    text: str
    html: str | None


class FilledAnswer(Answer):
    """What came of the template: of these the field of its kind. A workflow comes as the body that POST /workflows takes."""

    kind: str
    yaml: str | None = None
    document: JsonField = None
    faults: list[ErrorDetail] = Field(default_factory=list[ErrorDetail])
    markdown: str | None = Field(default=None, description="The workflow's documentation, in previews.")
    step: dict[str, Any] | None = None
    mail: MailAnswer | None = None


@router.post("", "template:manage", status=201, errors=[TemplateInvalidError, TemplateNameTakenError])
async def create(call: CallIn, body: CreateTemplateBody, response: Response) -> TemplateAnswer:
    """Keep a template."""
    call.require("template:manage")
    kind = TemplateKind(body.kind)
    content = await asyncio.to_thread(check_content, kind, body.content)
    new = NewTemplate(kind, body.name, content, body.title or "", body.description, body.category or "")
    async with call.change() as session:
        made = await service.create_template(session, call.actor, call.workspace_id, new, at_ms=call.now_ms)
        await record(session, call, "template.created", "template", made.id, after=_describe(made))
    response.headers["location"] = f"/api/v1/templates/{made.id}"
    return _answer(made)


@router.get("", "template:read")
async def list_(
    call: CallIn,
    asked: Annotated[Asked, make_asked(TEMPLATES)],
    *,
    kind: KindIn = None,
    include_deleted: IncludeDeletedIn = False,
) -> Page[TemplateAnswer]:
    """The templates, by name."""
    selection = TEMPLATES.read(asked, call.workspace_id, kind, include_deleted)
    async with call.report() as session:
        found = await service.list_templates(session, call.workspace_id, selection, kind=kind, include_deleted=include_deleted)
    kept, next_cursor = selection.cut(found)
    return Page(data=[_answer(template) for template in kept], next_cursor=next_cursor)


@router.get("/{template}", "template:read", errors=[TemplateNotFoundError])
async def get(call: CallIn, template: str, *, kind: KindIn = None, include_deleted: IncludeDeletedIn = False) -> TemplateAnswer:
    """One template, by id or name."""
    async with call.read() as session:
        return _answer(await _find(session, call, template, kind=kind, include_deleted=include_deleted))


@router.patch("/{template}", "template:manage", errors=[TemplateNotFoundError, TemplateInvalidError, TemplateNameTakenError])
async def change(call: CallIn, template: str, body: ChangeTemplateBody, *, kind: KindIn = None) -> TemplateAnswer:
    """Change a template. What was made of it stays as it is."""
    call.require("template:manage")
    changes = cast("JsonObject", body.model_dump(exclude_unset=True))
    if "category" in changes:
        changes["category"] = body.category or ""
    async with call.read() as session:
        before = await _find(session, call, template, kind=kind)
    if "content" in changes:
        changes["content"] = await asyncio.to_thread(check_content, before.kind, body.content)
    async with call.change() as session:
        before = await _find(session, call, before.id)
        after = await service.change_template(session, call.actor, call.workspace_id, before.id, changes, at_ms=call.now_ms)
        if changes:
            await record(
                session, call, "template.updated", "template", after.id, before=_describe(before), after=_describe(after)
            )
    return _answer(after)


@router.delete("/{template}", "template:manage", status=204, errors=[TemplateNotFoundError])
async def delete(call: CallIn, template: str, *, kind: KindIn = None, permanent: PermanentIn = False) -> Response:
    """Delete a template; it can be restored, unless it is `permanent`."""
    call.require("template:manage")
    async with call.change() as session:
        found = await _find(session, call, template, kind=kind, include_deleted=permanent)
        await service.delete_template(session, call.actor, call.workspace_id, found.id, at_ms=call.now_ms, is_permanent=permanent)
        action = "template.purged" if permanent else "template.deleted"
        await record(session, call, action, "template", found.id, before=_describe(found))
    return Response(status_code=204)


@router.post("/{template}/restore", "template:manage", errors=[TemplateNotFoundError, TemplateNameTakenError])
async def restore(call: CallIn, template: str, *, kind: KindIn = None) -> TemplateAnswer:
    """Bring back a deleted template."""
    call.require("template:manage")
    async with call.change() as session:
        found = await _find(session, call, template, kind=kind, include_deleted=True)
        after = await service.restore_template(session, call.actor, call.workspace_id, found.id, at_ms=call.now_ms)
        if found.deleted_at_ms is not None:
            await record(session, call, "template.restored", "template", after.id, after=_describe(after))
    return _answer(after)


@router.post("/{template}/preview", "template:read", errors=[TemplateNotFoundError, TemplateInvalidError])
async def preview(call: CallIn, template: str, body: PreviewBody | None = None, *, kind: KindIn = None) -> FilledAnswer:
    """What would come of the template, with its own sample or with `data`; what is missing in them is empty. Nothing is stored."""
    async with call.read() as session:
        found = await _find(session, call, template, kind=kind)
    given = PreviewBody() if body is None else body
    content = found.content if given.content is None else await asyncio.to_thread(check_content, found.kind, given.content)
    return await asyncio.to_thread(_preview, call.port(Compiler), found.kind, content, given.data)


def _preview(compiler: Compiler, kind: TemplateKind, content: JsonObject, data: JsonObject | None) -> FilledAnswer:
    if kind is TemplateKind.MAIL:
        return FilledAnswer(kind=kind, mail=_answer_mail(render_mail(content, data, is_strict=False)))
    if kind is TemplateKind.STEP:
        return FilledAnswer(kind=kind, step=fill_step(content, None, {}))
    return _fill_workflow(compiler, content, None, has_markdown=True)


@router.post("/{template}/use", "template:read", errors=[TemplateNotFoundError, TemplateInvalidError])
async def use(call: CallIn, template: str, body: UseBody | None = None, *, kind: KindIn = None) -> FilledAnswer:
    """Fill a template: the workflow under its new name, the step with its parameters, the mail with its data. Nothing is stored.

    A workflow comes as the `yaml` that POST /workflows takes.
    """
    async with call.read() as session:
        found = await _find(session, call, template, kind=kind)
    return await asyncio.to_thread(_use, call.port(Compiler), found, UseBody() if body is None else body)


def _use(compiler: Compiler, found: Template, body: UseBody) -> FilledAnswer:
    if found.kind is TemplateKind.MAIL:
        return FilledAnswer(kind=found.kind, mail=_answer_mail(render_mail(found.content, body.data or {}, is_strict=True)))
    if found.kind is TemplateKind.STEP:
        return FilledAnswer(kind=found.kind, step=fill_step(found.content, body.id, body.with_ or {}))
    return _fill_workflow(compiler, found.content, body.name, has_markdown=False)


def _fill_workflow(compiler: Compiler, content: JsonObject, name: str | None, *, has_markdown: bool) -> FilledAnswer:
    text, checked = name_workflow(content, name, compiler.check_source)
    markdown = None
    if has_markdown and checked.workflow is not None:
        markdown = write_documentation(checked.workflow, version=None)
    faults = describe_details(checked.errors)
    told = {"kind": "workflow", "yaml": text, "document": checked.document, "faults": faults, "markdown": markdown}
    return FilledAnswer.model_validate(told)


async def _find(
    session: AsyncSession, call: Call, text: str, *, kind: Kind | None = None, include_deleted: bool = False
) -> Template:
    subject = read_subject(text, "tpl")
    return await service.get_template(session, call.workspace_id, subject, kind=kind, include_deleted=include_deleted)


def _describe(template: Template) -> JsonObject:
    return {
        "kind": template.kind.value,
        "name": template.name,
        "title": template.title,
        "description": template.description,
        "category": template.category,
        "content": template.content,
    }


def _answer_mail(mail: Mail) -> MailAnswer:
    return MailAnswer(subject=mail.subject, text=mail.text, html=mail.html)


def _answer(template: Template) -> TemplateAnswer:
    return TemplateAnswer(
        id=template.id,
        kind=template.kind.value,
        name=template.name,
        title=template.title,
        description=template.description,
        category=template.category,
        content=template.content,
        created_at=format_timestamp_ms(template.created_at_ms),
        created_by=template.created_by,
        updated_at=format_timestamp_ms(template.updated_at_ms),
        updated_by=template.updated_by,
        deleted_at=None if template.deleted_at_ms is None else format_timestamp_ms(template.deleted_at_ms),
    )
