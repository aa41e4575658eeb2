"""The use cases of transfer, for the API and the command line alike. Nothing here commits: that is done at the edge."""

import asyncio
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from flowforge.kit.values import JsonObject
from flowforge.vault.service import list_secrets, list_variables
from flowforge.workflows.transfer.errors import ImportConflictError
from flowforge.workflows.transfer.exporting import export_configuration
from flowforge.workflows.transfer.importing import Import, apply_plan
from flowforge.workflows.transfer.planning import Plan, list_missing, make_plan
from flowforge.workflows.transfer.schemas import Configuration, Imported
from flowforge.workflows.types import CheckDocument

__all__ = [
    "Configuration",
    "Import",
    "ImportConflictError",
    "Imported",
    "Plan",
    "apply_plan",
    "describe_export",
    "describe_import",
    "export_configuration",
    "list_definitions",
    "plan_import",
    "tell_import",
]


async def plan_import(
    session: AsyncSession, workspace_id: str, given: Configuration, *, check: CheckDocument, at_ms: int
) -> Plan:
    """What an import would do with each item."""
    present = await export_configuration(session, workspace_id, at_ms=at_ms)
    return await asyncio.to_thread(make_plan, given, present, check)


def list_definitions(plan: Plan) -> Sequence[tuple[str, bytes]]:
    """Digests and definitions that must be in the engine's store before the plan is applied."""
    return [(new.digest, new.definition) for versions in plan.versions.values() for new in versions]


async def tell_import(session: AsyncSession, workspace_id: str, given: Configuration, plan: Plan, *, is_dry: bool) -> Imported:
    """The outcome, and the names of what this workspace still lacks."""
    variables = [variable.name for variable in await list_variables(session, workspace_id)]
    secrets = [secret.name for secret in await list_secrets(session, workspace_id)]
    return Imported(
        dry_run=is_dry,
        items=plan.items,
        missing_variables=list_missing(given.variables, variables),
        missing_secrets=list_missing([*plan.secrets], secrets),
    )


def describe_import(plan: Plan) -> JsonObject:
    """For the audit: what was made and changed."""
    return {
        action: [f"{item.kind} {item.name}" for item in plan.items if item.action == action]
        for action in ("create", "update", "conflict")
    }


def describe_export(configuration: Configuration) -> JsonObject:
    """For the audit: how much left the house."""
    return {
        "projects": len(configuration.projects),
        "workflows": [one.name for one in configuration.workflows],
        "workflow_sets": len(configuration.workflow_sets),
        "templates": len(configuration.templates),
        "variables": len(configuration.variables),
    }
