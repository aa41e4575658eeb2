"""The health pages under the server's own address."""

from typing import Any, cast

from flowforge.cluster.health import HealthPages
from flowforge.web.frame import HEALTH_PAGES, App, Receive, Scope, Send


class HealthLayer:
    """Answers `/health`, `/ready`, `/live` and `/metrics`; everything else goes on to `app`."""

    def __init__(self, app: App, pages: HealthPages) -> None:
        self._app = app
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] in HEALTH_PAGES:
            scope["state"]["route"] = scope["path"]
            await self._pages(cast("dict[str, Any]", scope), receive, send)  # type: ignore[arg-type]
            return
        await self._app(scope, receive, send)
