"""The routes of workflows and of what is around them."""

from collections.abc import Sequence
from typing import Final

from flowforge.web.routing import Router
from flowforge.workflows.endpoints import drafts, pictures, projects, templates, transfer, versions, workflow_sets, workflows

ROUTERS: Final[Sequence[Router]] = (
    workflows.router,
    drafts.router,
    versions.router,
    pictures.router,
    projects.router,
    workflow_sets.router,
    templates.router,
    transfer.router,
)
