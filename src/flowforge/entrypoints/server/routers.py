"""The routers of all domains."""

from collections.abc import Sequence
from itertools import chain

from flowforge.audit import endpoints as audit
from flowforge.configuration import endpoints as configuration
from flowforge.files import endpoints as files
from flowforge.identity import endpoints as identity
from flowforge.live import endpoints as live
from flowforge.runs import endpoints as runs
from flowforge.runs import start_endpoint
from flowforge.system import endpoints as system
from flowforge.toolbox import endpoints as toolbox
from flowforge.triggers import endpoints as triggers
from flowforge.vault import endpoints as vault
from flowforge.web.documentation import documentation
from flowforge.web.routing import Router
from flowforge.workflows import endpoints as workflows


def list_routers() -> Sequence[Router]:
    """In the order in which their paths are matched."""
    domains = (start_endpoint, live, runs, workflows, triggers, identity, vault, configuration, files, toolbox, system, audit)
    return (*chain.from_iterable(domain.ROUTERS for domain in domains), documentation)
