"""`WS /live`, as a narrow route."""

from typing import Final

from flowforge.kit.telemetry.logs import get_logger
from flowforge.live.connection import LiveConnection
from flowforge.live.errors import CloseCode
from flowforge.live.hub import find_hub
from flowforge.web.calls import Parts
from flowforge.web.frame import App, Receive, Scope, Send

LIVE_PATH: Final = "/api/v1/live"
_NOT_FOUND: Final = 4404

logger = get_logger("live")


class LiveLayer:
    """Answers WebSockets; everything else goes on to `app`. Other paths are closed before they are open."""

    def __init__(self, app: App, parts: Parts) -> None:
        self._app = app
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Supervisor: a fault of ours ends one connection, with a close code that says so."""
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        if scope["path"] != LIVE_PATH:
            await receive()
            await send({"type": "websocket.close", "code": _NOT_FOUND})
            return
        try:
            with self._parts.metrics.server.find_open_streams("websocket").track_inprogress():
                await LiveConnection(self._parts, find_hub(self._parts), scope, receive, send).serve()
        except OSError:
            return  # the client has gone in the middle of a frame
        except Exception:
            logger.exception("A live connection met a fault of ours.", request_id=scope["state"]["request_id"])
            await send({"type": "websocket.close", "code": int(CloseCode.FAULT)})
