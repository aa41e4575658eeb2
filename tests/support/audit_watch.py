"""Watches, in every test that asks a server of ours, that what changes something leaves an audit row of the same request."""

from typing import Any, Final

from sqlalchemy import func, select

from flowforge.audit.models import AuditRow
from flowforge.kit.database.session import Database
from flowforge.web.frame import App, Message, Receive, Scope, Send

_CHANGING: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_LOOKING: Final = """
    POST /audit/verify
    POST /operations/{name}/test
    POST /schedules/preview
    POST /templates/{template}/preview
    POST /templates/{template}/use
    POST /triggers/test
    POST /workflows/validate
"""
_DATA: Final = """
    POST /operations/{name}
    POST /files
    POST /operations/{name}
    POST /uploads
    PATCH /uploads/{upload_id}
    POST /uploads/{upload_id}/complete
"""
"""Neither configuration nor rights, nor what a person does to a run."""
_MAY_CHANGE_NOTHING: Final = """
    POST /auth/password-reset
    POST /auth/refresh
    POST /auth/register
    POST /auth/revoke
    POST /import
    POST /me/totp
    POST /runs/bulk
    POST /runs/{run_id}/signals
    POST /signals
    POST /users/{user}/disable
    POST /users/{user}/enable
    PATCH /workflows/{workflow}
    POST /workflows/{workflow}/restore
    PUT /groups/{group}/members/{user}
    DELETE /groups/{group}/members/{user}
"""
"""Dry, repeated, half of two steps, or of what is so already; that the other half is audited is tested beside each of them."""
_NOT_AUDITED: Final = frozenset(
    line.strip().replace(" ", " /api/v1") for line in f"{_LOOKING}{_DATA}{_MAY_CHANGE_NOTHING}".splitlines()
) | {"POST /resume/{token}"}


class AuditWatch:
    """A layer around the routes of a server whose database is `database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._missing: set[str] = set()

    def wrap(self, app: App) -> App:
        async def watch(scope: Scope, receive: Receive, send: Send) -> None:
            status = 0

            async def send_watched(message: Message) -> None:
                nonlocal status
                status = message.get("status", status)
                await send(message)

            await app(scope, receive, send_watched)
            if 200 <= status < 300 and scope["type"] == "http" and scope["method"] in _CHANGING:
                await self._look(scope)

        return watch

    def check(self) -> None:
        """Fails for requests that left no row; `_NOT_AUDITED` lists which need not."""
        assert not self._missing, f"These left no audit row: {sorted(self._missing)}"

    async def _look(self, scope: Scope) -> None:
        route: Any = scope.get("route")
        if not str(getattr(getattr(route, "endpoint", None), "__module__", "")).startswith("flowforge."):
            return
        name = f"{scope['method']} {route.path}"
        if name in _NOT_AUDITED or name in self._missing:
            return
        async with self._database.read() as session:
            query = select(func.count()).where(AuditRow.request_id == scope["state"]["request_id"])
            if not await session.scalar(query):
                self._missing.add(name)
