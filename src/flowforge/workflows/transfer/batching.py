"""An import as long work: planned and brought in as one slice, in one transaction."""

from typing import Final, cast

from flowforge.audit.service import Author, record_as
from flowforge.kit.values import JsonObject
from flowforge.web.batches.types import Batch, Slice
from flowforge.web.calls import Call, Parts
from flowforge.workflows.ports import Compiler, Definitions, OnPublished
from flowforge.workflows.transfer.errors import ImportConflictError
from flowforge.workflows.transfer.importing import Import, apply_plan
from flowforge.workflows.transfer.schemas import Configuration
from flowforge.workflows.transfer.service import describe_import, list_definitions, plan_import, tell_import

IMPORT: Final = "workflows.import"


def make_import(call: Call, given: Configuration, *, skips_conflicts: bool) -> Batch:
    """A batch that brings a configuration in. Who asks for it, and from where, is kept for the record of the change."""
    by: JsonObject = {"credential": call.caller.credential, "address": call.caller.address, "request": call.request_id}
    configuration = cast("JsonObject", given.model_dump(mode="json", by_alias=True, exclude_unset=True))
    return Batch(
        id=call.make_id("bat"),
        workspace_id=call.workspace_id,
        kind=IMPORT,
        actor=call.actor,
        request={"configuration": configuration, "skips_conflicts": skips_conflicts, "by": by},
        created_at_ms=call.now_ms,
        total=len(given.projects) + len(given.workflows) + len(given.workflow_sets) + len(given.templates),
    )


class ImportKind:
    """See `batches.BatchKind`. Done again after a death, it finds everything the same already."""

    @property
    def name(self) -> str:
        return IMPORT

    async def advance(self, parts: Parts, batch: Batch) -> Slice:
        given = Configuration.model_validate(batch.request["configuration"])
        at_ms, check = parts.clock.now_ms(), parts.port(Compiler).check_source
        async with parts.database.read() as session:
            plan = await plan_import(session, batch.workspace_id, given, check=check, at_ms=at_ms)
            told = await tell_import(session, batch.workspace_id, given, plan, is_dry=False)
        conflicts = plan.list_conflicts()
        if conflicts and not batch.request["skips_conflicts"]:
            raise ImportConflictError(conflicts)
        definitions = parts.port(Definitions)
        for digest, definition in list_definitions(plan):
            await definitions.define(digest, definition)
        async with parts.database.write.begin() as session:
            work = Import(session, batch.actor, batch.workspace_id, at_ms, plan, parts.port(OnPublished))
            await apply_plan(work, given)
            await record_as(
                session,
                _find_author(parts, batch),
                "configuration.imported",
                "configuration",
                batch.workspace_id,
                after=describe_import(plan),
                workspace_id=batch.workspace_id,
            )
        done = len(told.items)
        return Slice(None, done, len(conflicts), cast("JsonObject", told.model_dump(mode="json")), is_last=True)


def _find_author(parts: Parts, batch: Batch) -> Author:
    by = cast("dict[str, str]", batch.request["by"])
    return Author(batch.actor, by["credential"], by["address"], by["request"], parts.clock.now_ms(), parts.keyring)
