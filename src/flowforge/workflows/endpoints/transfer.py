"""Configuration out of one installation and into another."""

from typing import Annotated

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from flowforge.audit.service import record
from flowforge.kit.errors import AlreadyExistsError
from flowforge.web.answers import make_json
from flowforge.web.batches.answering import GOES_ON, WAIT_DEFAULT, WaitIn, answer_batch
from flowforge.web.batches.rows import insert_batch
from flowforge.web.bodies import Body
from flowforge.web.calls import CallIn
from flowforge.web.routing import Router
from flowforge.web.waiting import read_wait
from flowforge.workflows.errors import WorkflowNotFoundError
from flowforge.workflows.ports import Compiler
from flowforge.workflows.transfer.batching import make_import
from flowforge.workflows.transfer.schemas import Configuration, Imported
from flowforge.workflows.transfer.service import (
    ImportConflictError,
    describe_export,
    export_configuration,
    plan_import,
    tell_import,
)

router = Router("transfer")

DryRunIn = Annotated[bool, Query(description="Only tell what would be done.")]
SkipConflictsIn = Annotated[bool, Query(description="Import the rest where items contradict what is here.")]


class ExportBody(Body):
    workflows: list[str] | None = Field(
        default=None, max_length=1_000, description="These workflows and their projects alone, by id or name; else everything."
    )


@router.post("/export", "workflow:manage", errors=[WorkflowNotFoundError])
async def export(call: CallIn, body: ExportBody | None = None) -> Configuration:
    """The configuration of the workspace: projects, workflows with their versions and drafts, sets, templates, names of variables.

    Values of variables and secrets are not in it.
    """
    call.require("workflow:manage")
    names = None if body is None else body.workflows
    async with call.change() as session:
        configuration = await export_configuration(session, call.workspace_id, names=names, at_ms=call.now_ms)
        noted = describe_export(configuration)
        await record(session, call, "configuration.exported", "configuration", call.workspace_id, after=noted)
    return configuration


@router.post(
    "/import",
    "workflow:manage",
    errors=[ImportConflictError, AlreadyExistsError],
    response_model=Imported,
    answers=GOES_ON,
)
async def import_(
    call: CallIn,
    body: Configuration,
    *,
    dry_run: DryRunIn = False,
    skip_conflicts: SkipConflictsIn = False,
    wait: WaitIn = WAIT_DEFAULT,
) -> Response:
    """Bring in what was exported: in one transaction, all of it or nothing.

    Tells for each item whether it is made, changed, the same already, or contradicts what is here; with `dry_run` it is only told.
    """
    wait_ms = read_wait(wait)
    call.require("workflow:manage")
    if dry_run:
        check = call.port(Compiler).check_source
        async with call.read() as session:
            plan = await plan_import(session, call.workspace_id, body, check=check, at_ms=call.now_ms)
            told = await tell_import(session, call.workspace_id, body, plan, is_dry=True)
        return make_json(told.model_dump(mode="json"))
    batch = make_import(call, body, skips_conflicts=skip_conflicts)
    async with call.change() as session:
        await insert_batch(session, batch)
    return await answer_batch(call, batch, wait_ms)
