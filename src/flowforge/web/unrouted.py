"""What no route takes: an address that there is not, or a method that an address does not take."""

from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from flowforge.kit.errors import FlowForgeError
from flowforge.web.answers import answer_error, find_request_id, on_http_exception
from flowforge.web.callers import SIGNED_IN
from flowforge.web.calls import Parts
from flowforge.web.rates import find_kind
from flowforge.web.routing import admit

_API: Final = "/api/v1/"


async def on_unrouted(request: Request, error: Exception) -> Response:
    """The framework's refusal. Below /api/v1 strangers get 401 for every path: they do not learn which there are."""
    assert isinstance(error, HTTPException)
    path: str = request.scope["path"]
    if error.status_code in {404, 405} and path.startswith(_API):
        parts: Parts = request.app.state.parts
        try:
            await admit(parts, request, SIGNED_IN, find_kind(request.method, path, SIGNED_IN))
        except FlowForgeError as fault:
            return answer_error(fault, find_request_id(request.scope))
    answer = await on_http_exception(request, error)
    if error.status_code == 405:
        answer.headers["allow"] = ", ".join(_list_methods(request))
    return answer


def _list_methods(request: Request) -> list[str]:
    """All methods that the address takes: each of our routes has one, and the framework tells that of the first."""
    found: set[str] = set()
    for route in request.app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return sorted(found)
