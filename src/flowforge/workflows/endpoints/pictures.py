"""A workflow shown: its documentation, its graph, the form that starts it."""

from typing import Annotated, Any, Final

from fastapi import Query
from pydantic import Field
from starlette.responses import PlainTextResponse, Response

from flowforge.kit.values import JsonObject
from flowforge.language.graph import Workflow
from flowforge.language.inputs import fill_in_defaults
from flowforge.web.bodies import Answer, JsonField
from flowforge.web.callers import SIGNED_IN
from flowforge.web.calls import Call, CallIn
from flowforge.web.routing import Router
from flowforge.workflows.documenting import write_documentation
from flowforge.workflows.endpoints.looking import check_source, find_seen, read_version
from flowforge.workflows.errors import (
    DocumentInvalidError,
    DraftNotFoundError,
    NotPublishedError,
    VersionNotFoundError,
    WorkflowNotFoundError,
)
from flowforge.workflows.picturing import draw_picture
from flowforge.workflows.reading import DRAFT, export_workflow

router = Router("workflows", "/workflows/{workflow}")

VersionIn = Annotated[
    str | None,
    Query(max_length=20, description="A version, or draft; else the published one, or the draft where nothing is published."),
]
_ERRORS: Final = [WorkflowNotFoundError, VersionNotFoundError, DraftNotFoundError, NotPublishedError, DocumentInvalidError]


class MarkdownResponse(PlainTextResponse):
    media_type = "text/markdown"


class NodeAnswer(Answer):
    id: str = Field(description="Unique in the picture; inside of loops with the loop before it.", examples=["items/fetch"])
    step: str
    uses: str
    title: str
    section: str = Field(description="steps, on_failure or finally.")
    within: str | None = Field(description="The node of the loop that holds it.")
    ports: list[str]
    conditional: bool
    effect: bool


class EdgeAnswer(Answer):
    from_: str = Field(alias="from")
    port: str
    to: str
    ordinary: bool = Field(description="Whether its port goes without saying.")


class GraphAnswer(Answer):
    nodes: list[NodeAnswer]
    edges: list[EdgeAnswer]


class StartFormAnswer(Answer):
    workflow_id: str
    name: str
    title: str
    description: str
    version: int | None = Field(description="Null: of the draft.")
    input_schema: dict[str, Any] = Field(alias="schema", description="The JSON Schema (2020-12) of the input.")
    defaults: JsonField = Field(description="An input of the schema's defaults.")


@router.get("/docs", SIGNED_IN, errors=_ERRORS, response_class=MarkdownResponse, response_model=None)
async def docs(call: CallIn, workflow: str, *, version: VersionIn = None) -> Response:
    """The workflow's documentation in Markdown, with a Mermaid diagram."""
    _, number, compiled = await _compile(call, workflow, version)
    return MarkdownResponse(write_documentation(compiled, version=number))


@router.get("/graph", SIGNED_IN, errors=_ERRORS)
async def graph(call: CallIn, workflow: str, *, version: VersionIn = None) -> GraphAnswer:
    """Its steps as nodes and edges, for a canvas."""
    _, _, compiled = await _compile(call, workflow, version)
    return GraphAnswer.model_validate(draw_picture(compiled).to_json())


@router.get("/start-form", SIGNED_IN, errors=_ERRORS)
async def start_form(call: CallIn, workflow: str, *, version: VersionIn = None) -> StartFormAnswer:
    """What a form needs that starts it: the schema of the input, and its defaults."""
    workflow_id, number, compiled = await _compile(call, workflow, version)
    schema: JsonObject = compiled.input_schema or {"type": "object"}
    return StartFormAnswer.model_validate(
        {
            "workflow_id": workflow_id,
            "name": compiled.name,
            "title": compiled.title,
            "description": compiled.description,
            "version": number,
            "schema": schema,
            "defaults": fill_in_defaults(schema, {}),
        }
    )


async def _compile(call: Call, subject: str, version: str | None) -> tuple[str, int | None, Workflow]:
    """The workflow's id, the version's number (None: the draft), and the compiled document.

    Raises:
        DocumentInvalidError: it has faults, so that there is nothing to show.
    """
    wanted = read_version("version", version)
    async with call.read() as session:
        found = await find_seen(session, call, subject)
        if wanted is None and found.current_version is None:
            wanted = DRAFT
        if wanted == DRAFT:
            call.require("workflow:read", found.project_id)
        source = await export_workflow(session, call.workspace_id, found.id, version=wanted)
    checked = (await check_source(call, source)).sent.checked
    if checked.workflow is None:
        raise DocumentInvalidError(f"The document of {found.name}", checked.errors)
    number = wanted if isinstance(wanted, int) else None if wanted == DRAFT else found.current_version
    return found.id, number, checked.workflow
