"""The routes of identity."""

from collections.abc import Sequence
from typing import Final

from flowforge.identity.endpoints import access, auth, groups, keys, me, oidc, roles, sign_in_page, users, workspaces
from flowforge.web.routing import Router

ROUTERS: Final[Sequence[Router]] = (
    groups.router,
    roles.role_router,
    roles.assignment_router,
    access.override_router,
    access.router,
    access.own_router,
    workspaces.router,
    oidc.router,
    auth.router,
    auth.key_router,
    me.router,
    keys.router,
    users.router,
    sign_in_page.router,
)
